# SPDX-License-Identifier: Apache-2.0
"""The lock holds what pyproject.toml asks for, by hash, and names no address."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CORE = PROJECT["project"]["dependencies"]
EXTRAS = PROJECT["project"]["optional-dependencies"]
GROUPS = PROJECT["dependency-groups"]
EVERY_EXTRA = [one for name, extra in EXTRAS.items() if name != "all" for one in extra]
SETS = {
    "run": [*CORE, *EXTRAS["tables"]],
    "all": [*CORE, *EVERY_EXTRA],
    "dev": [*CORE, *EVERY_EXTRA, *GROUPS["test"], *GROUPS["dev"]],
    "build": GROUPS["build"],
    "uv": GROUPS["bootstrap"],
    "data": GROUPS["data"],
}
PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+?)(?: ;.*)? \\$", re.MULTILINE)


@pytest.mark.parametrize("name", SETS)
def test_the_set_holds_what_is_asked_for(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    pins = [(canonicalize_name(package), version) for package, version in PIN.findall(text)]
    assert pins
    for asked in map(Requirement, SETS[name]):
        held = [version for package, version in pins if package == canonicalize_name(asked.name)]
        assert held, f"{asked} is not in {name}.txt: make requirements"
        assert all(asked.specifier.contains(version) for version in held), (asked, held)


@pytest.mark.parametrize("name", SETS)
def test_every_pin_has_a_hash_and_no_address(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    entries = [it for it in re.split(r"\n(?=[A-Za-z])", re.sub(r"(?m)^\s*#.*\n?", "", text)) if it]
    assert len(entries) == len(PIN.findall(text))
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "://" not in text
    assert "index-url" not in re.sub(r"(?m)^#.*$", "", text)


def test_no_file_is_left_over() -> None:
    assert {path.stem for path in (ROOT / "requirements").glob("*.txt")} == set(SETS)
