# SPDX-License-Identifier: Apache-2.0
"""A policy in English sentences, for people who decide about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from corridor.policy import canonical, profile, values
from corridor.policy.model import Constraint, Either, OdrlRule, Policy
from corridor.policy.profile import BY_IRI, BY_TERM, DUTIES, FORBID_WORDS

_VERBS = {
    "use": "use the asset",
    "read": "read",
    "aggregate": "ask for statistics",
    "train": "train models",
    "execute": "run programs",
    "store": "store objects",
    "invoke": "call the service",
    "share": "pass on what was obtained",
}
_FORBIDDEN = {
    "re-identify": "try to find out whom the data are about",
    "link": "link the data with other data",
    "share": "pass the data on",
    "sell": "sell the data",
    "train": "train models with the data",
}
_NOUNS = {"cpu_seconds": "processor seconds"}
_SLUGS = {whole: slug.replace("-", " ") for slug, whole in profile.PURPOSES.items()}


def plain(policy: Policy) -> list[str]:
    """Sentences: what is allowed rule by rule, what is forbidden, what must be done."""
    found: list[str] = []
    for rule in sorted(policy.permissions, key=canonical.rule_key):
        found += _permission(rule)
    forbidden = {rule.action for rule in policy.prohibitions}
    found += [
        f"Must not {_FORBIDDEN[word]}."
        for word, action in profile.FORBID.items()
        if action in forbidden
    ]
    found += [
        f"Must not {_VERBS[BY_IRI[action].word]}."
        for action in sorted(forbidden - FORBID_WORDS.keys())
    ]
    return found + [_duty(rule) for rule in policy.duties]


def _permission(rule: OdrlRule) -> list[str]:
    word = BY_IRI[rule.action].word
    keyed: dict[str, Constraint] = {}
    others: list[str] = []
    for item in rule.constraints:
        if isinstance(item, Either):
            parts = " or ".join(_foreign(part) for part in item.constraints)
            others.append(f"Only if {parts}.")
            continue
        row = BY_TERM.get((item.operand, item.operator))
        if row is None:
            others.append(f"Only if {_foreign(item)}.")
        else:
            keyed[row.key] = item
    columns = [
        values.measure_parts(value)[0]
        for key in ("columns.dimension", "columns.measure")
        if key in keyed
        for value in keyed[key].values
    ]
    what = _VERBS[word]
    if columns:
        what += f" {'of ' if word != 'read' else ''}the columns {_and(sorted(columns))}"
    found = [f"May {what}."]
    order = sorted(keyed.items(), key=lambda one: profile.ORDER[one[1].operand, one[1].operator])
    for key, item in order:
        if key in {"columns.dimension", "columns.measure"}:
            continue
        found.append(_sentence(key, item, word))
    return found + others


def _foreign(item: Constraint) -> str:
    return f"{profile.local(item.operand)} {item.operator} {_and(item.values, 'or')}"


def _and(words: Iterable[str], last: str = "and") -> str:
    given = list(words)
    if len(given) < 2:
        return "".join(given)
    return (
        f"{', '.join(given[:-1])} {last} {given[-1]}" if len(given) > 2 else f" {last} ".join(given)
    )


def date_words(when: datetime) -> str:
    """`31 December 2027`, or with the time where it is not the start of a day."""
    words = f"{when.day} {when:%B} {when.year}"
    return (
        words
        if (when.hour, when.minute, when.second) == (0, 0, 0)
        else f"{words} {when:%H:%M:%S} UTC"
    )


def span_words(length: timedelta) -> str:
    """`90 days`, `1 hour 30 minutes`."""
    minutes, seconds = divmod(length.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((length.days, "day"), (hours, "hour"), (minutes, "minute"), (seconds, "second"))
    return " ".join(f"{n} {unit}{'s' * (n != 1)}" for n, unit in parts if n) or "no time"


def size_words(count: int) -> str:
    """`64 KiB` where it comes out even, else bytes."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if count and count % values.UNITS[unit] == 0:
            return f"{count // values.UNITS[unit]} {unit}"
    return f"{count} bytes"


def _until(value: str) -> str:
    when = values.moment(value)
    if (when.hour, when.minute, when.second, when.microsecond) == (0, 0, 0, 0):
        # A whole day is included, so people are told that day.
        return f"Until {date_words(when - timedelta(days=1))}."
    return f"Until {date_words(when)}."


def _purposes(item: Constraint) -> str:
    return f"Only for {_and((_SLUGS.get(one, one) for one in item.values), 'or')}."


def _quota(key: str, value: str, word: str) -> str:
    _, noun, window = key.split(".")
    noun = BY_IRI[profile.BY_WORD[word].iri].noun if noun == "NOUN" else noun
    amount = size_words(int(value)) if noun == "bytes" else f"{value} {_NOUNS.get(noun, noun)}"
    if value == "1" and noun not in _NOUNS and noun != "bytes":
        amount = f"1 {noun[:-3] + 'y' if noun.endswith('ies') else noun[:-1]}"
    return f"At most {amount} {'in all' if window == 'total' else f'a {window}'}.".replace(
        "a hour", "an hour"
    )


_SENTENCES: dict[str, Callable[[Constraint], str]] = {
    "purpose": _purposes,
    "from": lambda c: f"From {date_words(values.moment(str(c.value)))}.",
    "until": lambda c: _until(str(c.value)),
    "for": lambda c: f"For {span_words(values.span(str(c.value)))} from the agreement.",
    "spatial": lambda c: f"Only from {_and(c.values, 'or')}.",
    "recipient": lambda c: f"Only for {_and(c.values, 'or')}.",
    "require.credentials": lambda c: f"Needs the credential {_and(c.values)}.",
    "require.claims": lambda c: f"Needs the claim {_and(c.values)}.",
    "require.approval": lambda c: f"Needs the approval of {_and(c.values)}.",
    "columns.unit": lambda c: f"Units are counted by {c.value}, which is never shown.",
    "columns.filter": lambda c: f"May select by {_and(c.values)}.",
    "columns.join-only": lambda c: f"May join on {_and(c.values)}.",
    "rows": lambda c: f"Only rows where {_and(c.values)}.",
    "min_group_size": lambda c: f"Groups of fewer than {c.value} are hidden.",
    "max_rows": lambda c: f"At most {c.value} rows an answer.",
    "time_limit": lambda c: f"At most {c.value} seconds an answer.",
    "functions": lambda c: f"Functions: {_and(c.values)}.",
    "models": lambda c: f"Models: {_and(c.values)}.",
    "tlp": lambda c: f"Markings up to TLP:{max(c.values, key=values.TLP.index)}.",
    "methods": lambda c: f"Methods: {_and(c.values)}.",
    "paths": lambda c: f"Paths: {_and(c.values)}.",
    "request_size": lambda c: f"Requests of at most {size_words(int(str(c.value)))}.",
    "capacity": lambda c: f"At most {size_words(int(str(c.value)))} kept.",
    "operations": lambda c: f"Operations: {_and(c.values)}.",
}


def _sentence(key: str, item: Constraint, word: str) -> str:
    if key.startswith("quota."):
        return _quota(key, str(item.value), word)
    if key.startswith("privacy.epsilon."):
        window = key.rpartition(".")[2]
        return f"Privacy budget {item.value} {'in all' if window == 'total' else f'a {window}'}."
    said = _SENTENCES.get(key)
    if said:
        return said(item)
    words = {"lteq": "at most ", "gteq": "at least "}.get(item.operator, "")
    name = key.replace(".", " ").replace("_", " ").capitalize()
    return f"{name}: {words}{_and(item.values)}."


_EVENTS = {
    "receipt": "the last receipt",
    "agreementEnd": "the end of the agreement",
    "event-incident": "an incident",
    "event-breach": "a breach",
    "event-publication": "a publication",
}


def _duty(rule: OdrlRule) -> str:
    given = {c.operand: "".join(c.values) for c in rule.constraints if isinstance(c, Constraint)}
    event = _EVENTS.get(profile.local(given.get(profile.EVENT, "")), "")

    def length(operand: str) -> str:
        return span_words(values.span(given[operand]))

    match DUTIES[rule.action].word:
        case "delete":
            return f"Must delete all copies within {length(profile.ELAPSED)} of {event}."
        case "report":
            return f"Must report the use every {length(profile.INTERVAL)}."
        case "attribute":
            return f'Must name the source: "{given[profile.ATTRIBUTION]}".'
        case "notify":
            return f"Must tell the provider within {length(profile.ELAPSED)} of {event}."
        case _:
            return f"The provider gives {length(profile.DELAY)} of notice before it withdraws."
