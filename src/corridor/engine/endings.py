# SPDX-License-Identifier: Apache-2.0
"""How agreements end: withdrawn by the provider, given back by the consumer, expired.

The unit that ends one also cuts its sessions' streams before the person is answered; its transfers
are then told, each in its own turn.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog

from corridor import telemetry
from corridor.engine.clerk import Clerk
from corridor.engine.decide import Speak
from corridor.engine.ground import Ground, Home, micros, stamp
from corridor.engine.sessions import Sessions
from corridor.engine.transfer import RETURNED, WITHDRAWN, Transfers
from corridor.engine.voice import END, Voice
from corridor.errors import Changed, NotFound, PeerMustWait
from corridor.protocol.machine import Role
from corridor.store.agreements import Agreement
from corridor.store.sessions import Revocation
from corridor.store.unit import Conflict, Leaf, Unit, Write

CODES = {"withdrawn": WITHDRAWN, "returned": RETURNED, "expired": "agreement-ended"}
log = structlog.get_logger()


class Endings:
    """Ends agreements, on either side."""

    def __init__(
        self, ground: Ground, clerk: Clerk, sessions: Sessions, voice: Voice, transfers: Transfers
    ) -> None:
        self._ground = ground
        self._clerk = clerk
        self._sessions = sessions
        self._voice = voice
        self._transfers = transfers

    async def withdraw(
        self, home: Home, agreement_id: str, *, reason: str, notice: timedelta, person: str
    ) -> Agreement:
        """The provider ends it, at once or after the notice that was agreed."""
        record = self._live(home, agreement_id, Role.PROVIDER)
        if notice > timedelta():
            effective = self._ground.now() + notice
            store = self._ground.store.of(home.slug)
            leaf = self._leaf(home, record, "agreement.withdrawn", reason, person, effective)
            writes = (
                store.agreements.update(record, reason=reason, changed=self._now()),
                store.wakes.put("withdrawal", agreement_id, micros(effective)),
            )
            await self._ground.store.run(Unit(writes, (leaf,)))
            self._ground.bells.ring("wake")
            return self._live(home, agreement_id, Role.PROVIDER)
        await self._end(home, record, "withdrawn", reason=reason, person=person)
        return self._get(home, agreement_id, Role.PROVIDER)

    async def give_back(
        self, home: Home, agreement_id: str, *, reason: str, person: str
    ) -> Agreement:
        """The consumer ends it, at any time."""
        record = self._live(home, agreement_id, Role.CONSUMER)
        await self._end(home, record, "returned", reason=reason, person=person)
        return self._get(home, agreement_id, Role.CONSUMER)

    async def take_effect(self, home: Home, agreement_id: str) -> None:
        """The notice of a withdrawal is over."""
        record = self._ground.store.of(home.slug).agreements.get(agreement_id, Role.PROVIDER)
        if record is not None and record.state == "live":
            await self._end(home, record, "withdrawn", reason=record.reason or "", person="")

    async def expire(self, home: Home, agreement_id: str) -> None:
        """The last of what was agreed has ended."""
        for role in Role:
            record = self._ground.store.of(home.slug).agreements.get(agreement_id, role)
            if record is None or record.state != "live" or record.ends_at is None:
                continue
            if record.ends_at <= self._now():
                await self._end(home, record, "expired", reason="", person="")

    async def recover(self) -> None:
        """Tell partners what a crash left untold: transfers of agreements that have ended."""
        for home in self._ground.homes.values():
            store = self._ground.store.of(home.slug)
            after = 0
            while page := store.transfers.open(after=after):
                after = page[-1].pk or after
                for it in page:
                    record = store.agreements.get(it.agreement_id, it.role)
                    code = CODES.get(record.state) if record is not None else None
                    if record is not None and code and END not in (it.pending, it.intent):
                        await self._tell(home, record, code, record.reason or "")

    def _live(self, home: Home, agreement_id: str, role: Role) -> Agreement:
        record = self._get(home, agreement_id, role)
        if record.state != "live":
            raise Changed(f"the agreement is {record.state}")
        return record

    def _get(self, home: Home, agreement_id: str, role: Role) -> Agreement:
        record = self._ground.store.of(home.slug).agreements.get(agreement_id, role)
        if record is None:
            raise NotFound(f"no agreement with this id as {role}")
        return record

    def _now(self) -> int:
        return micros(self._ground.now())

    def _leaf(
        self,
        home: Home,
        record: Agreement,
        kind: str,
        reason: str,
        person: str,
        effective: datetime | None = None,
    ) -> Leaf:
        payloads = {"reason": reason.encode()} if reason else {}
        if person:
            payloads["person"] = person.encode()
        return self._clerk.leaf(
            home,
            kind,
            agreement=record.agreement_id,
            code=WITHDRAWN if record.role == Role.PROVIDER else RETURNED,
            effective="" if effective is None else stamp(effective),
            payloads=payloads,
        )

    async def _end(
        self, home: Home, record: Agreement, state: str, *, reason: str, person: str
    ) -> None:
        """One unit: the agreement, its sessions, the revocation. Then cut, then tell."""
        store = self._ground.store.of(home.slug)
        code = CODES[state]
        for _ in range(self._ground.limits.conflict_retries_max):
            sessions = [
                it
                for it in store.sessions.of_agreement(record.agreement_id)
                if it.state not in ("closed", "closing")
            ]
            writes: list[Write] = [
                store.agreements.update(
                    record, state=state, reason=reason or None, changed=self._now()
                ),
                store.wakes.delete("agreement", record.agreement_id, expect=None),
                store.wakes.delete("withdrawal", record.agreement_id, expect=None),
                store.revocations.insert(
                    Revocation(
                        participant=home.slug,
                        kind="agreement",
                        subject=record.agreement_id,
                        at=self._now(),
                    )
                ),
            ]
            ours = record.role == Role.PROVIDER
            if ours:
                writes += [
                    store.sessions.update(it, state="closing", reason=code) for it in sessions
                ]
            kind = "agreement.returned" if state == "returned" else "agreement.withdrawn"
            leaf = (
                self._clerk.leaf(
                    home, "decision", agreement=record.agreement_id, outcome="expired", rule="time"
                )
                if state == "expired"
                else self._leaf(home, record, kind, reason, person)
            )
            try:
                await self._ground.store.run(Unit(tuple(writes), (leaf,)))
            except Conflict:
                record = self._get(home, record.agreement_id, Role(record.role))
                if record.state != "live":
                    raise Changed(f"the agreement is {record.state}") from None
                continue
            if ours:
                for it in sessions:
                    self._sessions.cut(it.sid, code)
                    self._sessions.closing(home, it.sid, code)
            self._ground.bells.ring(record.agreement_id)
            await self._tell(home, record, code, reason)
            log.info(telemetry.AGREEMENT_WITHDRAWN, participant=home.slug, state=state)
            return
        raise PeerMustWait("the agreement keeps changing")

    async def _tell(self, home: Home, record: Agreement, code: str, reason: str) -> None:
        """Its transfers end, and the partner reads why."""
        transfers = self._ground.store.of(home.slug).transfers.of_agreement(record.agreement_id)
        for it in transfers:
            over = it.state in self._transfers.machine.final or END in (it.pending, it.intent)
            if it.role != record.role or over:
                continue
            reasons = (reason,) if reason else ()
            speech = Speak(step=END, code=code, reasons=reasons)
            try:
                await self._voice.wish(home, self._transfers, it.pid, speech)
            except (Changed, NotFound, PeerMustWait):
                continue
