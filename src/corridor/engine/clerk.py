# SPDX-License-Identifier: Apache-2.0
"""Writes the ledger's entries (evidence.md 2.2): canonical bodies, and sealed bytes beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from corridor.engine.ground import Home, micros
from corridor.evidence import entry
from corridor.store.unit import Leaf, Payload
from corridor.world import World


class Clerk:
    """Makes leaves; the unit that they belong to stores them."""

    def __init__(self, world: World) -> None:
        self._world = world

    def leaf(
        self,
        home: Home,
        kind: str,
        *,
        payloads: Mapping[str, bytes] | None = None,
        id_: str | None = None,
        salts: Mapping[str, bytes] | None = None,
        **fields: Any,
    ) -> Leaf:
        """An entry of type `kind`; each payload is salted, digested and sealed beside it.

        `salts` gives the salt of a slot whose digest others compute (a receipt's response).
        Fields that are None or empty are left out, as the canonical form wants.
        """
        now = self._world.clock.now()
        identity = id_ or self._world.chance.uuid7()
        slots: dict[str, Any] = {}
        kept: list[Payload] = []
        for slot, data in (payloads or {}).items():
            salt = (salts or {}).get(slot) or self._world.chance.bytes(32)
            digest = entry.slot_digest(salt, data)
            slots[slot] = {"bytes": len(data), "digest": digest}
            sealed = self._world.keys.seal(f"payload|{home.slug}|{digest}", salt + data)
            kept.append(Payload(slot=slot, digest=digest, sealed=sealed))
        told = {name: value for name, value in fields.items() if value not in (None, "", {})}
        if slots:
            told["payloads"] = {**slots, **told.get("payloads", {})}
        body = entry.body(
            id=identity, time=now, type=kind, nonce=self._world.chance.bytes(16), **told
        )
        return Leaf(
            participant=home.slug,
            id=identity,
            type=kind,
            thread=told.get("agreement") or told.get("process"),
            time=micros(now),
            body=body,
            payloads=tuple(kept),
        )

    def open(self, home: Home, payload_digest: str, sealed: bytes) -> tuple[bytes, bytes]:
        """(salt, bytes) of a sealed payload."""
        plain = self._world.keys.open(f"payload|{home.slug}|{payload_digest}", sealed)
        return plain[:32], plain[32:]

    def wrap(
        self,
        home: Home,
        body: bytes,
        *,
        id_: str,
        kind: str,
        thread: str,
        kept: Mapping[str, tuple[str, bytes, bytes]],
    ) -> Leaf:
        """An entry whose body somebody else made. `kept`: slot to (digest, salt, bytes beside)."""
        payloads = tuple(
            Payload(
                slot=slot,
                digest=digest,
                sealed=self._world.keys.seal(f"payload|{home.slug}|{digest}", salt + data),
            )
            for slot, (digest, salt, data) in kept.items()
        )
        return Leaf(
            participant=home.slug,
            id=id_,
            type=kind,
            thread=thread,
            time=micros(self._world.clock.now()),
            body=body,
            payloads=payloads,
        )
