# SPDX-License-Identifier: Apache-2.0
"""How the command line speaks: stdout is the answer, stderr is talk (experience.md 3.2, 3.3).

Tables on a terminal, tab-separated when piped, one JSON document with `--json`; errors in one
layout: `error[code]: what`, cause, mend, help.
"""

from __future__ import annotations

import sys
import textwrap
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import msgspec
import typer

from corridor.cli.options import Options
from corridor.errors import (
    CODES,
    BudgetSpent,
    CorridorError,
    Exit,
    Invalid,
    Pending,
    Problem,
    QueryRefused,
    Refused,
)

WIDTH_MAX = 120
_COLOURS = {"error": "31", "warning": "33", "hint": "36", "note": "36", "good": "32", "dim": "2"}
Cell = object


class Talk:
    """One run of the command line: what was asked for globally, and where words go."""

    def __init__(
        self,
        options: Options,
        environ: Mapping[str, str],
        *,
        out: IO[str] | None = None,
        err: IO[str] | None = None,
    ) -> None:
        self.options = options
        self.environ = environ
        self._given = (out, err)

    @property
    def out(self) -> IO[str]:
        """Where the answer goes."""
        return self._given[0] or sys.stdout

    @property
    def err(self) -> IO[str]:
        """Where talk goes."""
        return self._given[1] or sys.stderr

    @property
    def terminal(self) -> bool:
        """Whether a person reads the answer."""
        return self.out.isatty()

    @property
    def width(self) -> int:
        """Columns of the terminal."""
        given = self.environ.get("COLUMNS", "")
        if given.isdecimal() and 0 < len(given) < 5:
            return min(int(given), WIDTH_MAX)
        return min(typer.get_terminal_size()[0], WIDTH_MAX)

    def colour(self, text: str, name: str, *, to: IO[str] | None = None) -> str:
        """The text in a colour, where colours are wanted there."""
        return f"\x1b[{_COLOURS[name]}m{text}\x1b[0m" if self._coloured(to or self.out) else text

    def _coloured(self, to: IO[str]) -> bool:
        environ = self.environ
        if self.options.no_color or environ.get("NO_COLOR") or environ.get("CLICOLOR") == "0":
            return False
        return bool(environ.get("FORCE_COLOR")) or to.isatty()

    # talk

    def say(self, text: str = "") -> None:
        """A line on stderr; not with --quiet."""
        if not self.options.quiet:
            print(text, file=self.err, flush=True)

    def warn(self, text: str, label: str = "warning") -> None:
        """A labelled line on stderr; not with --quiet."""
        self.say(f"{self.colour(label, label, to=self.err)}: {text}")

    def fail(self, error: CorridorError) -> int:
        """Tell an error; its exit status."""
        known = CODES.get(error.code)
        status = known.exit if known else Exit.FAILED
        if self.options.json:
            print(told_as_json({"error": error_document(error)}), file=self.err, flush=True)
            return int(status)
        head = self.colour(f"error[{error.code}]", "error", to=self.err)
        lines = [f"{head}: {error.what or _title(error)}", *error_lines(error, self.width)]
        print("\n".join(lines), file=self.err, flush=True)
        return int(status)

    # the answer

    def write(self, text: str) -> None:
        """Lines of the answer, as they stand."""
        print(text, file=self.out, flush=True)

    def json(self, document: object) -> None:
        """The answer as one JSON document."""
        self.write(told_as_json(document))

    def object(self, document: Any, lines: Callable[[], Sequence[str]]) -> None:
        """One thing: a document with --json, else lines for people."""
        if self.options.json:
            self.json(document)
        else:
            self.write("\n".join(lines()))

    def fields(self, document: Any, rows: Sequence[tuple[str, Cell]]) -> None:
        """One thing as names and values; tab-separated when piped."""
        if self.options.json:
            self.json(document)
            return
        if not self.terminal:
            # A value of several lines is as many lines under the same name.
            lines = [(name, line) for name, it in rows for line in str_lines(it)]
            self.write("\n".join(f"{name}\t{line}" for name, line in lines))
            return
        told = [(name, text(it)) for name, it in rows if text(it) != ""]
        wide = max((len(name) for name, _ in told), default=0)
        for name, it in told:
            first, *more = wrapped(it, self.width - wide - 2)
            self.write(f"{self.colour(name.ljust(wide), 'dim')}  {first}")
            for line in more:
                self.write(f"{'':{wide}}  {line}")

    def table(
        self,
        document: Any,
        names: Sequence[str],
        rows: Sequence[Sequence[Cell]],
        *,
        empty: str = "",
        grouped: bool = True,
    ) -> None:
        """A list. `empty` is said (on stderr) where there is none.

        `grouped`: counts, whose digits are grouped; a column of data may hold years.
        """
        if self.options.json:
            self.json(document)
            return
        if not rows:
            if empty:
                self.say(empty)
            return
        if not self.terminal:
            self.write("\n".join("\t".join(map(plain, row)) for row in rows))
            return
        told = [[one_line(text(it)) if grouped else plain(it) for it in row] for row in rows]
        right = [all(isinstance(row[at], int | float) for row in rows) for at in range(len(names))]
        self.write("\n".join(aligned(names, told, right=right, width=self.width, dim=self._dim)))

    def _dim(self, told: str) -> str:
        return self.colour(told, "dim")

    # asking people

    def confirm(self, question: str, *, option: str = "--yes") -> None:
        """Go on only if somebody says so; Invalid names the option that answers it."""
        if self.options.yes:
            return
        self._may_ask(question, option)
        if not typer.confirm(question, default=False, err=True):
            raise typer.Exit(int(Exit.FAILED))

    def ask(self, question: str, *, option: str, default: str | None = None) -> str:
        """A text that somebody types; Invalid names the option that answers it."""
        if self.options.no_input or not self._asks():
            if default is not None:
                return default
            self._may_ask(question, option)
        return str(typer.prompt(question, default=default, err=True))

    def _asks(self) -> bool:
        return sys.stdin is not None and sys.stdin.isatty()

    def _may_ask(self, question: str, option: str) -> None:
        if self.options.no_input or not self._asks():
            raise Invalid(
                f"somebody has to answer: {question}",
                code="usage",
                cause="nobody can be asked here",
                mend=f"give {option}",
            )


def talk_of(context: typer.Context) -> Talk:
    """The run that a command belongs to."""
    found = context.find_root().obj
    assert isinstance(found, Talk), "commands are run by root.run"
    return found


# errors


def _title(error: CorridorError) -> str:
    known = CODES.get(error.code)
    return known.title if known else "refused"


def error_document(error: CorridorError) -> dict[str, Any]:
    """An error as --json tells it."""
    told: dict[str, Any] = {
        "code": error.code,
        "message": error.what or _title(error),
        "cause": cause_of(error) or "; ".join(faults_of(error)),
        "mend": mend_of(error),
        "reference": error.reference,
        "help": error.help,
    }
    for name in ("rule", "would_pass", "resets_at", "waiting_for", "since", "side", "step"):
        value = getattr(error, name, "")
        if value not in ("", 0):
            told[name] = value
    problems = getattr(error, "problems", ())
    if problems:
        told["problems"] = [problem_document(it) for it in problems]
    return told


def problem_document(it: Problem) -> dict[str, Any]:
    """One fault as --json tells it."""
    return {"path": it.path, "message": it.message, "code": it.code, "line": it.line,
            "source": it.source, "mend": it.mend}  # fmt: skip


def cause_of(error: CorridorError) -> str:
    """Why: its own words, else what its class knows."""
    if error.cause:
        return error.cause
    if isinstance(error, Pending) and error.waiting_for:
        return f"{error.waiting_for}, since {moment(error.since)}"
    if isinstance(error, BudgetSpent) and error.resets_at:
        return f"it resets at {moment(error.resets_at)}"
    return ""


def mend_of(error: CorridorError) -> str:
    """What would help."""
    if isinstance(error, QueryRefused) and error.would_pass:
        return error.would_pass
    if isinstance(error, BudgetSpent) and error.resets_at:
        return f"wait until {moment(error.resets_at)}, or ask for more: corridor request --terms"
    return error.mend.replace("REFERENCE", error.reference or "REFERENCE")


def error_lines(error: CorridorError, width: int) -> list[str]:
    """Cause, problems, mend and help, under the first line."""
    lines: list[str] = []
    cause = cause_of(error)
    rule = error.rule if isinstance(error, Refused) else ""
    if cause or rule:
        told = f"{cause}{'   ' if cause and rule else ''}{f'rule {rule}' if rule else ''}"
        lines += labelled("cause", told, width)
    for told in faults_of(error):
        lines += labelled("" if lines else "cause", told, width)
    if mend := mend_of(error):
        lines += labelled("mend", mend, width)
    reference = f" · reference {error.reference}" if error.reference else ""
    lines += labelled("help", f"{error.help}{reference}", width)
    return lines


def _sentence(told: str) -> str:
    """With a capital; a command stays as it is typed."""
    return told if told.startswith("corridor ") else told[:1].upper() + told[1:]


def faults_of(error: CorridorError) -> list[str]:
    """A line for each of its problems; none where the one it has is what it says already."""
    problems = error.problems if isinstance(error, Invalid) else ()
    if len(problems) == 1 and problems[0].message in error.what:
        return []
    told = []
    for it in problems:
        place = f"{it.source}:{it.line}  " if it.source and it.line else ""
        mend = f" {_sentence(it.mend)}" if it.mend else ""
        stop = "" if it.message.endswith((".", "?", "!")) else "."
        told.append(f"{place}{it.path}: {it.message}{stop}{mend} [{it.code}]")
    return told


def labelled(label: str, told: str, width: int) -> list[str]:
    """A line under a label, folded."""
    first, *more = wrapped(told, max(width - 9, 40))
    return [f"  {label:5}  {first}", *(f"         {it}" for it in more)]


# words


def told_as_json(document: object) -> str:
    """One document, readable, in UTF-8 (not escaped)."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode()


def text(cell: Cell) -> str:
    """A value for people."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, int):
        return f"{cell:,}"
    if isinstance(cell, list | tuple):
        return ", ".join(text(it) for it in cell)
    if isinstance(cell, Path):
        return str(cell)
    return safe(str(cell))


def plain(cell: Cell) -> str:
    """A value for programs: one line, numbers without grouping."""
    if isinstance(cell, int | float) and not isinstance(cell, bool):
        return str(cell)
    return one_line(text(cell))


def str_lines(cell: Cell) -> list[str]:
    """The lines of a value for programs, none where it is empty."""
    if isinstance(cell, str):
        return [line for line in map(one_line, safe(cell).splitlines()) if line]
    return [plain(cell)] if plain(cell) else []


def safe(told: str) -> str:
    """Text of others without what a terminal would obey: controls and direction marks are shown."""
    return "".join(
        it if it in "\n\t" or unicodedata.category(it) not in ("Cc", "Cf") else f"\\u{ord(it):04x}"
        for it in told
    )


def one_line(told: str) -> str:
    """Without tabs and line ends."""
    return " ".join(told.split())


def wrapped(told: str, width: int) -> list[str]:
    """Folded, its own line ends kept."""
    folded: list[str] = []
    for line in told.splitlines() or [""]:
        folded += textwrap.wrap(line, width, break_on_hyphens=False) or [""]
    return folded


def aligned(
    names: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Sequence[bool],
    width: int,
    dim: Callable[[str], str],
) -> list[str]:
    """A table for a terminal: the widest column gives way where it is too wide."""
    wide = [max(_wide(it) for it in column) for column in zip(names, *rows, strict=True)]
    while sum(wide) + 2 * (len(wide) - 1) > width and max(wide) > 12:
        wide[wide.index(max(wide))] -= 1
    lines = []
    for row in (names, *rows):
        cells = [
            _fitted(it, most, right=numbers)
            for it, most, numbers in zip(row, wide, right, strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    return [dim(lines[0]), *lines[1:]]


def _wide(told: str) -> int:
    """Columns that a terminal takes for it."""
    return sum(2 if unicodedata.east_asian_width(it) in "WF" else 1 for it in told)


def _fitted(told: str, most: int, *, right: bool) -> str:
    while _wide(told) > most:
        told = told[:-2] + "…"
    room = " " * (most - _wide(told))
    return room + told if right else told + room


def moment(told: str | None) -> str:
    """A time of the API for people: to the minute, with its zone."""
    if not told or len(told) < 16 or told[10] != "T":
        return told or ""
    utc = told.endswith(("Z", "+00:00"))
    return f"{told[:10]} {told[11:16]} UTC" if utc else told


def short(identity: str) -> str:
    """The beginning of an id; commands take it so.

    13 characters: that is a UUIDv7's whole time, the first 8 are alike for a minute.
    """
    return identity.removeprefix("urn:uuid:")[:13]


def size(count: int) -> str:
    """Bytes for people."""
    amount, unit = float(count), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if amount < 1000 or unit == "TB":
            break
        amount /= 1000
    return f"{count} B" if unit == "B" else f"{amount:.1f} {unit}"


def duration(seconds: float) -> str:
    """A time span for people."""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
