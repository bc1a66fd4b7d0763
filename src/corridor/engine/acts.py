# SPDX-License-Identifier: Apache-2.0
"""Acts under an agreement: judged, charged, begun in the ledger, and receipted (evidence.md 3).

No byte leaves before an entry that covers it is durable. What is known in full gets its receipt in
one transaction; a stream gets `act.started` before its first byte and the receipt behind its last.
Counts are never given back; bytes and rows are held in slices and settled to what was used.
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import msgspec
import structlog

from corridor import telemetry
from corridor.engine.clerk import Clerk
from corridor.engine.ground import Ground, micros, moment
from corridor.engine.library import Library, scope_of
from corridor.engine.sessions import Admitted, Sessions
from corridor.errors import BudgetSpent, PeerMustWait, Refused, StoreUnavailable
from corridor.evidence import receipt
from corridor.evidence.receipt import Outcome, Seen
from corridor.policy import judge as j
from corridor.services import Known
from corridor.store.sessions import Act as ActRow
from corridor.store.unit import Conflict, Leaf, Unit, Write

METERED = ("bytes", "rows")
SLICE: Mapping[str, int] = {"bytes": 8 << 20, "rows": 1000}
RECHECK_S = 1.0
OWED_AGAIN_S = 1.0
ENDED = {"live": "refused", "withdrawn": "agreement-withdrawn"}
log = structlog.get_logger()


@dataclass(slots=True)
class _Meter:
    """A byte or row quota while an act runs: `held` of it is ours, `used` of that has gone."""

    charge: j.Charge
    held: int
    used: int = 0

    @property
    def unit(self) -> str:
        return self.charge.quota.partition(".")[0]


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


class Act:
    """One act under way (`services.Act`)."""

    def __init__(
        self,
        acts: Acts,
        admitted: Admitted,
        word: str,
        facts: j.Facts,
        allowed: j.Allowed,
        *,
        request: bytes,
        hashed: bool,
        actor: str | None,
    ) -> None:
        world = acts.ground.world
        self._acts = acts
        self._admitted = admitted
        self._facts = replace(facts, rule=allowed.rule)
        self._allowed = allowed
        self._request = request
        self._word = word
        self.id = world.chance.uuid7()
        self._receipt_id = world.chance.uuid7()
        self._salts = {"request": world.chance.bytes(32), "response": world.chance.bytes(32)}
        self._hash = sha256(self._salts["response"]) if hashed else None
        self._started = acts.ground.now()
        self._checked = world.clock.monotonic()
        self._bytes_out = 0
        self._rows_out = 0
        self._meters: list[_Meter] = []
        self._known = False
        self._closed = False
        self._told = receipt.Act(
            act=word,
            agreement=admitted.agreement.agreement_id,
            permit=admitted.permit.permit_hash,
            session=admitted.session.sid,
            provider=admitted.agreement.provider,
            consumer=admitted.agreement.consumer,
            purpose=self._facts.purpose,
            rule=allowed.rule,
            actor=actor,
        )

    @property
    def headers(self) -> Mapping[str, str]:
        """What names the receipt to an aware client (evidence.md 3.3)."""
        salt = b64encode(self._salts["response"]).decode()
        sid = self._admitted.session.sid
        path = f"{self._admitted.home.base_url}/data/{sid}/receipts/{self._receipt_id}"
        return {
            "corridor-receipt": f'"{self._receipt_id}";salt=:{salt}:',
            "link": f'<{path}>; rel="describedby"',
        }

    # beginning

    def opening(self, known: Known | None, bytes_max: int | None) -> Unit:
        """The unit that must be durable before the first byte leaves."""
        store = self._acts.ground.store.of(self._admitted.home.slug)
        size = None if known is None else len(known.content)
        rows = None if known is None else known.rows
        writes: list[Write] = [store.sessions.hold(self._admitted.session.sid)]
        known_sizes = {"bytes": size, "rows": rows}
        writes += [self._charge(charge, known_sizes) for charge in self._allowed.charges]
        if known is not None:
            self._known = self._closed = True
            self._bytes_out, self._rows_out = len(known.content), known.rows or 0
            if self._hash is not None:
                self._hash.update(known.content)
            record = known.content if known.record is None else known.record
            leaf = self._receipt(Outcome.ANSWERED, None if self._hash else record)
            return Unit(tuple(writes), (leaf,))
        writes.append(store.acts.insert(self._row()))
        return Unit(tuple(writes), (self._start_leaf(bytes_max),))

    def _charge(self, charge: j.Charge, known: Mapping[str, int | None]) -> Write:
        """Count at once what is counted; hold a slice of what is metered."""
        store = self._acts.ground.store.of(self._admitted.home.slug).counters
        scope = self._acts.scope(self._admitted, charge.rule_key)
        start = micros(charge.window_start)
        unit = charge.quota.partition(".")[0]
        if unit not in METERED:
            return store.charge(scope, charge.quota, start, charge.amount, charge.cap)
        exact = known[unit]
        if exact is not None:
            return store.charge(scope, charge.quota, start, exact, charge.cap)
        meter = _Meter(charge, 0)
        self._meters.append(meter)
        return store.reserve(scope, charge.quota, start, 0, charge.cap)

    def _row(self) -> ActRow:
        request = Seen.of(self._salts["request"], self._request)
        detail = {
            "act": {
                name: getattr(self._told, name)
                for name in receipt.Act.__dataclass_fields__
                if getattr(self._told, name) is not None
            },
            "request": [request.length, request.digest],
            "receipt": self._receipt_id,
        }
        return ActRow(
            participant=self._admitted.home.slug,
            act_id=self.id,
            sid=self._admitted.session.sid,
            kind=self._word,
            started=micros(self._started),
            detail=msgspec.json.encode(detail, order="sorted"),
        )

    def _start_leaf(self, bytes_max: int | None) -> Leaf:
        request = Seen.of(self._salts["request"], self._request)
        body = receipt.started(
            self._told,
            id=self.id,
            time=self._started,
            nonce=self._acts.ground.world.chance.bytes(16),
            request=request,
            budget=self._budget() or None,
            bytes_max=bytes_max,
        )
        kept = {"request": (request.digest, self._salts["request"], self._request)}
        return self._acts.clerk.wrap(
            self._admitted.home,
            body,
            id_=self.id,
            kind="act.started",
            thread=self._told.agreement,
            kept=kept,
        )

    def _budget(self) -> dict[str, int | str]:
        counted = [
            charge for charge in self._allowed.charges if charge.quota.startswith(("req", "que"))
        ]
        if not counted:
            return {}
        name = counted[0].quota.partition(".")[0]
        return {name: int(max(charge.amount for charge in counted))}

    # running

    async def take(self, block: bytes) -> None:
        """Count a block before it leaves; Refused where it may not."""
        await self._still_allowed()
        await self._meter("bytes", len(block))
        self._bytes_out += len(block)
        if self._hash is not None:
            self._hash.update(block)

    async def rows(self, count: int) -> None:
        """Count result rows before they leave."""
        await self._meter("rows", count)
        self._rows_out += count

    async def _still_allowed(self) -> None:
        cut = self._admitted.cut
        if cut.done:
            raise Refused("this session has ended", rule=cut.rule)
        now = self._acts.ground.world.clock.monotonic()
        stale = self._allowed.until is not None and self._acts.ground.now() >= self._allowed.until
        if stale or now - self._checked >= RECHECK_S:
            self._checked = now
            unmetered = replace(self._facts, bytes=None, rows=None)
            verdict = self._acts.judge(self._admitted, unmetered, j.Point.ANSWER)
            if isinstance(verdict, j.Denied):
                raise await self._acts.deny(self._admitted, verdict, self._facts)
            self._allowed = replace(self._allowed, until=verdict.until)

    async def _meter(self, unit: str, amount: int) -> None:
        for meter in self._meters:
            if meter.unit != unit:
                continue
            if meter.used + amount > meter.held:
                await self._hold(meter, amount)
            meter.used += amount

    async def _hold(self, meter: _Meter, amount: int) -> None:
        """Reserve the next slice, or just what is wanted where no whole slice is left."""
        store = self._acts.ground.store.of(self._admitted.home.slug).counters
        charge = meter.charge
        scope = self._acts.scope(self._admitted, charge.rule_key)
        start = micros(charge.window_start)
        wanted = meter.used + amount - meter.held
        for size in dict.fromkeys((max(wanted, SLICE[meter.unit]), wanted)):
            write = store.reserve(scope, charge.quota, start, size, charge.cap)
            try:
                await self._acts.ground.store.run(Unit((write,)))
            except Conflict:
                continue
            meter.held += size
            return
        raise BudgetSpent(
            f"{charge.quota} is used up", rule=f"quota.{charge.quota}", cause=f"cap {charge.cap}"
        )

    # ending

    async def close(self, outcome: str, *, response: bytes | None = None, code: str = "") -> None:
        """Write the receipt, once. A receipt of a known answer is corrected where it broke."""
        if self._known and outcome == Outcome.ANSWERED:
            return
        if self._closed and not self._known:
            return
        self._closed = True
        home = self._admitted.home
        store = self._acts.ground.store.of(home.slug)
        leaf = self._receipt(Outcome(outcome), response)
        if self._known:
            await self._acts.ground.store.run(Unit((), (leaf,)))
            return
        writes = [store.acts.close(self.id)]
        for meter in self._meters:
            charge = meter.charge
            writes.append(
                store.counters.settle(
                    self._acts.scope(self._admitted, charge.rule_key),
                    charge.quota,
                    micros(charge.window_start),
                    held=meter.held,
                    used=meter.used,
                )
            )
        await self._acts.settle(Unit(tuple(writes), (leaf,)), self._admitted.session.sid)
        log.info(telemetry.REQUEST_ALLOWED, act=self._word, outcome=outcome, code=code)

    def _receipt(self, outcome: Outcome, response: bytes | None) -> Leaf:
        request = Seen.of(self._salts["request"], self._request)
        seen = self._response(response)
        correcting = self._known and outcome is not Outcome.ANSWERED
        identity = self._acts.ground.world.chance.uuid7() if correcting else self._receipt_id
        counts = {"bytes_in": len(self._request), "bytes_out": self._bytes_out}
        if self._word == "query":
            counts["rows_out"] = self._rows_out
        body = receipt.receipt(
            self._told,
            id=identity,
            time=self._acts.ground.now(),
            nonce=self._acts.ground.world.chance.bytes(16),
            outcome=outcome,
            started=self._started,
            counts=counts,
            request=request,
            response=seen,
            budget=self._budget() or None,
            started_as=None if self._known else self.id,
            corrects=self._receipt_id if correcting else None,
        )
        kept = {}
        if not correcting:
            if self._known:
                kept["request"] = (request.digest, self._salts["request"], self._request)
            if seen is not None:
                kept["response"] = (seen.digest, self._salts["response"], response or b"")
        return self._acts.clerk.wrap(
            self._admitted.home,
            body,
            id_=identity,
            kind="receipt",
            thread=self._told.agreement,
            kept=kept,
        )

    def _response(self, record: bytes | None) -> Seen | None:
        if self._hash is not None:
            return Seen(self._bytes_out, self._hash.hexdigest())
        return None if record is None else Seen.of(self._salts["response"], record)
