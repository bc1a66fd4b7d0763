# SPDX-License-Identifier: Apache-2.0
"""The engine whole: its parts, wired to each other, started and stopped in order.

No logic of its own; `app.build` makes one and hands it to the HTTP floor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Literal, Protocol

import structlog

from corridor import telemetry
from corridor.engine.acts import Acts
from corridor.engine.agreements import Agreements
from corridor.engine.alarms import Alarms
from corridor.engine.catalog import Catalog
from corridor.engine.clerk import Clerk
from corridor.engine.decide import ByTerms, Decide, Speak
from corridor.engine.deliver import Deliver
from corridor.engine.draft import Record, Talk, process_of
from corridor.engine.endings import Endings
from corridor.engine.ground import Ground, Home
from corridor.engine.hear import Ear
from corridor.engine.keyring import Keyring
from corridor.engine.library import Library, People
from corridor.engine.negotiate import Negotiations
from corridor.engine.notary import Notary, Proven
from corridor.engine.push import Push
from corridor.engine.reach import Reach
from corridor.engine.reception import Reception
from corridor.engine.renewal import Renewal
from corridor.engine.sessions import Sessions
from corridor.engine.transfer import Transfers
from corridor.engine.voice import END, Voice
from corridor.errors import Changed, CorridorError, NotFound, Unauthenticated
from corridor.policy.judge import Who
from corridor.protocol.transfer import Step
from corridor.store.ledger import Entry

log = structlog.get_logger()


class Rate(Protocol):
    """Bounds how often somebody may ask."""

    def take(self, key: str) -> None:
        """Once more; raises PeerMustWait."""
        ...

    def spend(self, key: str, tokens: float) -> None:
        """What the last request cost beyond one; the next ones wait for it."""
        ...


class Engine:
    """Everything that acts, for all participants of a node."""

    def __init__(
        self,
        ground: Ground,
        *,
        people: Mapping[str, Who],
        published: Callable[[str, bytes], None],
        key_uses: tuple[str, ...],
        seam: Callable[[Decide], Decide] | None = None,
        rates: tuple[Rate, Rate] | None = None,
    ) -> None:
        self.ground = ground
        self.clerk = Clerk(ground.world)
        self.keyring = Keyring(ground, self.clerk, uses=key_uses, published=published)
        self.library = Library(ground, People(people))
        decide: Decide = ByTerms(self.library)
        if seam is not None:
            decide = seam(decide)
        self.agreements = Agreements(ground, self.library)
        self.sessions = Sessions(ground, self.clerk, self.library, self.keyring)
        self.negotiations = Negotiations(ground, self.library, self.agreements, decide)
        self.transfers = Transfers(ground, self.sessions, decide)
        talks: dict[str, Talk] = {"negotiation": self.negotiations, "transfer": self.transfers}
        self.deliver = Deliver(ground)
        self.ear = Ear(ground, self.clerk, self.deliver)
        self.voice = Voice(ground, self.clerk, self.deliver, talks)
        self.reception = Reception(
            ground,
            self.clerk,
            self.library,
            self.ear,
            self.voice,
            self.negotiations,
            self.transfers,
        )
        self.acts = Acts(ground, self.clerk, self.library, self.sessions)
        self.push = Push(ground, self.sessions, self.acts, self.transfers, self.voice)
        self.notary = Notary(ground, self.clerk, self.keyring)
        self.renewal = Renewal(ground, self.clerk, self.sessions, self.transfers)
        self.catalog = Catalog(ground, self.library, self.keyring)
        self.reach = Reach(ground, self.reception, self.transfers, self.renewal, self.voice)
        self.endings = Endings(ground, self.clerk, self.sessions, self.voice, self.transfers)
        self.alarms = Alarms(
            ground,
            {
                "negotiation": lambda home, pid: self.voice.late(home, self.negotiations, pid),
                "transfer": lambda home, pid: self.voice.late(home, self.transfers, pid),
                "agreement": self.endings.expire,
                "withdrawal": self.endings.take_effect,
                "key": lambda home, _: self.keyring.promote(home),
                "key-retire": lambda home, _: self.keyring.retire(home),
            },
        )
        self.sessions.opened = self._opened
        self.sessions.not_opened = self._not_opened
        self.transfers.pushing = self.push.begin
        self.broken: tuple[str, ...] = ()
        self.strangers: Rate
        self.peers_rate: Rate
        self.strangers, self.peers_rate = rates or (_Unbounded(), _Unbounded())

    async def prepare(self, *, make_keys: bool = True) -> None:
        """What must be true before anybody may call: keys, and acts of the last run closed."""
        await self.keyring.start(make=make_keys)
        self.broken = tuple(self._broken())
        for home in self.ground.homes.values():
            await self.agreements.check(home, self.clerk)
        await self.acts.recover()

    def _broken(self) -> Iterator[str]:
        """Processes that cannot be: told, never guessed at (node.md a, Recovery)."""
        for home in self.ground.homes.values():
            store = self.ground.store.of(home.slug)
            stuck: list[Record] = [*store.negotiations.stuck(), *store.transfers.stuck()]
            for it in stuck:
                log.error(telemetry.INVARIANT_BROKEN, process=it.pid, pending=it.pending)
                yield it.pid

    async def begin(self) -> None:
        """Act: deliver, open, push and wake what the store says is due. Peers can reach us now."""
        await self.deliver.start()
        await self.sessions.recover()
        await self.endings.recover()
        await self.push.recover()
        await self.alarms.start()
        await self.notary.start()

    async def hush(self) -> None:
        """Wake nobody and send nothing more; sends under way have `stop_sends_s`."""
        await self.alarms.stop()
        await self.deliver.stop(self.ground.limits.stop_sends_s)

    async def stop(self) -> None:
        """Begin nothing more; what is under way ends or stays due."""
        await self.alarms.stop()
        await self.push.stop()
        await self.acts.stop()
        await self.sessions.stop()
        await self.deliver.stop(self.ground.limits.stop_sends_s)
        await self.notary.stop()

    # what sessions come to

    async def _opened(self, home: Home, pid: str) -> None:
        """The service is ready: tell the consumer where."""
        try:
            await self.voice.wish(home, self.transfers, pid, Speak(step=Step.START))
        except Changed:
            return  # ended meanwhile; its session closes with it

    async def _not_opened(self, home: Home, pid: str, code: str) -> None:
        speech = Speak(step=Step.TERMINATE, code=code, reasons=(code,))
        try:
            await self.voice.wish(home, self.transfers, pid, speech)
        except Changed:
            return

    # what the HTTP floor asks

    def show(self, home: Home, talk: Talk, pid: str, caller: str) -> bytes:
        """A process as its counter-party may see it."""
        record = talk.find(home, pid)
        if record is None or record.peer != caller:
            raise NotFound("no such process")
        return talk.answer(record, talk.machine.shown(process_of(record)))

    async def after_refusal(
        self, names: Mapping[str, str], talk: Talk, error: CorridorError
    ) -> None:
        """An agreement that differs from what was asked ends the negotiation."""
        home = self.ground.homes.get(names["participant"])
        if error.code != "agreement-differs" or home is None:
            return
        try:
            speech = Speak(step=END, code=error.code, reasons=(error.what,))
            await self.voice.wish(home, talk, names["pid"], speech)
        except (Changed, NotFound):
            return

    async def receipt(self, home: Home, sid: str, token: str | None, entry_id: str) -> Proven:
        """A receipt of a session, for the holder of its token, also after its end."""
        self.sessions.recognise(home, sid, token)
        store = self.ground.store.of(home.slug)

        def look() -> Entry | Literal[False] | None:
            found = store.ledger.by_id(entry_id)
            return found or (None if store.acts.open_of_session(sid) else False)

        # The last byte may be there before its receipt is: while acts are open, one may come.
        wait_s = self.ground.limits.receipt_wait_s
        entry: Entry | Literal[False] | None
        entry = await self.ground.bells.until(f"acts|{sid}", look, wait_s)
        if not entry or f'"session":"{sid}"' not in bytes(entry.body).decode():
            raise NotFound("no such receipt")
        return await self.notary.prove(home, entry_id)

    def note_refusal(self, path: str, error: CorridorError, status: int) -> None:
        """What a peer was refused, for the operator."""
        name = (
            telemetry.IDENTITY_REFUSED
            if isinstance(error, Unauthenticated)
            else telemetry.DSP_REFUSED
        )
        level = "error" if status >= 500 and status != 503 else "info"
        getattr(log, level)(name, path=path, code=error.code, why=error.what, cause=error.cause)


class _Unbounded:
    """No rate limit: the simulator's peers have none."""

    def take(self, key: str) -> None:
        """Always."""

    def spend(self, key: str, tokens: float) -> None:
        """Nothing."""


__all__ = ["Engine"]
