# SPDX-License-Identifier: Apache-2.0
"""Institutions work on each other's data under an agreement both have signed.

Run `corridor demo` to see it. From Python: `corridor.connect()` (the SDK is loaded at first use,
so that the node, which is the same package, stays light).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from corridor.client import AsyncHome as AsyncHome
    from corridor.client import Home as Home
    from corridor.client import Receipt as Receipt
    from corridor.client import Terms as Terms
    from corridor.client import aconnect as aconnect
    from corridor.client import connect as connect
    from corridor.client import keys_from as keys_from
    from corridor.client import load_receipt as load_receipt
    from corridor.client import verify as verify
    from corridor.errors import BudgetSpent as BudgetSpent
    from corridor.errors import Changed as Changed
    from corridor.errors import CorridorError as CorridorError
    from corridor.errors import Ended as Ended
    from corridor.errors import EvidenceBroken as EvidenceBroken
    from corridor.errors import Invalid as Invalid
    from corridor.errors import NotAllowed as NotAllowed
    from corridor.errors import NotFound as NotFound
    from corridor.errors import NotReachable as NotReachable
    from corridor.errors import NotSignedIn as NotSignedIn
    from corridor.errors import Pending as Pending
    from corridor.errors import QueryRefused as QueryRefused
    from corridor.errors import Refused as Refused
    from corridor.errors import Unreadable as Unreadable

_HOMES = {
    "corridor.client": (
        "AsyncHome", "Home", "Receipt", "Terms", "aconnect", "connect", "keys_from",
        "load_receipt", "verify",
    ),
    "corridor.errors": (
        "BudgetSpent", "Changed", "CorridorError", "Ended", "EvidenceBroken", "Invalid",
        "NotAllowed", "NotFound", "NotReachable", "NotSignedIn", "Pending", "QueryRefused",
        "Refused", "Unreadable",
    ),
}  # fmt: skip
_NAMES = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_NAMES[name]), name)


def __dir__() -> list[str]:
    return sorted(_NAMES)
