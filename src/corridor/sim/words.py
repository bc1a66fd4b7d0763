# SPDX-License-Identifier: Apache-2.0
"""The protocol's words once more, in a few lines of its own: checkers and foreign peers read these.

Nothing here comes from `wire` or `protocol`: a fault there must not be in its judge as well.
DSP #contract-negotiation-states, #transfer-process-states.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

CONTEXT = ["https://w3id.org/dspace/2025/1/context.jsonld"]

# @type -> (kind, step, who sends it: C, P or B for both)
TYPES: Mapping[str, tuple[str, str, str]] = {
    "ContractRequestMessage": ("negotiations", "REQUEST", "C"),
    "ContractOfferMessage": ("negotiations", "OFFER", "P"),
    "ContractAgreementMessage": ("negotiations", "AGREE", "P"),
    "ContractAgreementVerificationMessage": ("negotiations", "VERIFY", "C"),
    "ContractNegotiationTerminationMessage": ("negotiations", "TERMINATE", "B"),
    "TransferRequestMessage": ("transfers", "REQUEST", "C"),
    "TransferStartMessage": ("transfers", "START", "B"),
    "TransferSuspensionMessage": ("transfers", "SUSPEND", "B"),
    "TransferCompletionMessage": ("transfers", "COMPLETE", "B"),
    "TransferTerminationMessage": ("transfers", "TERMINATE", "B"),
}

Arrows = Mapping[tuple[str, str, str], str]

# (state, sender, step) -> state; "" is the state before the first message
NEGOTIATION: Arrows = {
    ("", "C", "REQUEST"): "REQUESTED",
    ("", "P", "OFFER"): "OFFERED",
    ("REQUESTED", "P", "OFFER"): "OFFERED",
    ("REQUESTED", "P", "AGREE"): "AGREED",
    ("OFFERED", "C", "REQUEST"): "REQUESTED",
    ("OFFERED", "C", "ACCEPT"): "ACCEPTED",
    ("ACCEPTED", "P", "AGREE"): "AGREED",
    ("AGREED", "C", "VERIFY"): "VERIFIED",
    ("VERIFIED", "P", "FINALIZE"): "FINALIZED",
} | {
    (state, who, "TERMINATE"): "TERMINATED"
    for state in ("REQUESTED", "OFFERED", "ACCEPTED", "AGREED", "VERIFIED")
    for who in "CP"
}
TRANSFER: Arrows = {
    ("", "C", "REQUEST"): "REQUESTED",
    ("REQUESTED", "P", "START"): "STARTED",
    ("STARTED", "P", "START"): "STARTED",  # the address that follows a consumer's resume
    **{("SUSPENDED", who, "START"): "STARTED" for who in "CP"},
    **{("STARTED", who, "SUSPEND"): "SUSPENDED" for who in "CP"},
    **{("STARTED", who, "COMPLETE"): "COMPLETED" for who in "CP"},
    **{
        (state, who, "TERMINATE"): "TERMINATED"
        for state in ("REQUESTED", "STARTED", "SUSPENDED")
        for who in "CP"
    },
}
ARROWS: Mapping[str, Arrows] = {"negotiations": NEGOTIATION, "transfers": TRANSFER}
FINAL = frozenset({"FINALIZED", "TERMINATED", "COMPLETED"})


def other(role: str) -> str:
    """The counter-party's role."""
    return "P" if role == "C" else "C"


def own_key(role: str) -> str:
    """The field that holds this role's pid."""
    return "consumerPid" if role == "C" else "providerPid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """A message as it crossed: who said which step in which process."""

    kind: str
    step: str
    sender: str
    consumer_pid: str
    provider_pid: str
    message_id: str
    value: Mapping[str, Any]

    @property
    def sender_pid(self) -> str:
        """The sender's own id of the process."""
        return self.consumer_pid if self.sender == "C" else self.provider_pid

    @property
    def receiver_pid(self) -> str:
        """The receiver's own id of the process, empty where it was not known yet."""
        return self.provider_pid if self.sender == "C" else self.consumer_pid


def _text(value: Mapping[str, Any], key: str) -> str:
    found = value.get(key, "")
    return found if isinstance(found, str) else ""


def read(path: str, body: bytes) -> Word | None:
    """A protocol message, or None for anything else."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    name = _text(value, "@type")
    if name == "ContractNegotiationEventMessage":
        event = _text(value, "eventType").rpartition("/")[2]
        if event not in {"ACCEPTED", "FINALIZED"}:
            return None
        kind = "negotiations"
        step, who = ("FINALIZE", "P") if event == "FINALIZED" else ("ACCEPT", "C")
    elif name in TYPES:
        kind, step, who = TYPES[name]
    else:
        return None
    consumer, provider = _text(value, "consumerPid"), _text(value, "providerPid")
    if who == "B":
        # The path names the receiver's process.
        who = "C" if provider and provider in unquote(path).split("/") else "P"
    return Word(
        kind=kind,
        step=step,
        sender=who,
        consumer_pid=consumer,
        provider_pid=provider,
        message_id=_text(value, "@id"),
        value=value,
    )
