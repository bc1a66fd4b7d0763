# SPDX-License-Identifier: Apache-2.0
"""One rule of a permit, and how a permission is compiled into it (terms.md 4.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from corridor.policy import bounds, canonical, profile, values
from corridor.policy.bounds import AnyLimits
from corridor.policy.model import Constraint, Either, OdrlRule, Value
from corridor.policy.reading import IN_FORCE, cannot

_TICK = timedelta(microseconds=1)
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """Whom a rule speaks of. None or empty: no such condition."""

    recipients: frozenset[str] | None = None
    countries: frozenset[str] | None = None
    not_recipients: frozenset[str] = frozenset()
    not_countries: frozenset[str] = frozenset()
    credentials: frozenset[tuple[str, str | None]] = frozenset()
    claims: frozenset[tuple[str, str, str]] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """Half open: begins <= now < ends. `for` is folded in from the agreement's timestamp."""

    begins: datetime | None = None
    ends: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """A cap in a calendar window. `scope`: `rule`, or `asset` where all agreements share it."""

    name: str
    operand: str
    unit: str
    window: str
    cap: Decimal
    scope: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """One branch of a foreign policy's `or`."""

    who: Who
    when: When
    purposes: frozenset[str] | None
    not_purposes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One permission, compiled. `either`: in each group at least one branch must hold."""

    key: str
    action: str
    who: Who
    when: When
    purposes: frozenset[str] | None
    approvals: frozenset[str]
    quotas: tuple[Quota, ...]
    limits: AnyLimits
    not_purposes: frozenset[str] = frozenset()
    either: tuple[tuple[Alternative, ...], ...] = ()
    constraints: tuple[Constraint | Either, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """What no machine can hold: its word (`re-identify`, `attribute`) and the text to hand over."""

    name: str
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """A tracked duty: `kind` delete, report or notify; from which event, and within how long."""

    kind: str
    event: str
    within: timedelta


@dataclass(slots=True)
class Compiler:
    """Compiles one permission; holds what every part of it needs."""

    service: str
    enforced: frozenset[str]
    agreed: datetime | None
    path: str
    ours: frozenset[str]

    def rule(self, rule: OdrlRule) -> Rule:
        """The rule with its limits and quotas; CannotHonour where the service cannot hold it."""
        action = self._action(rule.action)
        atoms = [item for item in rule.constraints if isinstance(item, Constraint)]
        written = profile.BY_IRI[rule.action].word
        given = {}
        for item in atoms:
            key = self._key(item, written)
            if key:
                given[key] = item.value
        self._complete(given, action, written)
        return replace(
            self.outline(rule),
            action=action,
            quotas=self._quotas(given, action),
            limits=bounds.build(self.service, action, given),
        )

    def outline(self, rule: OdrlRule) -> Rule:
        """The rule without its limits and quotas."""
        atoms = [item for item in rule.constraints if isinstance(item, Constraint)]
        plain = self._alternative(atoms)
        return Rule(
            key=canonical.rule_key(rule),
            action=profile.BY_IRI[rule.action].word,
            who=plain.who,
            when=plain.when,
            purposes=plain.purposes,
            not_purposes=plain.not_purposes,
            approvals=_all_of(atoms, "require.approval"),
            quotas=(),
            limits=bounds.FileLimits(),
            either=tuple(
                tuple(self._alternative([part]) for part in item.constraints)
                for item in rule.constraints
                if isinstance(item, Either)
            ),
            constraints=rule.constraints,
        )

    def _action(self, whole: str) -> str:
        action = profile.BY_IRI[whole]
        word = profile.SINGLE.get(self.service, "") if action.word == "use" else action.word
        served = word == "share" or (word and self.service in profile.BY_WORD[word].services)
        if not served:
            raise cannot(f"{self.path}.action", whole, f"{self.service} does not serve it")
        return word

    def _key(self, item: Constraint, written: str) -> str:
        """The row's key; empty for what a foreign offer says beside the profile."""
        term = f"{item.operand} {item.operator}"
        row = profile.BY_TERM.get((item.operand, item.operator))
        if row is None:
            # reading.py let it pass: a moment, one of a set, or the provider's check on us.
            if item.operand in profile.OPERANDS or item.operand == IN_FORCE or self.ours:
                return ""
            raise cannot(self.path, term, "nobody here can enforce it")
        if not profile.carries(written, self.service, row):
            raise cannot(self.path, term, f"{written} on {self.service} cannot carry it")
        if row.operand not in self.enforced:
            raise cannot(self.path, term, f"{self.service} does not enforce it")
        return row.key

    def _complete(self, given: Mapping[str, Value], action: str, written: str) -> None:
        """What an action cannot do without, and what makes sense only together."""
        needed = list(profile.needed(written, self.service))
        # Normal form has its defaults written out; what lacks one would be without a limit.
        needed += [key for key, _ in profile.defaults(action, self.service)]
        unbounded = any("[" not in one for one in given.get("columns.measure", ()))
        if action in profile.PRIVATE and unbounded:
            raise cannot(self.path, "columns.measure", "a measure here needs bounds")
        if "circle.parties" in given or "circle.collude" in given:
            needed += ["circle.parties", "circle.collude"]
        for key in needed:
            if key not in given and not any(name.startswith(key + ".") for name in given):
                raise cannot(self.path, key, "the rule lacks it")
        budgets = [key for key in given if key.startswith("privacy.epsilon.")]
        private = [key for key in given if key.startswith("privacy.")]
        if private and (len(budgets) != 1 or len(private) != 1 + len(profile.PRIVACY_DEFAULTS)):
            raise cannot(self.path, "privacy", "needs one epsilon and all of its parts")
        marked = given.get("tlp")
        if marked is not None and set(marked) != set(values.TLP[: len(marked)]):
            raise cannot(self.path, "tlp", "holds a marking but not those below it")

    def _quotas(self, given: Mapping[str, Value], action: str) -> tuple[Quota, ...]:
        noun = profile.BY_WORD[action].noun
        found = []
        for key, value in given.items():
            part, _, name = key.partition(".")
            if part == "quota":
                name = f"{noun}.total" if name == "NOUN.total" else name
            elif key.startswith("privacy.epsilon."):
                name = key.removeprefix("privacy.")
            else:
                continue
            unit, _, window = name.partition(".")
            # Statistics of one asset add up over all agreements on it (terms.md 4.2).
            shared = unit == "epsilon" or (unit == "queries" and action == "aggregate")
            found.append(
                Quota(
                    name=name,
                    operand=profile.BY_KEY[key].operand,
                    unit=unit,
                    window=window,
                    cap=Decimal(str(value)),
                    scope="asset" if shared else "rule",
                )
            )
        return tuple(found)

    def _alternative(self, atoms: list[Constraint]) -> Alternative:
        recipients, not_recipients = _one_of(atoms, "recipient")
        countries, not_countries = _one_of(atoms, "spatial")
        purposes, not_purposes = _one_of(atoms, "purpose")
        return Alternative(
            who=Who(
                recipients=recipients,
                countries=countries,
                not_recipients=not_recipients,
                not_countries=not_countries,
                credentials=frozenset(
                    (kind, issuer or None)
                    for kind, _, issuer in (
                        one.partition("@") for one in _all_of(atoms, "require.credentials")
                    )
                ),
                claims=frozenset(claim_of(one) for one in _all_of(atoms, "require.claims")),
            ),
            when=self._when(atoms),
            purposes=purposes,
            not_purposes=not_purposes,
        )

    def _when(self, atoms: list[Constraint]) -> When:
        begins: list[datetime] = []
        ends: list[datetime] = []
        for item in atoms:
            if item.operand == profile.ELAPSED:
                if self.agreed is not None:
                    ends.append(_plus(self.agreed, values.span(str(item.value))))
            elif item.operand in {profile.BY_KEY["from"].operand, IN_FORCE}:
                moment = self._moment(str(item.value))
                if moment is None:
                    continue
                if item.operator in {"gt", "lteq"}:
                    moment = _plus(moment, _TICK)
                (begins if item.operator in {"gt", "gteq"} else ends).append(moment)
        return When(begins=max(begins, default=None), ends=min(ends, default=None))

    def _moment(self, value: str) -> datetime | None:
        """An instant; relative ones are unknown as long as nothing is agreed."""
        if value[0] not in "+-":
            return values.moment(value)
        if self.agreed is None:
            return None
        length = values.span(value[1:])
        return _plus(self.agreed, length if value[0] == "+" else -length)


def _plus(moment: datetime, length: timedelta) -> datetime:
    try:
        return moment + length
    except OverflowError:
        return _LAST if length > timedelta() else _FIRST


def _one_of(atoms: list[Constraint], key: str) -> tuple[frozenset[str] | None, frozenset[str]]:
    """What a value must be one of (None: anything), and what it must not be."""
    operand = profile.BY_KEY[key].operand
    allowed: frozenset[str] | None = None
    excluded: frozenset[str] = frozenset()
    for item in atoms:
        if item.operand == operand:
            named = frozenset(item.values)
            if item.operator == "isNoneOf":
                excluded |= named
            else:
                allowed = named if allowed is None else allowed & named
    return allowed, excluded


def _all_of(atoms: list[Constraint], key: str) -> frozenset[str]:
    operand = profile.BY_KEY[key].operand
    return frozenset(value for item in atoms if item.operand == operand for value in item.values)


def claim_of(canonical_claim: str) -> tuple[str, str, str]:
    """Type, name and value of a canonical claim."""
    name, _, value = canonical_claim.partition("=")
    kind, _, member = name.partition(".")
    return kind, member, value
