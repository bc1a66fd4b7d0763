# SPDX-License-Identifier: Apache-2.0
"""What an operator looks after: the node, its keys, what could not be delivered, and events."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Collection

import msgspec

from corridor.engine.desk import paging
from corridor.engine.desk.means import Actor, Means, when, when_or_none
from corridor.engine.ground import Home, micros, stamp
from corridor.errors import Changed, Invalid, NotFound
from corridor.store.boxes import Queued
from corridor.store.events import Event
from corridor.store.keys import SigningKey
from corridor.store.unit import Conflict, Unit
from corridor.wire.home import (
    EventView,
    KeyView,
    LetterView,
    NodeInfo,
    Page,
    ParticipantView,
)

STATES = ("queued", "sending", "dead", "superseded", "done")
ROTATES = "dsp"
KEEP_ALIVE_S = 15.0


class NodeDesk:
    """The node itself."""

    def __init__(self, means: Means) -> None:
        self._means = means

    def info(self, *, ready: bool) -> NodeInfo:
        """The node, and who lives here."""
        counts = self._means.ground.store.node.outbox.counts()
        return NodeInfo(
            version=self._means.version,
            public_url=self._means.public_url,
            participants=self.participants(),
            services=sorted(self._means.ground.services),
            ready=ready,
            now=stamp(self._means.ground.now()),
            waiting=counts.get("queued", 0) + counts.get("sending", 0),
            dead_letters=counts.get("dead", 0),
        )

    def participants(self) -> list[ParticipantView]:
        """Who lives here."""
        return [
            ParticipantView(
                id=home.slug,
                did=home.did,
                title=dict(home.title),
                country=home.country,
                base_url=home.base_url,
                identity=self._means.modes.get(home.slug, ""),
            )
            for home in self._means.ground.homes.values()
        ]

    # keys

    def keys(self, home: Home) -> Page[KeyView]:
        """All keys, without their private halves."""
        return Page(items=[_key(it) for it in self._means.store(home).keys.list()])

    async def rotate(self, home: Home, actor: Actor, use: str) -> KeyView:
        """Publish the next key; it signs once partners have had the time to see it."""
        if use != ROTATES:
            raise Invalid(f"this version rotates keys of use {ROTATES} only")
        await self._means.engine.keyring.rotate(home, person=actor.user)
        keys = self._means.store(home).keys.list(use)
        return _key(next((it for it in keys if it.state == "next"), keys[-1]))

    # what could not be delivered

    def letters(self, home: Home, *, after: str, limit: int, state: str = "") -> Page[LetterView]:
        """Messages in a state, oldest first; without one, those that were given up."""
        wanted = state or "dead"
        if wanted not in STATES:
            raise Invalid(f"no such state; one of: {', '.join(STATES)}")
        store = self._means.store(home).outbox
        return paging.page(
            lambda at, most: store.page(wanted, at, most),
            lambda it: self._letter(home, it),
            after=after,
            limit=limit,
        )

    async def retry(self, home: Home, actor: Actor, message_id: str) -> LetterView:
        """Try once more; where that fails too it is a dead letter again."""
        row = await self._revive(home, actor, message_id, "outbox.retry")
        self._means.engine.deliver.put(row)
        return self._letter(home, row)

    async def abandon(self, home: Home, actor: Actor, message_id: str) -> LetterView:
        """Give it up: its process ends, on our side alone."""
        row = await self._revive(home, actor, message_id, "outbox.abandon")
        await self._means.engine.voice.abandon(home, row)
        return self._letter(home, self._get(home, message_id))

    async def _revive(self, home: Home, actor: Actor, message_id: str, action: str) -> Queued:
        row = self._get(home, message_id)
        if row.state != "dead":
            raise Changed("this message was not given up", cause=f"it is {row.state}")
        store = self._means.store(home).outbox
        now = micros(self._means.ground.now())
        leaf = self._means.acted(home, actor, action, message_id, process=row.process)
        try:
            await self._means.ground.store.run(Unit((store.revive(row, now),), (leaf,)))
        except Conflict as conflict:
            raise Changed("its process has gone on meanwhile") from conflict
        return self._get(home, message_id)

    def _get(self, home: Home, message_id: str) -> Queued:
        found = self._means.store(home).outbox.get(message_id)
        if found is None:
            raise NotFound("no such message")
        return found

    def _letter(self, home: Home, it: Queued) -> LetterView:
        waits = it.state in ("queued", "sending")
        return LetterView(
            id=it.message_id,
            process=it.process,
            partner=self._means.handle(home, it.peer),
            partner_did=it.peer,
            type=it.type,
            state=it.state,
            attempts=it.attempts,
            error=it.error or "",
            created=when(it.created),
            next_try=when(it.next_at) if waits else None,
        )

    # events

    def last_event(self, home: Home) -> int:
        """The newest position."""
        return self._means.store(home).events.last()

    async def events(
        self, home: Home, after: int, kinds: Collection[str]
    ) -> AsyncIterator[EventView | None]:
        """Events behind a position, as they happen; None now and then, to keep a line open."""
        store = self._means.store(home).events
        place = [after]

        def look() -> list[Event] | None:
            return store.after(place[0], paging.PAGE) or None

        while True:
            some = await self._means.ground.bells.until("events", look, KEEP_ALIVE_S)
            if some is None:
                yield None
                continue
            for it in some:
                place[0] = it.pk or place[0]
                if not kinds or it.kind in kinds or it.kind.partition(".")[0] in kinds:
                    yield _event(it)


def _key(it: SigningKey) -> KeyView:
    public = b"" if it.alg == "HMAC" else bytes(it.public)
    return KeyView(
        kid=it.kid,
        use=it.use,
        alg=it.alg,
        state=it.state,
        public=urlsafe_b64encode(public).decode().rstrip("="),
        valid_from=when_or_none(it.valid_from),
        valid_until=when_or_none(it.valid_until),
        created=when(it.created),
    )


def _event(it: Event) -> EventView:
    return EventView(
        id=str(it.pk),
        kind=it.kind,
        subject=it.subject,
        at=when(it.at),
        data=msgspec.json.decode(it.data),
    )
