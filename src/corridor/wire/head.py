# SPDX-License-Identifier: Apache-2.0
"""The head of a policy: who, what and which, without reading its rules.

A policy stays the object that came (its bytes are signed, its rules are read by the policy
floor). What the protocol itself must know stands at its top level (`dsp.md` 2.2, 6), and is read
here in any of the JSON-LD spellings.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from corridor.wire.spelling import PLAIN

_RULES = ("permission", "prohibition", "obligation")
_NAMES = ("@id", "target", "assigner", "assignee", "timestamp")
_TIMESTAMP = re.compile(  # contract-schema.json, which forgets to anchor it
    r"-?([1-9][0-9]{3,}|0[0-9]{3})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    r"T(([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]+)?|(24:00:00(\.0+)?))"
    r"(Z|(\+|-)((0[0-9]|1[0-3]):[0-5][0-9]|14:00))?"
)
_TIMESTAMP_CHARS_MAX = 64


@dataclass(frozen=True, slots=True)
class Head:
    """What stands at the top of an Offer or Agreement; None where it does not say."""

    id: str
    type: str | None
    target: str | None
    assigner: str | None
    assignee: str | None
    timestamp: str | None
    bare: bool  # no rule of any kind: how EDC writes the policy that asks for nothing


def head(policy: Mapping[str, Any]) -> Head:
    """Read the head and check its types. Raises ValueError, which decoding turns into Malformed.

    A policy without any rule is read, since EDC sends it (`edc.md` 3); whether it grants anything
    is for the policy floor. An obligation alone is refused, as the schema does.
    """
    plain: dict[str, Any] = {}
    for key, value in policy.items():
        term = PLAIN.get(key, key)
        if term in plain:
            raise ValueError(f"{term} stands twice in a policy")
        plain[term] = value
    texts = {name: _string(plain[name], name) for name in _NAMES if name in plain}
    if not texts.get("@id"):
        raise ValueError("a policy needs an @id")
    if "timestamp" in texts:
        _check_timestamp(texts["timestamp"])
    if "profile" in plain:
        profile = plain["profile"]
        for each in profile if type(profile) is list else [profile]:
            _string(each, "profile")
    for kind in _RULES:
        if kind in plain:
            _check_rules(plain[kind], kind)
    bare = not any(kind in plain for kind in _RULES)
    if not bare and "permission" not in plain and "prohibition" not in plain:
        raise ValueError("a policy needs a permission or a prohibition")
    return Head(
        id=texts["@id"],
        type=_type(plain["@type"]) if "@type" in plain else None,
        target=texts.get("target"),
        assigner=texts.get("assigner"),
        assignee=texts.get("assignee"),
        timestamp=texts.get("timestamp"),
        bare=bare,
    )


def message_offer(policy: Mapping[str, Any]) -> Head:
    """Check an offer inside a message: typed, and about one target (DSP #offer)."""
    it = head(policy)
    if it.type != "Offer":
        raise ValueError("an offer needs the @type Offer")
    if it.target is None:
        raise ValueError("an offer in a message needs a target")
    return it


def catalog_offer(policy: Mapping[str, Any]) -> Head:
    """Check an offer of a catalogue: its target is the dataset around it, and not said again."""
    it = head(policy)
    if it.type not in (None, "Offer"):
        raise ValueError("what a dataset offers is an Offer")
    if it.target is not None:
        raise ValueError("an offer in a catalogue has no target")
    return it


def agreement(policy: Mapping[str, Any]) -> Head:
    """Check an agreement: typed, its target and both parties named (DSP #agreement)."""
    it = head(policy)
    if it.type != "Agreement":
        raise ValueError("an agreement needs the @type Agreement")
    if it.target is None or it.assigner is None or it.assignee is None:
        raise ValueError("an agreement needs target, assigner and assignee")
    return it


def _string(value: Any, name: str) -> str:
    if type(value) is dict and len(value) == 1:
        value = value.get("@id", value.get("@value"))
    if type(value) is not str:
        raise ValueError(f"{name} of a policy is a string")
    return value


def _type(value: Any) -> str:
    text = _string(value, "@type")
    return PLAIN.get(text, text)


def _check_timestamp(text: str) -> None:
    if len(text) > _TIMESTAMP_CHARS_MAX or not _TIMESTAMP.fullmatch(text):
        raise ValueError("timestamp is no date and time")


def _check_rules(value: Any, kind: str) -> None:
    """One rule, or a list that is not empty; each an object that names its action."""
    rules = value if type(value) is list else [value]
    if not rules:
        raise ValueError(f"{kind} is empty; leave it out")
    for rule in rules:
        if type(rule) is not dict or not any(PLAIN.get(key, key) == "action" for key in rule):
            raise ValueError(f"each {kind} is an object with an action")
