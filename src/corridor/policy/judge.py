# SPDX-License-Identifier: Apache-2.0
"""The judge: may this be done, by this caller, now (terms.md 5). Pure, a few microseconds.

Everything it knows is in its arguments; what is missing there is unknown, and unknown denies. The
order is numbered as in the specification:

1 agreement live · 2 permit is the session's · 3 clock · 4 caller is the consumer · 5 prohibitions ·
6 overdue duties, receipts, witnesses · 7 permissions of the action in key order: when, who,
approval, purpose, limits, quota · 8 none holds: the denial that got furthest · 9 no permission of
that action. Parts of two rules never add up.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from corridor.policy.facts import (
    Allowed,
    Charge,
    Counters,
    Credential,
    Denied,
    Facts,
    Point,
    Standing,
    Who,
)
from corridor.policy.fits import misfit
from corridor.policy.model import Policy
from corridor.policy.permit import Alternative, Permit, Quota, Rule, When, outline
from corridor.policy.permit import Who as Whom
from corridor.policy.profile import PURPOSES
from corridor.policy.values import instant_text
from corridor.policy.windows import window_end, window_start

SLUGS = {whole: slug for slug, whole in PURPOSES.items()}

__all__ = [
    "Allowed",
    "Charge",
    "Counters",
    "Credential",
    "Denied",
    "Facts",
    "Point",
    "Standing",
    "Who",
    "judge",
    "may_see",
]

CLOCK_BACK = timedelta(seconds=5)
STATUS_AGE_S = 300.0
SLICES = {"bytes": Decimal(8 << 20), "rows": Decimal(1000), "cpu_seconds": Decimal(10)}
"""What is reserved of a metered quota where a request does not say how much it will need."""

_BLOCKING = ("delete", "report")
_LATER = frozenset({Point.SESSION, Point.REQUEST, Point.ANSWER})
_ONE, _ZERO = Decimal(1), Decimal(0)


@dataclass(frozen=True, slots=True)
class _Step:
    """How far a rule got before it denied: the place in the order of step 7, and the denial."""

    place: int
    denied: Denied


def judge(
    point: Point,
    permit: Permit | Policy,
    facts: Facts,
    *,
    who: Who,
    counters: Counters,
    standing: Standing,
    now: datetime,
    status_age_s: float = STATUS_AGE_S,
) -> Allowed | Denied:
    """Allowed, or Denied with the rule's public name.

    A Policy, which nobody agreed to yet, is judged at the catalogue and in a negotiation only.
    `now` is aware. `counters` hold the sums of the windows that hold `now`.
    """
    if isinstance(permit, Policy):
        if point in _LATER:
            return Denied(rule="agreement", because="these are terms, not an agreement")
        permit = outline(permit)
    # (3) comes before the others can be told: all of them are written down with an instant.
    floor = standing.clock_floor
    if floor is not None and now < floor:
        if floor - now > CLOCK_BACK:
            return Denied(rule="clock", because=f"clock {now} is behind the ledger's {floor}")
        now = floor
    if point in _LATER:
        denied = _agreed(permit, facts, who, standing)
        if denied:
            return denied
    asked = _Asked(point, permit, facts, who, counters, standing, now, status_age_s)
    return asked.permissions()


def _agreed(permit: Permit, facts: Facts, who: Who, standing: Standing) -> Denied | None:
    """Steps 1 to 6 but for the clock."""
    # (1) The agreement is live, not suspended, not ended.
    if standing.state != "live":
        return Denied(rule="agreement", because=f"the agreement is {standing.state}")
    # (2) The permit is the one that the session was opened with.
    if not permit.permit_hash or permit.permit_hash != standing.permit_hash:
        return Denied(rule="agreement", because="the session was opened with another permit")
    # (4) The caller is the consumer. What is shared goes to somebody else, whom its rule names.
    if facts.action != "share" and who.did != permit.consumer:
        return Denied(rule="caller", because=f"{who.did} is not the consumer {permit.consumer}")
    # (5) A prohibition of the action, or of `use`, which includes all of them.
    if facts.action in permit.forbid or "use" in permit.forbid:
        return Denied(rule="prohibited", because=f"{facts.action or 'use'} is forbidden")
    # (6) Overdue duties that block, receipts outstanding, a ledger without witness.
    for kind in _BLOCKING:
        if kind in standing.overdue:
            return Denied(rule=f"duty.{kind}", because=f"the duty to {kind} is overdue")
    if standing.receipts_outstanding:
        return Denied(rule="receipts-outstanding", because="receipts are not countersigned")
    if standing.ledger_unwitnessed:
        return Denied(rule="ledger-unwitnessed", because="the last countersignature is too old")
    return None


def may_see(show_to: Whom, *, who: Who, now: datetime, status_age_s: float = STATUS_AGE_S) -> bool:
    """Whether `show_to` of the terms lets this caller see the offer at all."""
    return _whom(show_to, who, now, status_age_s, []) is None


@dataclass(frozen=True, slots=True)
class _Asked:
    """One question, judged rule by rule."""

    point: Point
    permit: Permit
    facts: Facts
    who: Who
    counters: Counters
    standing: Standing
    now: datetime
    status_age_s: float

    def permissions(self) -> Allowed | Denied:
        """Steps 7 to 9."""
        # (7) Permissions of the action in key order; the first that holds wholly allows.
        furthest: _Step | None = None
        for rule in self._candidates():
            step = self._rule(rule)
            if isinstance(step, Allowed):
                return step
            if furthest is None or step.place > furthest.place:
                furthest = step
        # (8) The denial of the rule that got furthest. (9) No permission of that action.
        if furthest is not None:
            return furthest.denied
        return Denied(rule="action", because=f"no permission to {self.facts.action or 'use'}")

    def _candidates(self) -> Iterable[Rule]:
        facts = self.facts
        rules = self.permit.rules
        if len(rules) > 1:
            rules = tuple(sorted(rules, key=_key))
        for rule in rules:
            if facts.rule is not None and rule.key != facts.rule:
                continue
            if rule.action == facts.action or (
                not facts.action
                and rule.action != "share"
                and self.point not in {Point.REQUEST, Point.ANSWER}
            ):
                yield rule

    def _rule(self, rule: Rule) -> Allowed | _Step:
        """Each part of step 7 in its order; `stale` gathers when it must be asked again."""
        stale: list[datetime] = []
        for place, part in enumerate(_PARTS):
            denied = part(self, rule, stale)
            if denied:
                return _Step(place, denied)
        charged = self._quotas(rule)
        if isinstance(charged, Denied):
            return _Step(len(_PARTS), charged)
        return Allowed(
            rule=rule.key,
            obligations=self.permit.obligations,
            charges=charged,
            until=_earliest(stale),
        )

    def _rule_when(self, rule: Rule, stale: list[datetime]) -> Denied | None:
        return self._when(rule.when, stale)

    def _rule_who(self, rule: Rule, stale: list[datetime]) -> Denied | None:
        if self.point is not Point.ANSWER:
            denied = _whom(rule.who, self.who, self.now, self.status_age_s, stale)
            if denied:
                return denied
        return self._either(rule, stale) if rule.either else None

    def _rule_approval(self, rule: Rule, _: list[datetime]) -> Denied | None:
        missing = self._approvals(rule) - self.standing.approvals
        if not missing:
            return None
        return Denied(rule="approval", because=f"no approval by {', '.join(sorted(missing))}")

    def _rule_purpose(self, rule: Rule, _: list[datetime]) -> Denied | None:
        if self.point is not Point.REQUEST:
            return None
        return _purpose(rule.purposes, rule.not_purposes, self.facts.purpose)

    def _rule_limits(self, rule: Rule, _: list[datetime]) -> Denied | None:
        if self.point is not Point.REQUEST and self.point is not Point.ANSWER:
            return None
        wrong = misfit(self.point, rule.action, rule.limits, self.facts)
        return Denied(rule=wrong[0], because=wrong[1], bound=wrong[2]) if wrong else None

    def _approvals(self, rule: Rule) -> frozenset[str]:
        """At the catalogue none is due. A negotiation is about all rules, so it needs them all."""
        if self.point is Point.CATALOG:
            return frozenset()
        if self.point is Point.NEGOTIATION:
            return frozenset().union(*(one.approvals for one in self.permit.rules))
        return rule.approvals

    def _when(self, when: When, stale: list[datetime]) -> Denied | None:
        if when.ends is not None:
            if self.now >= when.ends:
                return Denied(rule="time", because="over", bound=f"until {instant_text(when.ends)}")
            stale.append(when.ends)
        # What begins later may be offered and agreed today.
        if self.point in _LATER and when.begins is not None and self.now < when.begins:
            bound = f"from {instant_text(when.begins)}"
            return Denied(rule="time", because="not yet", bound=bound)
        return None

    def _either(self, rule: Rule, stale: list[datetime]) -> Denied | None:
        """In each group one branch must hold; what is unknown in a branch counts as false."""
        for group in rule.either:
            denials = [self._branch(branch, stale) for branch in group]
            if None not in denials:
                return denials[-1]
        return None

    def _branch(self, branch: Alternative, stale: list[datetime]) -> Denied | None:
        return (
            self._when(branch.when, stale)
            or _whom(branch.who, self.who, self.now, self.status_age_s, stale)
            or (
                _purpose(branch.purposes, branch.not_purposes, self.facts.purpose)
                if self.point is Point.REQUEST
                else None
            )
        )

    def _quotas(self, rule: Rule) -> tuple[Charge, ...] | Denied:
        if self.point not in _LATER:
            return ()
        charges = []
        for quota in rule.quotas:
            used = self.counters.get((rule.key, quota.name), _ZERO)
            if self.point is Point.SESSION:
                if used >= quota.cap:
                    return self._spent(quota)
                continue
            amount = self._amount(quota, rule, quota.cap - used)
            if amount is None:
                continue
            if used >= quota.cap or (quota.unit != "epsilon" and used + amount > quota.cap):
                return self._spent(quota)
            charges.append(
                Charge(
                    rule_key=rule.key,
                    quota=quota.name,
                    operand=quota.operand,
                    window=quota.window,
                    window_start=window_start(quota.window, self.now),
                    amount=amount,
                    cap=quota.cap,
                    scope=quota.scope,
                )
            )
        return tuple(charges)

    def _amount(self, quota: Quota, rule: Rule, left: Decimal) -> Decimal | None:
        """What to charge; None where nothing is due at this point."""
        facts = self.facts
        if quota.unit in SLICES:
            given = {"bytes": facts.bytes, "rows": facts.rows, "cpu_seconds": facts.seconds}
            amount = given[quota.unit]
            if amount is not None:
                return Decimal(amount)
            return None if self.point is Point.ANSWER else min(SLICES[quota.unit], left)
        if self.point is Point.ANSWER:
            return None
        if quota.unit != "epsilon":
            return _ONE
        # Whether it still fits is the accountant's sum, in rho (terms.md 4.2); its `used` is told
        # in epsilon, and a budget wholly spent is seen here.
        privacy = getattr(rule.limits, "privacy", None)
        return facts.epsilon if facts.epsilon is not None else privacy and privacy.per_answer

    def _spent(self, quota: Quota) -> Denied:
        resets_at = window_end(quota.window, self.now)
        name = "privacy" if quota.unit == "epsilon" else quota.name
        resets = f", resets {instant_text(resets_at)}" if resets_at else ""
        return Denied(
            rule=f"quota.{name}",
            because=f"{quota.name} is used up",
            bound=f"cap {quota.cap}{resets}",
            resets_at=resets_at,
        )


_PARTS = (
    _Asked._rule_when,  # noqa: SLF001 - the order of step 7, in its own module
    _Asked._rule_who,  # noqa: SLF001 - the same
    _Asked._rule_approval,  # noqa: SLF001 - the same
    _Asked._rule_purpose,  # noqa: SLF001 - the same
    _Asked._rule_limits,  # noqa: SLF001 - the same
)


def _key(rule: Rule) -> str:
    return rule.key


def _purpose(
    purposes: frozenset[str] | None, excluded: frozenset[str], given: str | None
) -> Denied | None:
    if purposes is None and not excluded:
        return None
    if given is None:
        return Denied(rule="purpose", because="no purpose was named", bound=_names(purposes))
    whole = PURPOSES.get(given, given)
    if (purposes is not None and whole not in purposes) or whole in excluded:
        return Denied(rule="purpose", because=f"not for {_slug(given)}", bound=_names(purposes))
    return None


def _names(allowed: frozenset[str] | None) -> str:
    return "allowed: " + ", ".join(sorted(map(_slug, allowed))) if allowed else ""


def _slug(purpose: str) -> str:
    """The profile's word for a purpose; an IRI of a participant's own stays as it is."""
    return SLUGS.get(purpose, purpose)


def _whom(
    whom: Whom, who: Who, now: datetime, status_age_s: float, stale: list[datetime]
) -> Denied | None:
    """Who it may be. `stale` gets the instants at which the credentials must be looked at again."""
    if (whom.recipients is not None and who.did not in whom.recipients) or (
        who.did in whom.not_recipients
    ):
        return Denied(rule="recipient", because=f"{who.did} is not a recipient")
    if whom.countries is not None or whom.not_countries:
        if who.country is None:
            return Denied(rule="spatial", because="no trusted credential names the country")
        if (whom.countries is not None and who.country not in whom.countries) or (
            who.country in whom.not_countries
        ):
            bound = _names(whom.countries)
            return Denied(rule="spatial", because=f"sits in {who.country}", bound=bound)
    for kind, issuer in whom.credentials:
        until = _held(who, now, status_age_s, kind, issuer)
        if until is None:
            held = f"{kind}@{issuer}" if issuer else kind
            return Denied(rule="credential", because=f"no valid {held}", bound=held)
        stale.append(until)
    for kind, name, value in whom.claims:
        until = _held(who, now, status_age_s, kind, None, claim=(name, value))
        if until is None:
            because = f"no valid {kind} with {name} {value}"
            return Denied(rule="claim", because=because, bound=f"{kind}.{name}={value}")
        stale.append(until)
    return None


_NEVER = datetime.max.replace(tzinfo=UTC)


def _earliest(stale: list[datetime]) -> datetime | None:
    first = min(stale, default=_NEVER)
    return None if first == _NEVER else first


def _held(
    who: Who,
    now: datetime,
    status_age_s: float,
    kind: str,
    issuer: str | None,
    *,
    claim: tuple[str, str] | None = None,
) -> datetime | None:
    """Until when the best matching credential holds; None where none does."""
    best: datetime | None = None
    for credential in who.credentials:
        if credential.type != kind or (issuer is not None and credential.issuer != issuer):
            continue
        if claim is not None and credential.claims.get(claim[0]) != claim[1]:
            continue
        until = _fresh_until(credential, status_age_s)
        if until > now and (best is None or until > best):
            best = until
    return best


def _fresh_until(credential: Credential, status_age_s: float) -> datetime:
    until = credential.valid_until or _NEVER
    checked = credential.status_checked_at
    if checked is not None:
        until = min(until, checked + timedelta(seconds=status_age_s))
    elif credential.has_status:
        return datetime.min.replace(tzinfo=UTC)
    return until
