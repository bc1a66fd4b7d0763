# SPDX-License-Identifier: Apache-2.0
"""What an error advises to type exists: each `corridor …` in our own words is a command."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

import corridor
from corridor.cli.root import COMMANDS, app

SOURCES = sorted(Path(corridor.__file__).parent.rglob("*.py"))
# A command of ours is in small letters; what follows it is another, an option or a name.
SAID = re.compile(r"(?:^|: |, |`)corridor ([a-z]+)(?: ([a-z][a-z-]+))?\b(?! = )")
GROUPS = frozenset({"offer", "deal", "audit", "partner", "key", "token", "config"})


def texts() -> Iterator[tuple[str, str, str]]:
    """(place, command, word behind it) of every advice in a string of the source."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg in {"mend", "would_pass"}:
                for part in ast.walk(node.value):
                    if isinstance(part, ast.Constant) and isinstance(part.value, str):
                        for name, word in SAID.findall(part.value):
                            yield f"{path.name}:{part.lineno}", name, word


def inner(name: str) -> list[str]:
    group = typer.main.get_command(app).get_command(None, name)  # type: ignore[union-attr,attr-defined,arg-type]  # a group of ours
    return group.list_commands(None)  # type: ignore[no-any-return,union-attr]  # the same


@pytest.mark.parametrize(("place", "name", "word"), sorted(set(texts())))
def test_advice_can_be_typed(place: str, name: str, word: str) -> None:
    assert name in COMMANDS, f"{place}: corridor {name}"
    if name in GROUPS and word:
        assert word in inner(name), f"{place}: corridor {name} {word}"


def test_advice_of_codes_can_be_typed() -> None:
    for code, it in corridor.errors.CODES.items():
        for name, word in SAID.findall(it.mend):
            assert name in COMMANDS, f"{code}: corridor {name}"
            if name in GROUPS and word:
                assert word in inner(name), f"{code}: corridor {name} {word}"
