# SPDX-License-Identifier: Apache-2.0
"""Counters of quotas, charged by writes that compare and add (terms.md 4.2).

Amounts are Decimals outside and integers in the table: whole units, but billionths where the
operand is a privacy budget. What is charged is rounded up and a cap is rounded down, so that
rounding never lets anything through.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from corridor.store.rows import Bound, Record, Rows
from corridor.store.unit import Write

MOST = (1 << 62) - 1
_FINE = 1_000_000_000
_FINE_WORDS = ("epsilon", "rho", "privacy")


def scale(operand: str) -> int:
    """How many of the table's units make one of the operand's."""
    name = operand.lower()
    return _FINE if any(word in name for word in _FINE_WORDS) else 1


def units(operand: str, amount: Decimal | int, rounding: str = ROUND_CEILING) -> int:
    """An amount as the table keeps it, at most `MOST`."""
    scaled = (Decimal(amount) * scale(operand)).to_integral_value(rounding=rounding)
    return MOST if scaled > MOST else int(scaled)


def amount(operand: str, kept: int) -> Decimal:
    """The inverse."""
    return Decimal(kept) / scale(operand)


class Counter(Record, frozen=True, kw_only=True):
    """What was used of an operand in one window. `used`, `held`, `cap` are in the table's units."""

    participant: str = ""
    scope: str
    operand: str
    window_start: int
    used: int
    held: int
    cap: int
    ver: int = 1

    @property
    def spent(self) -> Decimal:
        """Used and held, in the operand's units: what a judge must count."""
        return amount(self.operand, self.used + self.held)


class Reservation(Record, frozen=True, kw_only=True):
    """What a request holds of a counter. States: held, spent, released. `owner`: who runs it."""

    participant: str = ""
    request_id: str
    scope: str
    operand: str
    window_start: int
    amount: int
    state: str = "held"
    owner: str
    at: int


class Counters(Rows[Counter]):
    """A participant's counters."""

    def __init__(self, bound: Bound) -> None:
        super().__init__(bound, "counter", Counter)

    def get(self, scope: str, operand: str, window_start: int) -> Counter | None:
        """One counter; None where nothing was ever used."""
        return self._one("get", scope=scope, operand=operand, window_start=window_start)

    def of_scope(self, scope: str) -> list[Counter]:
        """All windows of a scope, oldest first."""
        return self._list("of-scope", scope=scope)

    def charge(
        self, scope: str, operand: str, window_start: int, amount: Decimal | int, cap: Decimal | int
    ) -> Write:
        """Use up at once; Conflict where it would exceed the cap."""
        return self._add("charge", (scope, operand, window_start), amount, cap)

    def reserve(
        self, scope: str, operand: str, window_start: int, amount: Decimal | int, cap: Decimal | int
    ) -> Write:
        """Hold, to be settled; Conflict where it would exceed the cap."""
        return self._add("reserve", (scope, operand, window_start), amount, cap)

    def settle(
        self,
        scope: str,
        operand: str,
        window_start: int,
        *,
        held: Decimal | int,
        used: Decimal | int,
    ) -> Write:
        """Give up what was held and count what was used of it; Conflict where less was held."""
        kept = units(operand, held)
        return self._write(
            "settle",
            scope=scope,
            operand=operand,
            window_start=window_start,
            held_amount=kept,
            used_amount=min(units(operand, used), kept),
        )

    def _add(
        self, verb: str, key: tuple[str, str, int], amount: Decimal | int, cap: Decimal | int
    ) -> Write:
        scope, operand, window_start = key
        assert amount >= 0, "what was used is never given back by a charge"
        return self._write(
            verb,
            scope=scope,
            operand=operand,
            window_start=window_start,
            amount=units(operand, amount),
            cap=units(operand, cap, ROUND_FLOOR),
        )


class Reservations(Rows[Reservation]):
    """A participant's reservations."""

    def __init__(self, bound: Bound) -> None:
        super().__init__(bound, "reservation", Reservation)

    def held(self) -> list[Reservation]:
        """Those not yet settled."""
        return self._list("held")

    def of_request(self, request_id: str) -> list[Reservation]:
        """All of a request."""
        return self._list("of-request", request_id=request_id)

    def finish(self, record: Reservation, state: str) -> Write:
        """Spent or released; Conflict where it was already."""
        return self._write(
            "finish",
            request_id=record.request_id,
            scope=record.scope,
            operand=record.operand,
            window_start=record.window_start,
            state=state,
        )
