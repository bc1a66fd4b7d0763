# SPDX-License-Identifier: Apache-2.0
"""Options that every command has, taken off the line wherever they stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from corridor.errors import Invalid


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What was said for all commands. Texts are empty where nothing was said."""

    json: bool = False
    yes: bool = False
    quiet: bool = False
    verbose: bool = False
    no_color: bool = False
    no_input: bool = False
    version: bool = False
    profile: str = ""
    participant: str = ""
    config: str = ""
    lang: str = ""


_FLAGS = {f"--{it.name.replace('_', '-')}": it.name for it in fields(Options) if it.type == "bool"}
_TEXTS = {f"--{it.name}": it.name for it in fields(Options) if it.type == "str"}
LANGUAGES = ("en",)


def split(arguments: Sequence[str]) -> tuple[Options, list[str]]:
    """(the global options, the rest in its order). Behind `--` nothing is taken."""
    told: dict[str, bool | str] = {}
    rest: list[str] = []
    waiting = list(arguments)
    while waiting:
        word = waiting.pop(0)
        name, equals, value = word.partition("=")
        if word == "--":
            rest += [word, *waiting]
            break
        if word in _FLAGS:
            told[_FLAGS[word]] = True
        elif name in _TEXTS:
            if not equals:
                if not waiting:
                    raise Invalid(f"{name} needs a value", code="usage")
                value = waiting.pop(0)
            told[_TEXTS[name]] = value
        else:
            rest.append(word)
    options = Options(**told)  # type: ignore[arg-type]  # flags are bool and texts str by the tables above
    if options.lang and options.lang not in LANGUAGES:
        raise Invalid(
            f"no language {options.lang}", code="usage", cause=f"there is: {', '.join(LANGUAGES)}"
        )
    return options, rest
