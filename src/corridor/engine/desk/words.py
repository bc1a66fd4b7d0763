# SPDX-License-Identifier: Apache-2.0
"""Whose turn it is, and what to do: sentences about deals, for people (experience.md, rule 1)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from corridor.protocol.machine import Role
from corridor.protocol.negotiation import State
from corridor.protocol.transfer import State as Flow
from corridor.store.agreements import Agreement
from corridor.store.negotiations import Negotiation
from corridor.store.transfers import Transfer


@dataclass(frozen=True, slots=True)
class Turn:
    """Whom it waits for (empty: nobody), and what to do next."""

    whom: str
    next: str


_CODE = re.compile(r"^[a-z]+(-[a-z]+)+: ")
OVER = "Nothing: it is over."
ALONE = "Nothing: it goes on by itself."
UNDELIVERED = Turn(
    "an operator here",
    "The last message could not be delivered: see corridor partner test, then ask again.",
)


def node_of(partner: str) -> str:
    """A partner's machine, as distinct from its people."""
    return f"the node of {partner}"


def of_negotiation(it: Negotiation, partner: str, *, dead: bool) -> Turn:
    """Whose turn a negotiation is."""
    if it.state == State.TERMINATED:
        return Turn("", _over(it.reason))
    if dead:
        return UNDELIVERED
    if it.pending is not None or it.state is None:
        return Turn(node_of(partner), ALONE)
    ours = it.role == Role.CONSUMER
    match it.state:
        case State.REQUESTED:
            return Turn(partner, "Wait: they decide.") if ours else Turn("this node", ALONE)
        case State.OFFERED if ours:
            return Turn("you", "They offer other terms: accept them, ask for less, or end it.")
        case State.OFFERED:
            return Turn(partner, "Wait: they decide about your offer.")
        case State.ACCEPTED | State.VERIFIED:
            return Turn(node_of(partner), ALONE) if ours else Turn("this node", ALONE)
        case State.AGREED:
            return Turn("this node", ALONE) if ours else Turn(node_of(partner), ALONE)
        case _:
            return Turn("", "Use it.")


def of_agreement(it: Agreement, *, ends: str | None, leaving: str | None) -> Turn:
    """What to do with an agreement; `leaving`: when a withdrawal takes effect."""
    if it.state != "live":
        return Turn("", _over(it.reason))
    if leaving is not None:
        return Turn("", f"It was withdrawn and holds until {minute(leaving)}.")
    until = f" It holds until {minute(ends)}." if ends else ""
    if it.role == Role.PROVIDER:
        return Turn("", f"Nothing: they may use it.{until}")
    verb = "corridor query" if it.service == "tables" else "corridor fetch"
    return Turn("", f"Use it: {verb} {it.asset}.{until}")


def of_transfer(it: Transfer, partner: str, *, dead: bool) -> Turn:
    """Whose turn a transfer is."""
    if it.state in (Flow.TERMINATED, Flow.COMPLETED):
        return Turn("", _over(it.reason))
    if dead:
        return UNDELIVERED
    if it.pending is not None or it.state is None:
        return Turn(node_of(partner), ALONE)
    if it.state == Flow.REQUESTED:
        ours = it.role == Role.PROVIDER
        return Turn("this node" if ours else node_of(partner), ALONE)
    if it.state == Flow.SUSPENDED:
        return Turn("", "It is paused: resume it, or end it.")
    return Turn("", "Data may flow.")


def _over(reason: str | None) -> str:
    told = why(reason)
    return f"{OVER} Reason given: {told}" if told else OVER


def why(reason: str | None) -> str:
    """A reason as its giver wrote it, without the code that messages put before it."""
    return _CODE.sub("", reason or "")


def minute(told: str) -> str:
    """A time of the API (UTC) as a sentence has it."""
    return f"{told[:10]} {told[11:16]} UTC"


MESSAGES: Mapping[str, str] = {
    "ContractRequestMessage": "asked for an agreement",
    "ContractOfferMessage": "made an offer",
    "ContractAgreementMessage": "agreed",
    "ContractAgreementVerificationMessage": "verified the agreement",
    "ContractNegotiationEventMessage": "confirmed",
    "ContractNegotiationTerminationMessage": "ended the negotiation",
    "TransferRequestMessage": "asked for the data",
    "TransferStartMessage": "started the transfer",
    "TransferSuspensionMessage": "paused the transfer",
    "TransferCompletionMessage": "completed the transfer",
    "TransferTerminationMessage": "ended the transfer",
}
ENTRIES: Mapping[str, str] = {
    "ledger.opened": "the ledger begins",
    "key.stated": "keys were stated",
    "agreement.concluded": "the agreement is in force",
    "agreement.withdrawn": "the agreement was withdrawn",
    "agreement.returned": "the agreement was given back",
    "session.opened": "a session was opened",
    "session.suspended": "a session was paused",
    "session.resumed": "a session went on",
    "session.closed": "a session was closed",
    "act.started": "an answer began",
}


def of_entry(entry: Mapping[str, Any]) -> str:
    """An entry of the ledger in a few words."""
    kind = str(entry.get("type", ""))
    if kind in ("message.received", "message.sent"):
        said = MESSAGES.get(str(entry.get("message")), str(entry.get("message", "a message")))
        refused = int(entry.get("status", 200)) >= 400
        return f"{said}; refused: {entry.get('code', '')}" if refused else said
    if kind == "message.acknowledged":
        return "the message arrived"
    if kind == "receipt":
        return f"{entry.get('act', 'an act')}: {entry.get('outcome', '')}"
    if kind == "decision":
        rule = entry.get("rule", "")
        return f"{entry.get('outcome', 'decided')}{f' by {rule}' if rule else ''}"
    if kind == "admin.acted":
        return f"{entry.get('action', 'acted')} {entry.get('target', '')}".strip()
    return ENTRIES.get(kind, kind)
