# SPDX-License-Identifier: Apache-2.0
"""Settings as a commented file: what `corridor init` writes and `config show` prints."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import msgspec

from corridor.limits import Limits
from corridor.settings.sections import PARTICIPANT, REQUIRED, SECTIONS, Config


def to_toml(config: Config) -> str:
    """The whole file with comments: what was set is set, every default is shown as a comment."""
    lines = ["# Settings of a Corridor node. Every default is shown; durations 30m, sizes 10MiB."]
    for section, rows in SECTIONS.items():
        lines += ["", f"[{section}]"]
        values = _section_of(config, section)
        for key, row in rows.items():
            given = config.origins.get(f"{section}.{key}", "default") != "default"
            shown = row.kind.write(values[key]) if given else row.default
            about = f"  # {row.about}" if row.about else ""
            told = "" if shown is REQUIRED else _toml(shown)
            lines.append(f"{'' if given else '# '}{key} = {told}{about}")
    for participant in config.participants:
        lines += ["", "[[participant]]"]
        for key, row in PARTICIPANT.items():
            value = row.kind.write(getattr(participant, key))
            off = "# " if value == row.default else ""
            lines.append(f"{off}{key} = {_toml(value)}  # {row.about}")
    return "\n".join(lines) + "\n"


def _section_of(config: Config, section: str) -> dict[str, Any]:
    found: Any = config
    for name in section.split("."):
        found = getattr(found, name)
    if isinstance(found, Limits):
        return {it.name: getattr(found, it.name) for it in fields(found)}
    return {it.name: getattr(found, it.name) for it in msgspec.structs.fields(found)}


def _toml(value: Any) -> str:
    """A value as TOML; strings as JSON writes them, which TOML reads alike."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_toml(key)} = {_toml(it)}" for key, it in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return msgspec.json.encode(value).decode()
