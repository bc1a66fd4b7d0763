# SPDX-License-Identifier: Apache-2.0
"""The least file of settings, to change in one place, and the problems a file has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from corridor.config import load
from corridor.errors import CODES, Exit, Invalid, Problem

LEAST = """\
[node]
public_url = "https://corridor.stat.example"

[[participant]]
id = "stat"
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "corridor.toml"
    path.write_text(text)
    return path


def problems(folder: Path, text: str, **given: Any) -> list[Problem]:
    with pytest.raises(Invalid) as told:
        load(write(folder, text), given.get("environ", {}), given.get("overrides"))
    assert told.value.code == told.value.problems[0].code
    for it in told.value.problems:
        assert CODES[it.code].exit is Exit.CONFIGURATION
    return list(told.value.problems)
