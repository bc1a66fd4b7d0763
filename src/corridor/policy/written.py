# SPDX-License-Identifier: Apache-2.0
"""A policy written back as a terms file, in normal form (terms.md 1.3)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from corridor.policy import canonical, profile, values
from corridor.policy.model import Constraint, OdrlRule, Policy, Value
from corridor.policy.profile import BY_IRI, BY_TERM, BY_WORD, DUTIES, FORBID_WORDS, ORDER
from corridor.policy.reading import cannot
from corridor.policy.rules import Who

_PLAIN = re.compile(r"[A-Za-z0-9_/.+][A-Za-z0-9_/.+@-]*\Z")
_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z\Z")
_SLUGS = {whole: slug for slug, whole in profile.PURPOSES.items()}


def quote(text: str) -> str:
    """A scalar of a flow collection: bare where no reader could take it for anything else."""
    if _PLAIN.match(text) or _INSTANT.match(text):
        return text
    return '"' + "".join(_escape(sign) for sign in text) + '"'


def _escape(sign: str) -> str:
    if sign in '"\\':
        return "\\" + sign
    if sign == " " or sign.isprintable():
        return sign
    return f"\\U{ord(sign):08X}"


def flow(value: Any) -> str:
    """Text, lists and maps in one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{quote(key)}: {flow(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(flow(one) for one in value) + "]"
    return quote(value)


def written(
    *,
    title: Mapping[str, str],
    description: Mapping[str, str],
    asset: str,
    policy: Policy,
    show_to: Who | None,
    negotiate: Mapping[str, str],
) -> str:
    """The whole file. CannotHonour where the policy holds what the grammar has no word for."""
    rules = sorted(policy.permissions, key=canonical.rule_key)
    given = [_given(rule) for rule in rules]
    common = _united(given)
    lines = [f"title: {flow(title)}"]
    if description:
        lines.append(f"description: {flow(description)}")
    lines += [f"asset: {quote(asset)}", "allow:"]
    for rule, values_ in zip(rules, given, strict=True):
        entries = _rule(BY_IRI[rule.action].word, values_, common)
        lines += [
            f"  {'- ' if at == 0 else '  '}{key}: {flow(value)}"
            for at, (key, value) in enumerate(entries.items())
        ]
    if policy.prohibitions:
        lines.append(f"forbid: {flow([_forbidden(rule) for rule in policy.prohibitions])}")
    if common:
        lines.append(f"require: {flow(_require(common))}")
    duties = [_duty(rule) for rule in policy.duties if rule.action != profile.NOTICE]
    if duties:
        lines.append(f"duties: {flow(duties)}")
    for rule in policy.duties:
        if rule.action == profile.NOTICE:
            lines.append(f"withdraw: {flow({'notice': _values(rule)[profile.DELAY]})}")
    if show_to is not None:
        lines.append(f"show_to: {flow(_show_to(show_to))}")
    if negotiate:
        lines.append(f"negotiate: {flow(negotiate)}")
    return "\n".join(lines) + "\n"


Given = dict[str, Value]


def _given(rule: OdrlRule) -> Given:
    """A rule's values by row key, in the order of the profile."""
    found = {}
    for item in rule.constraints:
        row = BY_TERM.get((item.operand, item.operator)) if isinstance(item, Constraint) else None
        if row is None or not isinstance(item, Constraint):
            raise cannot("permission", BY_IRI[rule.action].word, "a foreign constraint")
        found[row.key] = (ORDER[item.operand, item.operator], item.value)
    return {key: value for key, (_, value) in sorted(found.items(), key=lambda one: one[1][0])}


def _united(given: list[Given]) -> dict[str, tuple[str, ...]]:
    """What every rule requires."""
    found = {}
    for key in ("require.credentials", "require.claims", "require.approval"):
        sets = [set(one.get(key, ())) for one in given]
        shared = set.intersection(*sets) if sets else set()
        if shared:
            found[key] = canonical.in_order(shared)
    return found


def _require(given: Mapping[str, Value]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in given.items():
        name = key.partition(".")[2]
        found[name] = _claims(value) if name == "claims" else list(value)
    return found


def _claims(given: Iterable[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in given:
        name, _, value = one.partition("=")
        found.setdefault(name, []).append(value)
    return {name: held[0] if len(held) == 1 else held for name, held in found.items()}


def _rule(action: str, given: Given, common: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    """The entries of a rule, columns and nested maps put together again."""
    found: dict[str, Any] = {"action": action}
    left = {
        key: canonical.in_order(set(value) - set(common.get(key, ())))
        for key, value in given.items()
        if key.startswith("require.") and set(value) - set(common.get(key, ()))
    }
    if left:
        found["require"] = _require(left)
    for key, value in given.items():
        if not key.startswith("require."):
            _entry(found, key, value)
    return found


def _entry(found: dict[str, Any], key: str, value: Value) -> None:
    head, _, rest = key.partition(".")
    match head:
        case "columns":
            _columns(found.setdefault("columns", {}), rest, value)
        case "quota":
            noun, _, window = rest.partition(".")
            noun = BY_WORD[found["action"]].noun if noun == "NOUN" else noun
            found.setdefault("quota", {}).setdefault(noun, {})[window] = value
        case "privacy":
            private = found.setdefault("privacy", {})
            name, _, window = rest.partition(".")
            private[name] = value
            if window:
                private["per"] = window
        case "dominance" | "circle":
            found.setdefault(head, {})[rest] = value
        case "purpose":
            found[head] = [_SLUGS.get(one, one) for one in value]
        case "tlp":
            found[head] = max(value, key=values.TLP.index)
        case _:
            found[head] = value


def _columns(columns: dict[str, Any], role: str, value: Value) -> None:
    for one in (value,) if isinstance(value, str) else value:
        name, bounds = values.measure_parts(one) if role == "measure" else (one, None)
        said = {"measure": [str(bound) for bound in bounds]} if bounds else role
        held = columns.get(name)
        columns[name] = (
            said if held is None else [*(held if isinstance(held, list) else [held]), said]
        )


def _forbidden(rule: OdrlRule) -> str:
    word = FORBID_WORDS.get(rule.action)
    if word is None:
        raise cannot("prohibition", rule.action, "has no word in a file")
    return word


def _values(rule: OdrlRule) -> dict[str, str]:
    return {
        item.operand: "".join(item.values)
        for item in rule.constraints
        if isinstance(item, Constraint)
    }


def _duty(rule: OdrlRule) -> dict[str, Any]:
    given = _values(rule)
    event = profile.local(given.get(profile.EVENT, "")).removeprefix("event-")
    match DUTIES[rule.action].word:
        case "delete":
            start = "end" if event == "agreementEnd" else event
            return {"delete": {"after": given[profile.ELAPSED], "from": start}}
        case "report":
            return {"report": {"every": given[profile.INTERVAL]}}
        case "attribute":
            return {"attribute": {"text": given[profile.ATTRIBUTION]}}
        case _:
            return {"notify": {"on": event, "within": given[profile.ELAPSED]}}


def _show_to(who: Who) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if who.recipients is not None:
        found["recipient"] = sorted(who.recipients)
    if who.countries is not None:
        found["spatial"] = sorted(who.countries)
    if who.credentials:
        found["credentials"] = sorted(
            f"{kind}@{issuer}" if issuer else kind for kind, issuer in who.credentials
        )
    if who.claims:
        found["claims"] = _claims(
            f"{kind}.{name}={value}" for kind, name, value in sorted(who.claims)
        )
    return found
