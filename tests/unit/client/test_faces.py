# SPDX-License-Identifier: Apache-2.0
"""Both clients have the same names and signatures, and importing them costs little."""

from __future__ import annotations

import inspect
import subprocess
import sys
from typing import Any

import pytest

import corridor
from corridor import client
from corridor.client import async_home, home

PAIRS = ("Home", "Pages", "Partner", "Asset", "Deal", "Result", "Offers", "Offer")


def public(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


def signature(it: Any) -> str:
    if isinstance(it, property):
        return "property"
    told = str(inspect.signature(it)).replace("Async", "").replace("'", "")
    return told.replace("Iterator", "Iterator")


@pytest.mark.parametrize("name", PAIRS)
def test_the_same_names_and_signatures(name: str) -> None:
    one, other = getattr(home, name), getattr(async_home, f"Async{name}")
    assert public(one) == public(other)
    for it in sorted(public(one)):
        ours, theirs = (inspect.getattr_static(kind, it) for kind in (one, other))
        assert signature(ours) == signature(theirs), it


def test_connecting_takes_the_same() -> None:
    assert signature(home.connect) == signature(async_home.aconnect)


def test_every_public_name_is_there() -> None:
    for name in dir(client):
        assert getattr(client, name) is not None
    for name in dir(corridor):
        assert getattr(corridor, name) is not None
    assert corridor.connect is client.connect
    with pytest.raises(AttributeError):
        _ = corridor.disconnect  # type: ignore[attr-defined]


def test_importing_loads_no_client() -> None:
    code = (
        "import sys, corridor, corridor.errors;"
        "assert not [it for it in sys.modules if it.startswith('corridor.client')];"
        "import corridor.client.home;"
        "assert not {'aiohttp', 'pyarrow', 'corridor.engine'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
