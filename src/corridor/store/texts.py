# SPDX-License-Identifier: Apache-2.0
"""The statements as text, read once from `sql/` (written there by `compile.py`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from corridor.store.unit import Statement

FOLDER = Path(__file__).parent / "sql"


@cache
def statements(dialect: str) -> Mapping[str, Statement]:
    """Every statement of a dialect by its name, `<table>.<verb>`."""
    text = (FOLDER / f"statements.{dialect}.sql").read_text(encoding="utf-8")
    made: dict[str, Statement] = {}
    for part in text.split("\n\n")[1:]:
        title, _, sql = part.partition("\n")
        name = title.removeprefix("-- ")
        made[name] = Statement(name, sql.strip().removesuffix(";"))
    return made


@cache
def schema(dialect: str) -> tuple[str, ...]:
    """The statements that make an empty database one of the newest revision."""
    text = (FOLDER / f"schema.{dialect}.sql").read_text(encoding="utf-8")
    return tuple(parts(text))


def parts(text: str) -> Iterator[str]:
    """Statements end in `;` and an empty line; a trigger's body has neither."""
    for part in text.split("\n\n"):
        lines = [line for line in part.splitlines() if not line.startswith("--")]
        if lines:
            yield "\n".join(lines).strip().removesuffix(";")
