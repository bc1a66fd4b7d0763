# SPDX-License-Identifier: Apache-2.0
"""Reads the code and holds what no linter sees (house-style.md 2, 6, 9, 37)."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import fields
from functools import cache
from pathlib import Path

import pytest

from corridor.errors import CODES
from corridor.limits import Limits

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGE = ROOT / "src" / "corridor"
LINES_MAX, FUNCTION_LINES_MAX = 500, 70

# Words that have one home each. A home is a file or a folder (ending in /) below src/corridor.
HOMES: dict[str, tuple[str, ...]] = {
    "datetime.now": ("outside/",),
    "datetime.utcnow": (),
    "date.today": ("outside/",),
    "time.time": ("outside/",),
    "uuid4": ("outside/",),
    "os.environ": ("config.py", "cli/", "client/places.py"),
    "os.getenv": ("config.py", "cli/"),
    "print": ("cli/",),
}
# Who may reach the network, or could.
REACH: dict[str, tuple[str, ...]] = {
    "aiohttp": ("outside/", "client/"),
    "http.client": ("client/",),
    "socket": ("outside/", "http/server.py", "rooms/", "cli/"),
    "ssl": ("outside/", "http/server.py"),
    "urllib.request": ("client/", "cli/"),
}
BANNED_PARTS = frozenset(
    {"abstract", "base", "common", "handler", "helper", "helpers"}
    | {"impl", "manager", "service", "shared", "util", "utils"}
)
# The one interface of services, and a word of the specification.
ALLOWED_NAMES = frozenset({"Service", "DataService"})
# Joined here, so that this file names none of them.
REGISTRIES = tuple(
    ".".join(labels)
    for labels in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("yarnpkg", "com"),
        ("crates", "io"),
        ("proxy", "golang", "org"),
        ("repo", "maven", "apache", "org"),
        ("repo1", "maven", "org"),
        ("central", "sonatype", "com"),
        ("deb", "debian", "org"),
    )
)
ONE_MACHINE = re.compile(r"(?<![\w.<>{}*-])/(?:root|home/\w+|Users/\w+|work)/")


def below(folder: Path, pattern: str = "*.py") -> list[Path]:
    return sorted(path for path in folder.rglob(pattern) if "__pycache__" not in path.parts)


SOURCES = below(PACKAGE)
PYTHON = [
    *SOURCES,
    *(path for name in ("tests", "tools", "conformance", "bench") for path in below(ROOT / name)),
]


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def home(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def at(path: Path, node: ast.AST | int) -> str:
    line = node if isinstance(node, int) else getattr(node, "lineno", 0)
    return f"{path.relative_to(ROOT)}:{line}"


def holds(find: Callable[[Path], Iterator[str]], paths: list[Path]) -> None:
    """Fail with everything found, not only the first."""
    assert paths
    found = [fault for path in paths for fault in find(path)]
    assert not found, "\n" + "\n".join(found)


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def dotted(node: ast.AST) -> str:
    """`datetime.datetime.now` → the same as text; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        inner = dotted(node.value)
        return f"{inner}.{node.attr}" if inner else ""
    return ""


def imports(path: Path) -> Iterator[tuple[ast.stmt, str]]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node, node.module
            yield from ((node, f"{node.module}.{alias.name}") for alias in node.names)


# shape


def test_files_and_functions_are_short() -> None:
    def find(path: Path) -> Iterator[str]:
        lines = path.read_text(encoding="utf-8").count("\n")
        if lines > LINES_MAX:
            yield f"{path.relative_to(ROOT)} is {lines} lines"
        for node in functions(path):
            assert node.end_lineno is not None
            length = node.end_lineno - node.lineno + 1
            if length > FUNCTION_LINES_MAX:
                yield f"{at(path, node)} {node.name} is {length} lines"

    holds(find, PYTHON)


def test_each_file_says_its_licence_and_what_it_is_for() -> None:
    def find(path: Path) -> Iterator[str]:
        text = path.read_text(encoding="utf-8")
        if not text.startswith("# SPDX-License-Identifier: Apache-2.0\n"):
            yield f"{path.relative_to(ROOT)} does not begin with its licence"
        if not ast.get_docstring(tree(path)):
            yield f"{path.relative_to(ROOT)} does not say what it is for"

    holds(find, PYTHON)


def test_imports_stand_at_the_top() -> None:
    def find(path: Path) -> Iterator[str]:
        for function in functions(path):
            for node in ast.walk(function):
                if isinstance(node, ast.Import | ast.ImportFrom):
                    yield f"{at(path, node)} imports inside {function.name}"

    holds(find, SOURCES)


def test_nothing_is_left_for_later() -> None:
    later = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|X" + r"XX)\b|\bNotImplemented" + r"Error\b")

    def find(path: Path) -> Iterator[str]:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if later.search(line):
                yield f"{at(path, number)} {line.strip()}"

    holds(find, PYTHON)


def test_exceptions_to_the_linters_have_a_reason() -> None:
    bare = re.compile(r"#\s*(?:noqa|type:\s*ignore)(?!: [A-Z]+\d+|\[[a-z-]+\])")
    reason = re.compile(
        r"#\s*(?:noqa: [A-Z]+\d+(?:, ?[A-Z]+\d+)*|type:\s*ignore\[[a-z, -]+\])\s*(.*)"
    )

    def find(path: Path) -> Iterator[str]:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            given = reason.search(line)
            if bare.search(line) or (given and len(given[1].strip(" #—-:;")) < 3):
                yield f"{at(path, number)} {line.strip()}"

    holds(find, SOURCES)


# names


def words(name: str) -> list[str]:
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+\d*", name)]


def banned(node: ast.AST) -> frozenset[str]:
    """A function may read a `DataService`: its verb says what it does."""
    return BANNED_PARTS if isinstance(node, ast.ClassDef) else BANNED_PARTS - {"service"}


def test_names_say_what_things_are() -> None:
    def find(path: Path) -> Iterator[str]:
        if BANNED_PARTS & set(words(path.stem)):
            yield f"{path.relative_to(ROOT)} is a name that says nothing"
        for node in ast.walk(tree(path)):
            if (
                isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
                and node.name not in ALLOWED_NAMES
                and banned(node) & set(words(node.name))
            ):
                yield f"{at(path, node)} {node.name}"

    holds(find, SOURCES)


def test_what_a_module_lists_is_there() -> None:
    def find(path: Path) -> Iterator[str]:
        listed = exported(tree(path))
        if listed is None:
            return
        there, imported = defined(
            tree(path), of=".".join(("corridor", *home(path).split("/")[:-1]))
        )
        for name in listed:
            if name not in there:
                yield f"{path.relative_to(ROOT)} lists {name}, which it does not have"
        if len(set(listed)) != len(listed):
            yield f"{path.relative_to(ROOT)} lists a name twice"
        if path.name == "__init__.py":
            for name in sorted(imported - set(listed)):
                yield f"{path.relative_to(ROOT)} has {name} and does not list it"

    holds(find, SOURCES)


def exported(module: ast.Module) -> list[str] | None:
    for node in module.body:
        if isinstance(node, ast.Assign) and dotted(node.targets[0]) == "__all__":
            assert isinstance(node.value, ast.List | ast.Tuple)
            return [str(ast.literal_eval(item)) for item in node.value.elts]
    return None


def defined(module: ast.Module, *, of: str) -> tuple[set[str], set[str]]:
    """Names at the top of a module, and those public ones that come from modules in package `of`."""
    there: set[str] = set()
    imported: set[str] = set()
    for node in module.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            there.add(node.name)
        elif isinstance(node, ast.Assign):
            there |= {dotted(target) for target in node.targets}
        elif isinstance(node, ast.AnnAssign):
            there.add(dotted(node.target))
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = {alias.asname or alias.name for alias in node.names}
            there |= names
            if isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith(f"{of}."):
                imported |= {name for name in names if not name.startswith("_")}
    return there, imported


# what the core may not do


def test_time_chance_settings_and_output_have_one_home() -> None:
    def find(path: Path) -> Iterator[str]:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call):
                name = dotted(node.func)
            elif isinstance(node, ast.Attribute):
                name = dotted(node) if dotted(node) == "os.environ" else ""
            else:
                continue
            for word, homes in HOMES.items():
                if (name == word or name.endswith(f".{word}")) and not home(path).startswith(
                    homes or ("-",)
                ):
                    yield f"{at(path, node)} {word}"

    holds(find, SOURCES)


def test_only_a_few_files_can_reach_the_network() -> None:
    def find(path: Path) -> Iterator[str]:
        for node, name in imports(path):
            if name in REACH and not home(path).startswith(REACH[name] or ("-",)):
                yield f"{at(path, node)} imports {name}"

    holds(find, SOURCES)


SET_MAKERS = frozenset({"set", "frozenset"})


def makes_set(node: ast.AST | None, known: set[str]) -> bool:
    """Best effort: whether an expression is a set, whose order differs from run to run."""
    match node:
        case ast.Set() | ast.SetComp():
            return True
        case ast.Call(func=ast.Name(id=name)):
            return name in SET_MAKERS
        case ast.Call(func=ast.Attribute(value=inner, attr=method)):
            return method in {"union", "intersection", "difference", "copy"} and makes_set(
                inner, known
            )
        case ast.BinOp(left=left, op=ast.BitOr() | ast.BitAnd() | ast.Sub() | ast.BitXor()):
            return makes_set(left, known)
        case ast.Name() | ast.Attribute():
            return dotted(node) in known
    return False


def is_set_type(annotation: ast.AST | None) -> bool:
    if isinstance(annotation, ast.Subscript):
        annotation = annotation.value
    return annotation is not None and dotted(annotation) in SET_MAKERS


def known_sets(scope: ast.AST) -> set[str]:
    known: set[str] = set()
    for node in ast.walk(scope):
        if isinstance(node, ast.arg) and is_set_type(node.annotation):
            known.add(node.arg)
        elif isinstance(node, ast.AnnAssign) and is_set_type(node.annotation):
            known.add(dotted(node.target))
        elif isinstance(node, ast.Assign) and makes_set(node.value, known):
            known |= {dotted(target) for target in node.targets}
    return known


ORDER_FREE = frozenset({"all", "any", "frozenset", "max", "min", "set", "sorted", "sum"})


def harmless(function: ast.AST) -> set[ast.comprehension]:
    """Comprehensions whose result does not depend on the order."""
    found: set[ast.comprehension] = set()
    for node in ast.walk(function):
        if isinstance(node, ast.SetComp):
            found |= set(node.generators)
        elif isinstance(node, ast.Call) and dotted(node.func) in ORDER_FREE:
            for argument in node.args:
                if isinstance(argument, ast.GeneratorExp | ast.ListComp):
                    found |= set(argument.generators)
    return found


def test_nothing_depends_on_the_order_of_a_set() -> None:
    """One seed must replay everything; `sorted` is the way out."""

    def find(path: Path) -> Iterator[str]:
        attributes = {name for name in known_sets(tree(path)) if name.startswith("self.")}
        for function in functions(path):
            known = known_sets(function) | attributes
            skipped = harmless(function)
            for node in ast.walk(function):
                if node in skipped:
                    continue
                if isinstance(node, ast.For | ast.AsyncFor | ast.comprehension):
                    walked: ast.AST | None = node.iter
                elif isinstance(node, ast.Call) and dotted(node.func) in {"list", "tuple", "iter"}:
                    walked = node.args[0] if node.args else None
                else:
                    continue
                if makes_set(walked, known):
                    yield f"{at(path, getattr(walked, 'lineno', 0))} walks a set"

    holds(find, [path for path in SOURCES if home(path).startswith(("engine/", "store/"))])


def test_the_set_rule_sees_sets() -> None:
    seen = ast.parse(
        "def f(a: set[str], b: list[str]) -> None:\n"
        "    c = {x for x in b}\n"
        "    d = b + b\n"
    )  # fmt: skip
    assert known_sets(seen) == {"a", "c"}
    assert makes_set(ast.parse("a - e", mode="eval").body, {"a"})
    assert not makes_set(ast.parse("sorted(a)", mode="eval").body, {"a"})


# documentation


def codes(path: Path) -> Iterator[tuple[ast.AST, str]]:
    """Every code that stands in a call (`code="…"`) or as a class's own."""
    for node in ast.walk(tree(path)):
        value: ast.AST | None = None
        if isinstance(node, ast.keyword) and node.arg == "code":
            value = node.value
        elif isinstance(node, ast.ClassDef):
            for statement in node.body:
                if isinstance(statement, ast.Assign) and dotted(statement.targets[0]) == "code":
                    value = statement.value
        if isinstance(value, ast.Constant) and isinstance(value.value, str) and value.value:
            yield value, value.value


def test_every_code_is_in_the_table() -> None:
    def find(path: Path) -> Iterator[str]:
        for node, code in codes(path):
            if code not in CODES:
                yield f"{at(path, node)} {code}"

    holds(find, SOURCES)


def test_every_code_has_a_page() -> None:
    pages = {path.stem for path in (ROOT / "docs" / "errors").glob("*.md")}
    assert pages == set(CODES)


def test_every_limit_is_documented() -> None:
    page = (ROOT / "docs" / "reference" / "limits.md").read_text(encoding="utf-8")
    missing = [limit.name for limit in fields(Limits) if f"`{limit.name}`" not in page]
    assert not missing


def test_every_limit_is_heeded() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in SOURCES if path.name != "limits.py")
    words = set(re.findall(r"\w+", text))
    assert not [limit.name for limit in fields(Limits) if limit.name not in words]


# what must not be committed


def committed() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


@pytest.mark.parametrize("what", ["registries", "paths of one machine"])
def test_nothing_of_one_machine_is_committed(what: str) -> None:
    named = re.compile("|".join(re.escape(host) for host in REGISTRIES))
    pattern = named if what == "registries" else ONE_MACHINE

    def find(path: Path) -> Iterator[str]:
        text = path.read_bytes().decode("utf-8", errors="replace")
        for number, line in enumerate(text.splitlines(), 1):
            if pattern.search(line):
                yield f"{path.relative_to(ROOT)}:{number} {line.strip()[:120]}"

    # Data is no text; the rest is small.
    holds(find, [path for path in committed() if path.suffix not in {".parquet", ".png", ".woff2"}])
