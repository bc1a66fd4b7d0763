# SPDX-License-Identifier: Apache-2.0
"""The people of a Corridor node: a `Person` of `people`, by way of the engine's own verbs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec

from corridor.engine import Engine
from corridor.engine.decide import Speak
from corridor.engine.draft import Talk
from corridor.engine.ground import Home
from corridor.errors import Changed, Ended, NotFound
from corridor.policy import odrl
from corridor.protocol.negotiation import Step as N
from corridor.protocol.transfer import State
from corridor.protocol.transfer import Step as T
from corridor.store.agreements import Agreement
from corridor.wire.catalog import CatalogRequestMessage, decode_catalog
from corridor.wire.codec import encode
from corridor.world import Request

MANY_ROWS = 20


class Staff:
    """Everybody who works at `home`."""

    def __init__(self, engine: Engine, home: Home) -> None:
        self._engine = engine
        self._home = home
        self._store = engine.ground.store.of(home.slug)
        self._fetched = 0

    def _dsp_url(self, did: str) -> str:
        host, _, slug = did.removeprefix("did:web:").partition(":")
        return f"https://{host}/{slug}/dsp/2025-1"

    async def request(self, provider: str) -> str:
        """Look into the provider's catalogue and ask for the first offer of the first dataset."""
        base = self._dsp_url(provider)
        body = encode(CatalogRequestMessage())
        token = await self._home.identify.authorize(
            slug=self._home.slug, did=self._home.did, audience=provider, body=body
        )
        answer = await self._engine.ground.world.net.fetch(
            Request(
                purpose="dsp",
                method="POST",
                url=f"{base}/catalog/request",
                headers={"authorization": token, "content-type": "application/json"},
                body=body,
            )
        )
        if answer.status != 200:
            raise NotFound("no catalogue")
        limits = self._engine.ground.limits
        datasets = decode_catalog(answer.body, limits=limits).dataset
        if not datasets:
            raise NotFound("nothing is offered")
        shown = {**datasets[0].has_policy[0], "@type": "Offer", "target": datasets[0].id_}
        model = odrl.read(shown, limits=limits)
        begun = await self._engine.reception.request(
            self._home,
            peer=provider,
            base=base,
            asset=str(datasets[0].id_),
            offer=shown,
            wish_sha=model.terms_hash,
            service="tables",
        )
        return begun.pid

    def _talk(self, pid: str) -> Talk:
        if self._store.negotiations.get(pid) is not None:
            return self._engine.negotiations
        return self._engine.transfers

    async def _wish(self, pid: str, step: str, **more: Any) -> None:
        speech = Speak(step=step, **more)
        await self._engine.voice.wish(self._home, self._talk(pid), pid, speech)

    async def counter(self, pid: str) -> None:
        """Ask once more for what we asked for, as an offer of our own."""
        it = self._store.negotiations.get(pid)
        if it is None or it.offer_raw is None:
            raise NotFound("nothing to counter")
        fresh = f"urn:uuid:{self._engine.ground.world.chance.uuid7()}"
        await self._wish(pid, N.REQUEST, offer={**msgspec.json.decode(it.offer_raw), "@id": fresh})

    async def accept(self, pid: str) -> None:
        """Say yes."""
        await self._wish(pid, N.ACCEPT)

    async def terminate(self, pid: str) -> None:
        """Say no."""
        await self._wish(pid, N.TERMINATE, code="refused")

    def _agreement(self, agreement_id: str) -> Agreement:
        found = self._store.agreements.get(agreement_id, "consumer")
        if found is None:
            raise NotFound("no such agreement")
        if found.state != "live":
            raise Ended("it is not live")
        return found

    async def transfer(self, agreement_id: str) -> str:
        """Ask for a session."""
        agreement = self._agreement(agreement_id)
        begun = await self._engine.reception.transfer(
            self._home,
            agreement_id=agreement_id,
            peer=agreement.peer,
            base=self._dsp_url(agreement.peer),
            format_="CorridorTables-PULL",
        )
        return begun.pid

    async def fetch(self, agreement_id: str) -> int:
        """Read a few rows, every second time many."""
        agreement = self._agreement(agreement_id)
        self._fetched += 1
        limit = MANY_ROWS if self._fetched % 2 else 1
        body = msgspec.json.encode({"select": ["a"], "limit": limit})
        size = 0
        async with self._engine.reach.request(
            self._home, agreement, method="POST", path="", headers={}, body=body
        ) as streamed:
            async for block in streamed.blocks():
                size += len(block)
        return size

    async def suspend(self, pid: str) -> None:
        """Pause."""
        await self._wish(pid, T.SUSPEND)

    async def resume(self, pid: str) -> None:
        """Go on with what is suspended."""
        it = self._store.transfers.get(pid)
        if it is None or it.state != State.SUSPENDED:
            raise Changed("it is not suspended")
        await self._wish(pid, T.START)

    async def complete(self, pid: str) -> None:
        """Call it done."""
        await self._wish(pid, T.COMPLETE)

    async def withdraw(self, agreement_id: str) -> None:
        """Take back."""
        await self._engine.endings.withdraw(
            self._home, agreement_id, reason="needed at home", notice=timedelta(), person="steward"
        )

    async def give_back(self, agreement_id: str) -> None:
        """Hand back."""
        await self._engine.endings.give_back(
            self._home, agreement_id, reason="done with it", person="analyst"
        )
