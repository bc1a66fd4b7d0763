# SPDX-License-Identifier: Apache-2.0
"""The terms file: what a person writes, read into a policy and written back (terms.md 1).

read: YAML to Terms, or Invalid with every fault of the file. write: Terms to YAML, so that reading
it again gives the same policy. plain: a policy as sentences.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from corridor.errors import CannotHonour, Invalid, Problem
from corridor.limits import Limits
from corridor.policy import canonical, document, permit, profile, values
from corridor.policy.asked import Asked, Shape
from corridor.policy.document import List, Map, Node, Scalar
from corridor.policy.grammar import Required, RuleReader, claims, require, typed_set
from corridor.policy.model import Constraint, OdrlRule, Policy
from corridor.policy.permit import Who
from corridor.policy.plain import plain
from corridor.policy.rules import claim_of
from corridor.policy.written import written

__all__ = ["Negotiate", "Shape", "Terms", "plain", "read", "write"]

TITLE_CHARACTERS_MAX = 200
KEYS = (
    "terms", "title", "description", "asset", "allow", "forbid", "require", "duties", "withdraw",
    "show_to", "negotiate",
)  # fmt: skip
_DEFAULT = Limits()
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*\Z")
_EVENTS = {
    "delete": {"receipt": "receipt", "end": "agreementEnd"},
    "notify": {word: f"event-{word}" for word in ("incident", "breach", "publication")},
}
_DUTY_KEYS = {
    "delete": ("after", "from"),
    "report": ("every",),
    "attribute": ("text",),
    "notify": ("on", "within"),
}
_DUTY_ACTIONS = {form.word: action for action, form in profile.DUTIES.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Negotiate:
    """What happens to a counter-offer without a person (terms.md 4.3)."""

    narrower: str = "accept"
    wider: str = "refuse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """A terms file in normal form. `show_to` and `negotiate` never leave the provider's node."""

    title: Mapping[str, str]
    description: Mapping[str, str]
    asset: str
    policy: Policy
    show_to: Who | None = None
    negotiate: Negotiate = Negotiate()
    warnings: tuple[Problem, ...] = ()


def read(
    text: bytes,
    *,
    source: str,
    shape: Shape | None,
    now: datetime | None,
    floors: Mapping[str, int],
    purposes: Mapping[str, str],
    enforced: Mapping[str, frozenset[str]],
    limits: Limits = _DEFAULT,
) -> Terms:
    """The terms of a file; Invalid with all of its faults, each with line, path and mend.

    `enforced`: the services of this node and the operands that each registers. `purposes`: slugs
    of the participant and their IRIs. Without a `shape` the service is guessed from the rules.
    `now` None reads terms that were checked before: what is past stays readable.
    """
    asked = Asked(
        source=source,
        limits=limits,
        shape=shape,
        now=now,
        floors=floors,
        purposes=purposes,
        enforced=frozenset(),
    )
    terms: Terms | None = None
    try:
        root, duplicates = document.parse(text, limits=limits)
    except document.Unreadable as error:
        asked.fault(
            error.problem.path, error.problem.line, error.problem.message, error.problem.code
        )
    else:
        for problem in duplicates:
            asked.fault(problem.path, problem.line, problem.message, problem.code)
        terms = _File(asked, root, enforced).read()
    if asked.problems or terms is None:
        ordered = sorted(asked.problems, key=lambda problem: (problem.line, problem.path))
        count = len(ordered)
        raise Invalid(f"{source} has {count} fault{'s' if count > 1 else ''}", problems=ordered)
    return terms


class _File:
    """One reading of the top level."""

    def __init__(self, asked: Asked, root: Node, enforced: Mapping[str, frozenset[str]]) -> None:
        self.asked = asked
        self.root = root
        self.entries = asked.map(root, "", KEYS)
        self.enforced = enforced
        self.actions: dict[str, str] = {}

    def node(self, key: str) -> Node | None:
        entry = self.entries.get(key)
        return entry[0] if entry else None

    def read(self) -> Terms | None:
        asked = self.asked
        if not isinstance(self.root, Map):
            return None
        version = self.node("terms")
        if isinstance(version, Scalar) and version.text == "1":
            version = None
        if version is not None:
            asked.fault("terms", version.line, "only grammar 1 is known. Write 1.", "terms-value")
        title = self.language_map("title", TITLE_CHARACTERS_MAX, needed=True)
        description = self.language_map("description", values.TEXT_CHARACTERS_MAX, needed=False)
        if not self.asset():
            return None
        permissions = self.allow()
        prohibitions = self.forbid()
        duties = [*self.duties(), *self.withdraw()]
        show_to, negotiate = self.show_to(), self.negotiate()
        if asked.problems:
            return None
        policy = canonical.policy(permissions, prohibitions, duties)
        self.compiles(policy)
        return Terms(
            title=title,
            description=description,
            asset=asked.asset,
            policy=policy,
            show_to=show_to,
            negotiate=negotiate,
            warnings=tuple(asked.warnings),
        )

    def missing(self, key: str, mend: str) -> None:
        self.asked.fault(key, self.root.line, f"is missing. {mend}", "terms-missing")

    def language_map(self, key: str, most: int, *, needed: bool) -> dict[str, str]:
        node = self.node(key)
        if node is None:
            if needed:
                self.missing(key, f"Write {key}: {{en: …}}.")
            return {}
        if isinstance(node, Scalar):
            node = Map({"und": node}, {"und": node.line}, node.line)
        found = {}
        for language, (inner, path, line) in self.asked.map(node, key).items():
            text = self.asked.scalar(inner, path)
            if not _LANGUAGE.match(language):
                message = "is no language tag. Write one like en, ar or sr-Latn."
                self.asked.fault(path, line, message, "terms-value")
            elif text and len(text.text) > most:
                message = f"is longer than {most} characters. Shorten it."
                self.asked.fault(path, line, message, "terms-limit")
            elif text:
                found[language] = text.text
        if not found and isinstance(node, Map) and not node.entries:
            self.asked.fault(key, node.line, "is empty. Write {en: …}.", "terms-value")
        return found

    def asset(self) -> bool:
        """The asset and, through its shape or the rules, the service."""
        asked, node = self.asked, self.node("asset")
        if node is None:
            self.missing("asset", "Write asset: and the asset's id.")
            return False
        text = asked.scalar(node, "asset")
        asked.asset = (asked.typed("asset", text) if text else None) or ""
        if not asked.asset:
            return False
        shape = asked.shape
        if shape and shape.asset != asked.asset:
            message = f'"{asked.asset}" is not the asset {shape.asset}. Write {shape.asset}.'
            asked.fault("asset", node.line, message, "terms-value")
            return False
        asked.service = shape.service if shape else _guess(self.node("allow"))
        if asked.service not in self.enforced or asked.service not in profile.SERVICES:
            message = (
                f"this node has no service {asked.service}, which its terms need. "
                "Choose another asset."
            )
            asked.fault("asset", node.line, message, "terms-unenforced")
            return False
        asked.enforced = profile.registered(self.enforced[asked.service])
        return True

    def allow(self) -> list[OdrlRule]:
        asked, node = self.asked, self.node("allow")
        if node is None:
            self.missing("allow", "Write allow: and at least one rule.")
            return []
        if not isinstance(node, List) or not node.items:
            message = "must be a list of rules. Write [{action: use}]."
            asked.fault("allow", node.line, message, "terms-value")
            return []
        most = asked.limits.terms_rules_max
        if len(node.items) > most:
            asked.fault("allow", node.line, f"more than {most} rules. Join some.", "terms-limit")
            return []
        needed = self.node("require")
        required = require(asked, needed, "require") if needed else Required()
        found = []
        for at, item in enumerate(node.items):
            reader = RuleReader(asked, f"allow[{at}]", item.line, required)
            rule = reader.read(item)
            if rule:
                found.append(rule)
                self.actions.setdefault(reader.action, f"allow[{at}]")
        if "read" in self.actions and "aggregate" in self.actions:
            message = "read beside aggregate: rows undo statistics. Leave one of them out."
            asked.warn("allow", node.line, message, "terms-read-beside-aggregate")
        return found

    def forbid(self) -> list[OdrlRule]:
        asked, node = self.asked, self.node("forbid")
        found = []
        for text in asked.texts(node, "forbid") if node else ():
            action = profile.FORBID.get(text.text)
            if action is None:
                message = (
                    f"{values.quoted(text.text)} cannot be forbidden here. Write one of: "
                    f"{', '.join(profile.FORBID)}."
                )
                asked.fault(text.path, text.line, message, "terms-value")
                continue
            allowed = self.actions.get(text.text)
            if allowed:
                message = f'"{text.text}" is also in {allowed}. A thing cannot be both; remove one.'
                asked.fault(text.path, text.line, message, "terms-conflict")
            found.append(OdrlRule(action))
        return found

    def duties(self) -> list[OdrlRule]:
        """One duty a kind and event: of several the strictest is meant."""
        asked, node = self.asked, self.node("duties")
        if node is None:
            return []
        items = node.items if isinstance(node, List) else (node,)
        found: dict[tuple[str, str], str] = {}
        for at, item in enumerate(items):
            path = f"duties[{at}]"
            for kind, (inner, where, _) in asked.map(item, path, _DUTY_KEYS).items():
                duty = self.duty(kind, inner, where)
                if duty is None:
                    continue
                event, value = duty
                held = found.get((kind, event))
                if kind == "attribute" and held not in (None, value):
                    message = "a second text to attribute. Leave one."
                    asked.fault(where, inner.line, message, "terms-conflict")
                elif held is None or (
                    kind != "attribute" and values.span(value) < values.span(held)
                ):
                    found[kind, event] = value
        return [_duty(kind, event, value) for (kind, event), value in found.items()]

    def duty(self, kind: str, node: Node, path: str) -> tuple[str, str] | None:
        """One duty as (event, canonical duration or text)."""
        asked = self.asked
        entries = asked.map(node, path, _DUTY_KEYS[kind])
        event, value = "", None
        if kind == "delete":
            event = "receipt"
        for key, (inner, where, line) in entries.items():
            text = asked.scalar(inner, where)
            if text is None:
                return None
            if key in {"from", "on"}:
                event = _EVENTS[kind].get(text.text, "")
                if not event:
                    message = (
                        f"{values.quoted(text.text)} is no event. Write one of: "
                        f"{', '.join(_EVENTS[kind])}."
                    )
                    asked.fault(where, line, message, "terms-value")
                    return None
            else:
                value = asked.typed("text" if kind == "attribute" else "duration", text)
                if value is None:
                    return None
        if value is None or (kind == "notify" and not event):
            keys = ", ".join(_DUTY_KEYS[kind])
            asked.fault(path, node.line, f"is not whole. Write {{{keys}}}.", "terms-missing")
            return None
        return event, value

    def withdraw(self) -> list[OdrlRule]:
        node = self.node("withdraw")
        if node is None:
            return []
        entries = self.asked.map(node, "withdraw", ("notice",))
        for inner, where, _ in entries.values():
            text = self.asked.scalar(inner, where)
            length = self.asked.typed("duration", text) if text else None
            if length and values.span(length) > timedelta():
                return [OdrlRule(profile.NOTICE, (Constraint(profile.DELAY, "gteq", length),))]
        return []

    def show_to(self) -> Who | None:
        node = self.node("show_to")
        if node is None:
            return None
        asked = self.asked
        keys = ("recipient", "spatial", "credentials", "claims")
        entries = asked.map(node, "show_to", keys)
        sets = {
            key: typed_set(asked, kind, entries[key][0], entries[key][1])
            for key, kind in (
                ("recipient", "did"), ("spatial", "country"), ("credentials", "credential"),
            )
            if key in entries
        }  # fmt: skip
        claimed = claims(asked, *entries["claims"][:2]) if "claims" in entries else ()
        return Who(
            recipients=frozenset(sets["recipient"]) if "recipient" in sets else None,
            countries=frozenset(sets["spatial"]) if "spatial" in sets else None,
            credentials=frozenset(
                (kind, issuer or None)
                for kind, _, issuer in (one.partition("@") for one in sets.get("credentials", ()))
            ),
            claims=frozenset(claim_of(one) for one in claimed),
        )

    def negotiate(self) -> Negotiate:
        node = self.node("negotiate")
        choices = {"narrower": ("accept", "ask"), "wider": ("refuse", "ask")}
        found = {}
        for key, (inner, where, line) in self.asked.map(node, "negotiate", choices).items():
            text = self.asked.scalar(inner, where)
            if text and text.text in choices[key]:
                found[key] = text.text
            elif text:
                message = f"{values.quoted(text.text)}. Write {' or '.join(choices[key])}."
                self.asked.fault(where, line, message, "terms-value")
        return Negotiate(**found)

    def compiles(self, policy: Policy) -> None:
        """What does not compile is not offered, even where the grammar saw no fault."""
        try:
            permit.draft(policy, service=self.asked.service, operands=self.asked.enforced)
        except CannotHonour as error:
            line = self.entries["allow"][2]
            self.asked.fault("allow", line, f"{error.what}. Leave it out.", error.code)


def _guess(node: Node | None) -> str:
    """The service that rules speak of, where no shape says it."""
    keys: set[str] = set()
    actions = set()
    for item in node.items if isinstance(node, List) else ():
        if isinstance(item, Map):
            keys |= item.entries.keys()
            action = item.entries.get("action")
            actions.add(action.text if isinstance(action, Scalar) else "")
    for service, signs in (
        ("joint", {"train"}),
        ("jobs", {"execute"}),
        ("buckets", {"store", "operations"}),
        ("hosting", {"invoke", "paths"}),
        ("threats", {"tlp", "kinds"}),
        ("tables", {"aggregate", "columns"}),
    ):
        if signs & (keys | actions):
            return service
    return "files"


def _duty(kind: str, event: str, value: str) -> OdrlRule:
    action = _DUTY_ACTIONS[kind]
    return canonical.rule(
        action,
        (
            Constraint(operand, operator, profile.iri(f"cor:{event}") if typed == "iri" else value)
            for operand, operator, typed in profile.DUTIES[action].constraints
        ),
    )


def write(terms: Terms) -> str:
    """The terms as YAML in normal form; what all rules require is written once."""
    return written(
        title=terms.title,
        description=terms.description,
        asset=terms.asset,
        policy=terms.policy,
        show_to=terms.show_to,
        negotiate={
            key: value
            for key, value in (
                ("narrower", terms.negotiate.narrower),
                ("wider", terms.negotiate.wider),
            )
            if value not in {"accept", "refuse"}
        },
    )
