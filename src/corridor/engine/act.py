# SPDX-License-Identifier: Apache-2.0
"""One act under way: what it may still give out, and the receipt that it leaves (evidence.md 3).

Bytes and rows are held in slices and settled to what was used; counts are never given back.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Protocol

import msgspec
import structlog

from corridor import telemetry
from corridor.engine.clerk import Clerk
from corridor.engine.ground import Ground, micros
from corridor.engine.sessions import Admitted
from corridor.errors import BudgetSpent, Refused
from corridor.evidence import receipt
from corridor.evidence.receipt import Outcome, Seen
from corridor.policy import judge as j
from corridor.services import Known
from corridor.store.sessions import Act as ActRow
from corridor.store.unit import Conflict, Leaf, Unit, Write

METERED = ("bytes", "rows")
ROWS_AHEAD = 1000
RECHECK_S = 1.0
log = structlog.get_logger()


class Books(Protocol):
    """What an act asks of those who keep the books (`acts.Acts`)."""

    ground: Ground
    clerk: Clerk

    def judge(self, admitted: Admitted, facts: j.Facts, point: j.Point) -> j.Allowed | j.Denied:
        """May this be done now."""
        ...

    async def deny(self, admitted: Admitted, denied: j.Denied, facts: j.Facts) -> Refused:
        """The refusal to raise."""
        ...

    def scope(self, admitted: Admitted, rule_key: str) -> str:
        """What a rule's counters belong to."""
        ...

    async def settle(self, unit: Unit, sid: str) -> None:
        """Write the receipt of a stream, now or as soon as the store is back."""
        ...


@dataclass(slots=True)
class _Meter:
    """A byte or row quota while an act runs: `held` of it is ours, `used` of that has gone."""

    charge: j.Charge
    held: int
    used: int = 0

    @property
    def unit(self) -> str:
        return self.charge.quota.partition(".")[0]


class Act:
    """One act under way (`services.Act`)."""

    def __init__(
        self,
        acts: Books,
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
        ahead = self._acts.ground.limits.stream_ahead_bytes if meter.unit == "bytes" else ROWS_AHEAD
        for size in dict.fromkeys((max(wanted, ahead), wanted)):
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
