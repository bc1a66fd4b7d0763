# SPDX-License-Identifier: Apache-2.0
"""Requests that are done once however often they come: the Idempotency-Key (node.md g)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from corridor.engine.ground import Ground, Home, micros
from corridor.errors import Changed, CorridorError, Invalid, StoreUnavailable
from corridor.store.people import Answered
from corridor.store.unit import Conflict, Unit


@dataclass(frozen=True, slots=True)
class Ticket:
    """A request under a key, begun by us."""

    home: Home
    user: str
    key: str


class Once:
    """Keeps answers for a day. What failed may come again under its key."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._running: set[tuple[str, str, str]] = set()

    async def begin(
        self, home: Home, user: str, key: str, request: bytes
    ) -> Ticket | tuple[int, bytes]:
        """A ticket to go on with, or the status and answer of the same request before.

        Raises Changed (key-reused, still-running). A request whose process died may run again.
        """
        if len(key) > self._ground.limits.idempotency_key_chars_max or not key.isprintable():
            raise Invalid("this is no Idempotency-Key", cause="at most 64 printable characters")
        store = self._ground.store.of(home.slug).idempotency
        digest = hashlib.sha256(request).hexdigest()
        place = (home.slug, user, key)
        if place in self._running:
            raise Changed("the same request is under way", code="still-running")
        self._running.add(place)
        try:
            now = micros(self._ground.now())
            known = store.get(user, key)
            if known is not None and known.expires > now:
                if known.request_sha != digest:
                    raise Changed("this key came with another request", code="key-reused")
                if known.status is not None:
                    self._running.discard(place)
                    return known.status, bytes(known.answer or b"")
            record = Answered(
                participant=home.slug,
                user_id=user,
                key=key,
                request_sha=digest,
                expires=now + int(self._ground.limits.idempotency_kept_s * 1e6),
            )
            writes = (store.delete(user, key), store.insert(record))
            await self._ground.store.run(Unit(writes))
        except Conflict as conflict:
            self._running.discard(place)
            raise Changed("the same request is under way", code="still-running") from conflict
        except CorridorError:
            self._running.discard(place)
            raise
        return Ticket(home, user, key)

    async def done(self, ticket: Ticket, status: int, answer: bytes) -> None:
        """Keep the answer."""
        store = self._ground.store.of(ticket.home.slug).idempotency
        try:
            unit = Unit((store.finish(ticket.user, ticket.key, status, answer),))
            await self._ground.store.run(unit)
        except (Conflict, StoreUnavailable):
            return  # it was done; only its answer is not kept
        finally:
            self._running.discard((ticket.home.slug, ticket.user, ticket.key))

    async def failed(self, ticket: Ticket) -> None:
        """Forget it, so that it may come again."""
        store = self._ground.store.of(ticket.home.slug).idempotency
        try:
            await self._ground.store.run(Unit((store.delete(ticket.user, ticket.key),)))
        except (Conflict, StoreUnavailable):
            return
        finally:
            self._running.discard((ticket.home.slug, ticket.user, ticket.key))
