# SPDX-License-Identifier: Apache-2.0
"""Terms that somebody wrote, checked against the data and against what this version enforces.

What nobody here would hold is refused when it is offered, never silently dropped (terms.md 1.7).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from corridor.engine.desk.means import Means
from corridor.engine.ground import Home
from corridor.errors import Invalid, Problem
from corridor.policy import document, odrl, permit, profile, values
from corridor.policy import terms as grammar
from corridor.policy.document import List, Map, Scalar
from corridor.policy.model import Constraint
from corridor.policy.plain import plain
from corridor.policy.terms import Shape, Terms
from corridor.wire.home import Fault, TermsChecked

UNENFORCED = "terms-unenforced"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What stands at the top of a terms file, as far as it can be read at all."""

    asset: str = ""
    tabular: bool = False
    lines: Mapping[str, int]


def glance(means: Means, text: str) -> Known:
    """The asset, and whether rules name columns; nothing is checked, faults come later."""
    try:
        root, _ = document.parse(text.encode(), limits=means.ground.limits)
    except document.Unreadable:
        return Known(lines={})
    if not isinstance(root, Map):
        return Known(lines={})
    asset = root.entries.get("asset")
    allow = root.entries.get("allow")
    rules = allow.items if isinstance(allow, List) else ()
    return Known(
        asset=asset.text if isinstance(asset, Scalar) else "",
        tabular=any(isinstance(rule, Map) and "columns" in rule.entries for rule in rules),
        lines=dict(root.lines),
    )


def check(
    means: Means, home: Home, text: str, *, name: str, service: str, shape: Shape | None
) -> Terms:
    """The terms as they can be published; Invalid with all of their faults."""
    services = means.ground.services
    terms = grammar.read(
        text.encode(),
        source=name,
        shape=shape,
        now=means.ground.now(),
        floors=means.floors,
        purposes=means.purposes.get(home.slug, {}),
        enforced={each.name: each.operands for each in services.values()},
        limits=means.ground.limits,
    )
    lines = glance(means, text).lines
    problems = [
        Problem(path, what, UNENFORCED, line=lines.get(path, 1), source=name)
        for path, what in _unenforced(terms, means, service)
    ]
    if problems:
        count = len(problems)
        raise Invalid(f"{name} has {count} fault{'s' if count > 1 else ''}", problems=problems)
    return terms


def _unenforced(terms: Terms, means: Means, service: str) -> Iterator[tuple[str, str]]:
    """(key, what is wrong) of whatever this version would not hold."""
    serving = means.ground.services.get(service)
    actions = serving.actions if serving is not None else frozenset()
    for rule in terms.policy.permissions:
        word = profile.BY_IRI[rule.action].word
        concrete = profile.SINGLE.get(service, word) if word == "use" else word
        if concrete not in actions:
            offers = ", ".join(sorted(actions)) or "nothing"
            yield "allow", f"{word} is not served here; {service} offers: {offers}. Leave it out."
        for item in rule.constraints:
            if isinstance(item, Constraint) and _key(item) == "require.approval":
                yield (
                    "require",
                    "approval: decisions by persons are not in this version. Leave it out.",
                )
    draft = permit.draft(
        terms.policy, service=service, operands=serving.operands if serving else ()
    )
    for duty in draft.duties:
        yield (
            "duties",
            f"{duty.kind}: nobody tracks this duty in this version. Leave it out.",
        )
    if "ask" in (terms.negotiate.narrower, terms.negotiate.wider):
        yield (
            "negotiate",
            "ask: decisions by persons are not in this version. Write accept or refuse.",
        )


def _key(item: Constraint) -> str:
    row = profile.BY_TERM.get((item.operand, item.operator))
    return "" if row is None else row.key


def columns_of(policy: object) -> list[str] | None:
    """The columns that terms name, but for those that never leave; None where they name none."""
    found: dict[str, None] = {}
    named = False
    for rule in getattr(policy, "permissions", ()):
        for item in rule.constraints:
            if not isinstance(item, Constraint):
                continue
            key = _key(item)
            if not key.startswith("columns."):
                continue
            named = True
            if key in ("columns.dimension", "columns.measure"):
                found.update((values.measure_parts(value)[0], None) for value in item.values)
    return list(found) if named else None


def purposes_of(policy: object) -> list[str]:
    """The IRIs of the purposes that terms allow, each once; empty where none is asked for."""
    found: dict[str, None] = {}
    for rule in getattr(policy, "permissions", ()):
        for item in rule.constraints:
            if isinstance(item, Constraint) and _key(item) == "purpose":
                found.update((value, None) for value in item.values)
    return list(found)


def actions_of(policy: object) -> list[str]:
    """The words of what terms allow."""
    words = (profile.BY_IRI[rule.action].word for rule in getattr(policy, "permissions", ()))
    return list(dict.fromkeys(words))


def faults(problems: tuple[Problem, ...]) -> list[Fault]:
    """Problems as they are told."""
    return [
        Fault(
            path=it.path,
            message=it.message,
            code=it.code,
            line=it.line,
            source=it.source,
            mend=it.mend,
        )
        for it in problems
    ]


def told(terms: Terms, *, service: str, operands: frozenset[str]) -> TermsChecked:
    """Sound terms, as a person reads them before publishing."""
    draft = permit.draft(terms.policy, service=service, operands=operands)
    return TermsChecked(
        asset=terms.asset,
        service=service,
        title=dict(terms.title),
        description=dict(terms.description),
        odrl=odrl.write(terms.policy, id="", kind="Offer"),
        plain=plain(terms.policy),
        terms_sha=terms.policy.terms_hash,
        permit_sha="",
        show_to=_audience_words(terms),
        promises=list(draft.obligations),
        warnings=faults(terms.warnings),
    )


def _audience_words(terms: Terms) -> list[str]:
    shown = audience(terms).get("show_to", {})
    return [f"{key}: {value}" for key, given in shown.items() for value in given]


def audience(terms: Terms) -> dict[str, Any]:
    """What stays with us: who may see the offer, and what becomes of counter-offers."""
    found: dict[str, Any] = {
        "negotiate": {"narrower": terms.negotiate.narrower, "wider": terms.negotiate.wider}
    }
    who = terms.show_to
    if who is None:
        return found
    shown: dict[str, Any] = {}
    if who.recipients is not None:
        shown["recipient"] = sorted(who.recipients)
    if who.countries is not None:
        shown["spatial"] = sorted(who.countries)
    if who.credentials:
        shown["credentials"] = sorted(
            f"{kind}@{issuer}" if issuer else kind for kind, issuer in who.credentials
        )
    if who.claims:
        shown["claims"] = {f"{kind}.{name}": value for kind, name, value in sorted(who.claims)}
    return {**found, "show_to": shown}
