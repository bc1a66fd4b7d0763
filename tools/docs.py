# SPDX-License-Identifier: Apache-2.0
"""Writes the reference out of the code, so that it cannot lie.

    tools/docs.py            write docs/reference/* and docs/errors/*.md
    tools/docs.py --check    fail where a file differs or is one too many, or a link leads nowhere

Error pages keep what people add below the mark `<!-- kept -->`; all else is generated.
"""

from __future__ import annotations

import ast
import dataclasses
import json
import re
import runpy
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import typer

from corridor import cli, errors, limits
from corridor.errors import CODES, CorridorError
from corridor.http.openapi import openapi
from corridor.protocol import negotiation, transfer
from corridor.protocol.machine import Arrow
from corridor.settings import PARTICIPANT, REQUIRED, SECTIONS, Setting
from corridor.settings.kinds import write_duration, write_size

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
KIT = ROOT / "conformance" / "dsp"
MADE = "<!-- Made by tools/docs.py from {source}; change it there. -->\n"
KEPT = "<!-- kept -->\n"
ROLE_WORD = {"consumer": "C", "provider": "P"}
LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\(([^)\s]+)\)")


def row(*cells: object) -> str:
    """A line of a table; what Markdown would take for a mark is kept from it."""
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |\n"


def table(*heads: str) -> str:
    """The head of a table."""
    return row(*heads) + row(*("---" for _ in heads))


def code(text: object) -> str:
    """As code, empty where there is nothing."""
    return f"`{text}`" if str(text) else ""


def page(title: str, source: str, *parts: str) -> str:
    """A whole page."""
    return MADE.format(source=source) + f"\n# {title}\n\n" + "".join(parts).rstrip("\n") + "\n"


# errors


def raisers() -> Mapping[str, list[str]]:
    """The classes of the tree that have a code as their own, whatever else is imported by now."""
    found: dict[str, list[str]] = {}
    waiting = [CorridorError]
    while waiting:
        kind = waiting.pop()
        if "code" in vars(kind) and kind.__module__ == errors.__name__:
            found.setdefault(kind.code, []).append(kind.__name__)
        waiting += kind.__subclasses__()
    return {key: sorted(names) for key, names in found.items()}


def error_pages() -> Iterator[tuple[str, str]]:
    """The table of codes, and a page for each."""
    tree = (errors.__doc__ or "").split("\n\n")[1]
    lines = [
        row(f"[`{name}`](../errors/{name}.md)", it.title, int(it.exit), it.status)
        for name, it in sorted(CODES.items())
    ]
    yield (
        "reference/errors.md",
        page(
            "Errors",
            "codes.py",
            "Each error carries one of these codes. `exit` is the exit status of the command\n"
            "line, `HTTP` the status of the management API; what peers are answered is in the\n"
            "specification of the protocol.\n\n",
            table("code", "meaning", "exit", "HTTP"),
            *lines,
            f"\n## The tree\n\n```text\n{tree}\n```\n",
        ),
    )
    own = raisers()
    for name, it in CODES.items():
        kinds = ", ".join(code(kind) for kind in own.get(name, [])) or "–"
        yield (
            f"errors/{name}.md",
            page(
                name,
                "codes.py",
                f"**{it.title[0].upper()}{it.title[1:]}.**\n\n",
                f"What to do: {it.mend}.\n\n",
                table("exit status", "HTTP status", "class"),
                row(f"{int(it.exit)} ({it.exit.name})", it.status, kinds),
                "\n[All errors](../reference/errors.md)\n",
            ),
        )


# limits


def told(name: str, value: float) -> str:
    """A limit as a person writes it in `[limits]`."""
    if isinstance(value, float):
        return write_duration(value)
    return write_size(value) if "bytes" in name else f"{value:,}"


def limit_page() -> Iterator[tuple[str, str]]:
    """Every limit, under the headings of the source, with the reason that stands beside it."""
    source = Path(limits.__file__).read_text(encoding="utf-8")
    lines = source.splitlines()
    fields = next(
        node for node in ast.parse(source).body
        if isinstance(node, ast.ClassDef) and node.name == "Limits"
    )  # fmt: skip
    values = dataclasses.asdict(limits.Limits())
    parts: list[str] = []
    last = fields.lineno
    for node in fields.body:
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            continue
        heads = [it.strip(" #") for it in lines[last : node.lineno - 1] if it.startswith("    # ")]
        if heads:
            parts.append(f"\n## {heads[0][0].upper()}{heads[0][1:]}\n\n")
            parts.append(table("limit", "default", "why"))
        assert node.end_lineno is not None
        last = node.end_lineno
        why = lines[last - 1].partition("  # ")[2]
        name = node.target.id
        parts.append(row(code(name), told(name, values[name]), why))
    yield (
        "reference/limits.md",
        page(
            "Limits",
            "limits.py",
            "Everything has a limit. Each can be set in `[limits]` of `corridor.toml`:\n"
            "durations as `30s` or `2h`, sizes as `10MiB`, counts as numbers.\n",
            *parts,
        ),
    )


# states


def diagram(arrows: Mapping[Arrow, str], final: frozenset[str]) -> str:
    """A state diagram that many viewers of Markdown draw. `C`, `P`: who says it."""
    said: dict[tuple[str, str], list[str]] = {}
    for (state, sender, step), target in arrows.items():
        said.setdefault((state or "[*]", target), []).append(f"{ROLE_WORD[sender]} {step}")
    lines = ["```mermaid", "stateDiagram-v2"]
    lines += [f"    {a} --> {b}: {', '.join(words)}" for (a, b), words in said.items()]
    lines += [f"    {state} --> [*]" for state in sorted(final)]
    return "\n".join([*lines, "```", "", ""])


def arrow_rows(arrows: Mapping[Arrow, str], note: Mapping[Arrow, str]) -> str:
    """The same as a table: every row of the code's, in its order."""
    return table("in", "says", "step", "then", "note") + "".join(
        row(arrow[0] or "–", arrow[1], arrow[2], target, note.get(arrow, ""))
        for arrow, target in arrows.items()
    )


def state_page() -> Iterator[tuple[str, str]]:
    """Both machines; what is not in these tables is not legal."""
    by_text = dict.fromkeys(
        negotiation.TEXT_ONLY,
        "by the text alone ([decision 1](../decisions/0001-figure-and-text.md))",
    )
    resumed = dict.fromkeys(transfer.RESUMED, "only after the consumer resumed: the new address")
    moves = {**transfer.ARROWS, **transfer.RESUMED}
    yield (
        "reference/states.md",
        page(
            "States",
            "protocol/negotiation.py and protocol/transfer.py",
            "Who may say what, when. `C` is the consumer, `P` the provider. What is not in a\n"
            "table is refused. A state moves when the other side has acknowledged.\n\n",
            "## Contract negotiation\n\n",
            diagram(negotiation.ARROWS, negotiation.MACHINE.final),
            arrow_rows(negotiation.ARROWS, by_text),
            "\n## Transfer process\n\n",
            diagram(transfer.ARROWS, transfer.MACHINE.final),
            arrow_rows(moves, resumed),
        ),
    )


# settings


def needs(it: Setting) -> str:
    """What a setting takes, in the words that refuse something else."""
    samples = {str: "? ?", list: ["? ?"], dict: {"? ?": "? ?"}}
    for wrong in (samples.get(type(it.default), "? ?"), object()):
        try:
            it.kind.read(wrong, ROOT)
        except ValueError as error:
            if str(error).startswith("needs "):
                return str(error).removeprefix("needs ")
    raise AssertionError(f"nothing says what this takes: {it.about}")


def toml(value: object) -> str:
    """A default as it stands in the file."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return f'"{value}"'
        case list():
            return f"[{', '.join(map(toml, value))}]"
        case dict():
            return "{ " + ", ".join(f"{key} = {toml(it)}" for key, it in value.items()) + " }"
    return str(value)


def setting_page() -> Iterator[tuple[str, str]]:
    """Every section of corridor.toml but the limits, which have a page."""
    parts: list[str] = []
    for section, rows in {**SECTIONS, "participant": PARTICIPANT}.items():
        if section == "limits":
            continue
        head = "[[participant]]" if section == "participant" else f"[{section}]"
        parts += [f"\n## `{head}`\n\n", table("setting", "default", "what", "takes")]
        for name, it in rows.items():
            default = "required" if it.default is REQUIRED else code(toml(it.default))
            parts.append(row(code(name), default, it.about, needs(it)))
    yield (
        "reference/settings.md",
        page(
            "Settings",
            "settings/",
            "What stands in `corridor.toml`. An option of the command line goes before the\n"
            "environment (`CORRIDOR_<SECTION>__<KEY>`), that before the file, that before the\n"
            "default; `[[participant]]` is set in the file or by option only. `[limits]` takes\n"
            "every name of [limits](limits.md).\n",
            *parts,
        ),
    )


# conformance


def conformance_page() -> Iterator[tuple[str, str]]:
    """The kit, its version, and what our side does by itself in each of its tests."""
    told = runpy.run_path(str(KIT / "rules.py"))
    version = re.search(r"<kit\.version>(.+)</kit\.version>", (KIT / "pom.xml").read_text("utf-8"))
    assert version is not None
    roles = {
        "We are the provider of a contract": told["AS_PROVIDER"],
        "We are the consumer of a contract": told["AS_CONSUMER"],
        "We are the provider of a transfer": told["SENDING"],
        "We are the consumer of a transfer": told["RECEIVING"],
    }
    parts: list[str] = []
    for head, rules in roles.items():
        parts += [f"\n## {head}\n\n", table("id", "in a state: what we then say, entry by entry")]
        for name, rule in rules.items():
            said = [f"{state}: {', '.join(steps)}" for state, steps in rule.items()]
            parts.append(row(code(name), "; ".join(said) or "nothing"))
    yield (
        "reference/conformance.md",
        page(
            "Conformance",
            "conformance/dsp/rules.py and conformance/dsp/pom.xml",
            "The public conformance kit of the Dataspace Protocol runs against a node of ours as\n"
            "it is shipped, over HTTP on this machine.\n\n",
            table("what", ""),
            row("kit", f"`org.eclipse.dataspacetck.dsp` {version[1]}"),
            row("protocol", "Dataspace Protocol 2025-1"),
            row("tests", f"{told['TESTS']}; all must pass, no list of exceptions exists"),
            row("run it", "`make conformance-dsp`, or some: `make conformance-dsp TESTS=CN:01-03`"),
            row("needs", "a JDK of 17 or newer, and Maven"),
            row("ends with", f"`{told['TESTS']} passed, 0 failed`"),
            "\nThe kit plays the partner. Its ids name its tests: of a dataset in negotiations,\n"
            "of an agreement in transfers. For these ids the tables below say what the node\n"
            "decides, in the place where published terms decide in production\n"
            "(`engine/decide.py`). A process that enters a state again takes the next entry;\n"
            "beyond the entries, and in other states, we are silent. The kit cannot take a step\n"
            f"at once: to the node it is a peer that needs {told['DELAY_S'] * 1000:.0f} ms.\n",
            *parts,
        ),
    )


# command line


def commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """A command and all below it, as they are shown. Untyped: Typer carries a click of its own."""
    yield name, command
    if hasattr(command, "list_commands"):
        context = command.context_class(command, info_name=name)
        for inner in command.list_commands(context):
            found = command.get_command(context, inner)
            if found is not None and not found.hidden:
                yield from commands(found, f"{name} {inner}")


def parameters(command: Any) -> Iterator[str]:
    """Its arguments and options."""
    for it in command.params:
        if getattr(it, "hidden", False):
            continue
        option = it.param_type_name == "option"
        shown = " ".join(it.opts + it.secondary_opts) if option else it.name.upper()
        about = (getattr(it, "help", None) or "").replace("\n", " ")
        yield row(code(shown), about)


def command_page(app: typer.Typer) -> Iterator[tuple[str, str]]:
    """What an operator may type: the help of every command."""
    parts: list[str] = []
    for name, command in commands(typer.main.get_command(app), "corridor"):
        usage = " ".join(
            command.collect_usage_pieces(command.context_class(command, info_name=name))
        )
        parts.append(f"\n## `{name}`\n\n{(command.help or '').strip()}\n\n")
        parts.append(f"```text\n{name} {usage}\n```\n")
        rows = list(parameters(command))
        if rows:
            parts += ["\n", table("argument or option", "what"), *rows]
    yield "reference/cli.md", page("Commands", "cli/", *parts)


# management API


def api_page() -> Iterator[tuple[str, str]]:
    """The management API, for programs that read OpenAPI."""
    document = openapi(metadata.version("corridor"))
    yield "reference/openapi.json", json.dumps(document, indent=1, ensure_ascii=False) + "\n"


# the whole


def pages() -> dict[str, str]:
    """Every generated page below docs/."""
    found: dict[str, str] = {}
    makers = [
        error_pages(),
        limit_page(),
        state_page(),
        setting_page(),
        conformance_page(),
        command_page(cli.app),
        api_page(),
    ]
    for maker in makers:
        for path, text in maker:
            assert path not in found, path
            found[path] = text + kept(DOCS / path)
    return found


def kept(path: Path) -> str:
    """What people wrote below the mark."""
    if not path.exists():
        return ""
    _, mark, below = path.read_text(encoding="utf-8").partition(KEPT)
    return f"\n{mark}{below}" if mark else ""


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as viewers make them."""
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    heads = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head).strip().lower().replace(" ", "-") for head in heads}


def broken_links() -> Iterator[str]:
    """Links to files and headings of ours that are not there."""
    for path in [*sorted(DOCS.rglob("*.md")), *sorted(ROOT.glob("*.md"))]:
        text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        for target in LINK.findall(text):
            if re.match(r"[a-z]+:", target):
                continue
            name, _, anchor = target.partition("#")
            there = (path.parent / name).resolve() if name else path
            if not there.exists():
                yield f"{path.relative_to(ROOT)}: no {target}"
            elif anchor and there.suffix == ".md" and anchor not in anchors(there):
                yield f"{path.relative_to(ROOT)}: no heading for {target}"


def faults(made: Mapping[str, str]) -> Iterator[str]:
    """All that is not as it should be."""
    for name, text in made.items():
        path = DOCS / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            yield f"docs/{name} is not what the code says: make fmt"
    for folder in ("errors", "reference"):
        for path in sorted((DOCS / folder).glob("*.md")):
            name = path.relative_to(DOCS).as_posix()
            if name not in made and MADE.split("{", maxsplit=1)[0] in path.read_text("utf-8"):
                yield f"docs/{name} is of something that is gone"
    yield from broken_links()


def main(arguments: list[str]) -> int:
    """Write, or check."""
    made = pages()
    if arguments == ["--check"]:
        found = list(faults(made))
        print("\n".join(found) or f"{len(made)} generated pages are as the code says")
        return 1 if found else 0
    if arguments:
        print(__doc__)
        return 2
    written: Counter[str] = Counter()
    for name, text in made.items():
        path = DOCS / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            written["written"] += 1
    for path in DOCS.glob("errors/*.md"):
        if path.relative_to(DOCS).as_posix() not in made:
            path.unlink()
            written["removed"] += 1
    print(f"{len(made)} pages, {dict(written) or 'nothing changed'}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
