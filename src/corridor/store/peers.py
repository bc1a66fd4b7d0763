# SPDX-License-Identifier: Apache-2.0
"""Peers: whom a participant knows, and how they were last seen (node.md b)."""

from __future__ import annotations

from typing import Annotated

import msgspec

from corridor.store.rows import PAGE, Bound, Changing, Record
from corridor.store.unit import Write


class Quirks(msgspec.Struct, frozen=True, kw_only=True):
    """What is peculiar to a partner's software (node.md c).

    `settle_ms`: how long a step of ours waits before it is first sent, because theirs may not be
    finished when they have answered (EDC 100).
    """

    settle_ms: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 0


class Peer(Record, frozen=True, kw_only=True):
    """A partner. `handle` is the short name people type; `quirks` (`Quirks`) and `detail` are JSON.

    `failures` counts deliveries that failed in a row; `down_until` is set while it is down.
    """

    participant: str = ""
    did: str
    handle: str
    title: str = ""
    address: str = ""
    version: str = ""
    quirks: bytes = b"{}"
    callback_check: str | None = None
    last_seen: int | None = None
    failures: int = 0
    down_until: int | None = None
    detail: bytes = b"{}"
    created: int
    ver: int = 1


class Peers(Changing[Peer]):
    """A participant's peers."""

    def __init__(self, bound: Bound) -> None:
        super().__init__(bound, "peer", Peer)

    def get(self, did: str) -> Peer | None:
        """By DID."""
        return self._one("get", did=did)

    def by_handle(self, handle: str) -> Peer | None:
        """By the name people type."""
        return self._one("by-handle", handle=handle)

    def page(self, after: int = 0, limit: int = PAGE) -> list[Peer]:
        """Oldest first, behind row `after`."""
        return self._list("page", after=after, limit=limit)

    def list(self) -> list[Peer]:
        """All of them, oldest first."""
        found: list[Peer] = []
        while more := self.page(after=(found[-1].pk or 0) if found else 0):
            found += more
        return found

    def upsert(self, record: Peer) -> Write:
        """Insert, or change what is known of this DID: last writer wins, no version is compared."""
        return self._write("put", **{it: getattr(record, it) for it in self._fields})

    def delete(self, record: Peer) -> Write:
        """Forget it; Conflict where somebody changed it since it was read."""
        return self._write("delete", did=record.did, ver=record.ver)

    def count(self) -> int:
        """How many there are."""
        return self._count("count")
