# SPDX-License-Identifier: Apache-2.0
"""Acts under an agreement: judged, charged, begun in the ledger, and receipted (evidence.md 3).

No byte leaves before an entry that covers it is durable. What is known in full gets its receipt in
one transaction; a stream gets `act.started` before its first byte and the receipt behind its last.
Counts are never given back; bytes and rows are held in slices and settled to what was used.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec
import structlog

from corridor import telemetry
from corridor.engine.act import Act
from corridor.engine.clerk import Clerk
from corridor.engine.ground import Ground, micros, moment
from corridor.engine.library import Library, scope_of
from corridor.engine.sessions import Admitted, Sessions
from corridor.errors import BudgetSpent, Invalid, PeerMustWait, Refused, StoreUnavailable
from corridor.evidence import receipt
from corridor.evidence.receipt import Outcome, Seen
from corridor.policy import judge as j
from corridor.services import Known
from corridor.store.unit import Conflict, Leaf, Unit

OWED_AGAIN_S = 1.0
ENDED = {"live": "refused", "withdrawn": "agreement-withdrawn"}
log = structlog.get_logger()


class Acts:
    """Begins acts, and closes those that a crash left open."""

    def __init__(self, ground: Ground, clerk: Clerk, library: Library, sessions: Sessions) -> None:
        self.ground = ground
        self.clerk = clerk
        self._library = library
        self._sessions = sessions
        self._owed: dict[asyncio.Task[None], None] = {}
        self._denials: dict[tuple[str, str], tuple[int, str, int]] = {}

    def visit(self, admitted: Admitted, *, purpose: str | None, actor: str | None) -> Visit:
        """A request of an open session."""
        own = admitted.home.purposes  # words of the participant besides the profile
        named = own.get(purpose, purpose) if purpose else admitted.session.purpose
        return Visit(self, admitted, named, actor)

    def judge(self, admitted: Admitted, facts: j.Facts, point: j.Point) -> j.Allowed | j.Denied:
        """May this be done now."""
        now = self.ground.now()
        agreement = self.ground.store.of(admitted.home.slug).agreements.get(
            admitted.agreement.agreement_id, admitted.agreement.role
        )
        state = "gone" if agreement is None else agreement.state
        return j.judge(
            point,
            admitted.permit,
            facts,
            who=self._library.people.who(admitted.agreement.peer),
            counters=self._library.counters(
                admitted.home, admitted.agreement.agreement_id, admitted.permit, now
            ),
            standing=j.Standing(
                state=state,
                permit_hash=admitted.session.permit_sha,
                clock_floor=self._library.clock_floor(admitted.home),
            ),
            now=now,
        )

    def scope(self, admitted: Admitted, rule_key: str) -> str:
        """What a rule's counters belong to (terms.md 4.2)."""
        return scope_of(admitted.agreement.agreement_id, rule_key)

    async def deny(self, admitted: Admitted, denied: j.Denied, facts: j.Facts) -> Refused:
        """The refusal to raise; written down in full once a minute for each rule."""
        reference = await self._note_denial(admitted, denied)
        log.info(telemetry.REQUEST_DENIED, rule=denied.rule, ref=reference, action=facts.action)
        told = {"rule": denied.rule, "cause": denied.bound, "reference": reference}
        what = f"the agreement does not allow this: {denied.rule}"
        if denied.rule == "agreement":
            told["code"] = ENDED.get(admitted.agreement.state, "agreement-ended")
        if denied.rule.startswith("quota."):
            resets = "" if denied.resets_at is None else denied.resets_at.isoformat()
            return BudgetSpent(what, resets_at=resets, **told)
        return Refused(what, **told)

    async def _note_denial(self, admitted: Admitted, denied: j.Denied) -> str:
        key = (admitted.agreement.agreement_id, denied.rule)
        minute = micros(self.ground.now()) // 60_000_000
        known = self._denials.get(key)
        if known is not None and known[0] == minute:
            self._denials[key] = (minute, known[1], known[2] + 1)
            return known[1]
        untold = self._untold(admitted, denied.rule, 0 if known is None else known[2])
        leaf = self.clerk.leaf(
            admitted.home,
            "decision",
            agreement=admitted.agreement.agreement_id,
            subject=admitted.session.sid,
            outcome="denied",
            rule=denied.rule,
            permit=admitted.permit.permit_hash,
            payloads={"because": (denied.because or denied.rule).encode()},
        )
        await self.ground.store.run(Unit((), (*untold, leaf)))
        self._denials[key] = (minute, leaf.id, 0)
        if len(self._denials) > 10_000:
            self._denials.pop(next(iter(self._denials)))
        return leaf.id

    def _untold(self, admitted: Admitted, rule: str, times: int) -> tuple[Leaf, ...]:
        """How often the same was denied in the minute of the last entry, beside that one."""
        if not times:
            return ()
        again = self.clerk.leaf(
            admitted.home,
            "decision",
            agreement=admitted.agreement.agreement_id,
            outcome="denied",
            rule=rule,
            times=times,
        )
        return (again,)

    async def settle(self, unit: Unit, sid: str) -> None:
        """Write the receipt of a stream; where the store is away it is owed, and written later."""
        try:
            await self.ground.store.run(unit)
        except StoreUnavailable:
            task = asyncio.create_task(self._owe(unit, sid))
            self._owed[task] = None
            task.add_done_callback(lambda done: self._owed.pop(done, None))
        else:
            self.ground.bells.ring(f"acts|{sid}")

    async def _owe(self, unit: Unit, sid: str) -> None:
        while True:
            await self.ground.world.clock.sleep(OWED_AGAIN_S)
            try:
                await self.ground.store.run(unit)
            except StoreUnavailable:
                continue
            except Conflict:
                return
            self.ground.bells.ring(f"acts|{sid}")
            return

    async def stop(self) -> None:
        """Owe what is owed to the next start, which closes the acts as unknown."""
        owed = list(self._owed)
        for task in owed:
            task.cancel()
        await asyncio.gather(*owed, return_exceptions=True)

    async def recover(self) -> None:
        """Acts that a crash left open: nobody knows what arrived."""
        for home in self.ground.homes.values():
            store = self.ground.store.of(home.slug)
            for row in store.acts.open():
                detail = msgspec.json.decode(row.detail)
                act = receipt.Act(**detail["act"])
                identity = detail["receipt"]  # the one that its answer named
                body = receipt.receipt(
                    act,
                    id=identity,
                    time=self.ground.now(),
                    nonce=self.ground.world.chance.bytes(16),
                    outcome=Outcome.UNKNOWN,
                    started=moment(row.started),
                    counts={"bytes_in": detail["request"][0]},
                    request=Seen(detail["request"][0], detail["request"][1]),
                    started_as=row.act_id,
                )
                leaf = self.clerk.wrap(
                    home, body, id_=identity, kind="receipt", thread=act.agreement, kept={}
                )
                await self.ground.store.run(Unit((store.acts.close(row.act_id),), (leaf,)))


class Visit:
    """One request of an open session (`services.Visit`)."""

    def __init__(
        self, acts: Acts, admitted: Admitted, purpose: str | None, actor: str | None
    ) -> None:
        self._acts = acts
        self._admitted = admitted
        self._actor = actor
        self.sid = admitted.session.sid
        self.permit = admitted.permit
        self.offered = admitted.offered
        self.purpose = purpose
        self.base_url = f"{admitted.home.base_url}/data/{self.sid}"

    async def explain(self, facts: j.Facts) -> Mapping[str, Any]:
        """What the judge would say; costs nothing and is not written down."""
        verdict = self._acts.judge(self._admitted, self._told(facts), j.Point.REQUEST)
        if isinstance(verdict, j.Allowed):
            return {"outcome": "allowed", "rule": verdict.rule, "promises": verdict.obligations}
        return {"outcome": "denied", "rule": verdict.rule, "bound": verdict.bound}

    def _told(self, facts: j.Facts) -> j.Facts:
        own = self._admitted.home.purposes
        named = own.get(facts.purpose, facts.purpose) if facts.purpose else self.purpose
        most = self._acts.ground.limits.name_chars_max
        if named is not None and len(named) > most:  # it stands in the receipt
            raise Invalid(f"a purpose has at most {most} characters")
        return replace(facts, purpose=named)

    async def begin(
        self,
        act: str,
        facts: j.Facts,
        *,
        request: bytes,
        hashed: bool,
        known: Known | None = None,
        bytes_max: int | None = None,
    ) -> Act:
        """Judge, charge, and write it down; see `services.Visit`."""
        facts = self._told(facts)
        ground = self._acts.ground
        for _ in range(ground.limits.conflict_retries_max):
            if self._admitted.cut.done:
                raise Refused("this session has ended", rule=self._admitted.cut.rule)
            verdict = self._acts.judge(self._admitted, facts, j.Point.REQUEST)
            if isinstance(verdict, j.Denied):
                raise await self._acts.deny(self._admitted, verdict, facts)
            begun = Act(
                self._acts,
                self._admitted,
                act,
                facts,
                verdict,
                request=request,
                hashed=hashed,
                actor=self._actor,
            )
            try:
                await ground.store.run(begun.opening(known, bytes_max))
            except Conflict as conflict:
                if conflict.write.statement.name.startswith("session"):
                    raise Refused("this session has ended", rule="agreement") from conflict
                continue
            return begun
        raise PeerMustWait("others use the same quota at this moment")
