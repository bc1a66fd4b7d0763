# SPDX-License-Identifier: Apache-2.0
"""The SDK: a synchronous and an asynchronous client from one flow a call.

`connect()` and `aconnect()` are the way in; each name is loaded at its first use, so that a program
without an event loop does not load aiohttp. It knows the words (`wire`), the errors and the maths
of evidence, and nothing of how a node works.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from corridor.client.async_home import AsyncAsset as AsyncAsset
    from corridor.client.async_home import AsyncDeal as AsyncDeal
    from corridor.client.async_home import AsyncHome as AsyncHome
    from corridor.client.async_home import AsyncOffer as AsyncOffer
    from corridor.client.async_home import AsyncOffers as AsyncOffers
    from corridor.client.async_home import AsyncPages as AsyncPages
    from corridor.client.async_home import AsyncPartner as AsyncPartner
    from corridor.client.async_home import AsyncResult as AsyncResult
    from corridor.client.async_home import aconnect as aconnect
    from corridor.client.faces import Terms as Terms
    from corridor.client.files import Fetched as Fetched
    from corridor.client.files import RemoteFile as RemoteFile
    from corridor.client.home import Asset as Asset
    from corridor.client.home import Deal as Deal
    from corridor.client.home import Home as Home
    from corridor.client.home import Offer as Offer
    from corridor.client.home import Offers as Offers
    from corridor.client.home import Pages as Pages
    from corridor.client.home import Partner as Partner
    from corridor.client.home import Result as Result
    from corridor.client.home import connect as connect
    from corridor.client.receipts import Receipt as Receipt
    from corridor.client.receipts import keys_from as keys_from
    from corridor.client.receipts import load_receipt as load_receipt
    from corridor.client.receipts import verify as verify

HOMES: dict[str, tuple[str, ...]] = {
    "async_home": (
        "AsyncAsset", "AsyncDeal", "AsyncHome", "AsyncOffer", "AsyncOffers", "AsyncPages",
        "AsyncPartner", "AsyncResult", "aconnect",
    ),
    "faces": ("Terms",),
    "files": ("Fetched", "RemoteFile"),
    "home": (
        "Asset", "Deal", "Home", "Offer", "Offers", "Pages", "Partner", "Result", "connect",
    ),
    "receipts": ("Receipt", "keys_from", "load_receipt", "verify"),
}  # fmt: skip
"""Which module has which public name."""
NAMES = {name: module for module, names in HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{NAMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(NAMES)
