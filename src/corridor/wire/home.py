# SPDX-License-Identifier: Apache-2.0
"""What the node and its own people say to each other: `/api/v1` (node.md g).

`OPERATIONS` is the whole interface: which body goes where, which comes back. Field names are those
of the wire. A time is ISO 8601 in UTC with a Z; None and the empty string mean "not known" or
"none"; hashes are hex. A list is a `Page`: `?limit=` (at most 200), and `?after=` the opaque `next`
of the page before. A POST may carry an `Idempotency-Key`. Names in a path are percent-encoded once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from corridor.wire.home_deals import (
    AddressView,
    Consequences,
    CounterAsk,
    DealView,
    EntryView,
    ExplainAsk,
    Explained,
    LedgerCheck,
    NegotiationView,
    QueryAsk,
    ReasonAsk,
    ReceiptView,
    RequestAsk,
    Said,
    SeenReceipt,
    SinkAsk,
    TransferAsk,
    TransferView,
    Usage,
    VerifiedView,
)
from corridor.wire.home_node import (
    Body,
    Check,
    EventView,
    Fault,
    KeyView,
    LetterView,
    Me,
    NodeInfo,
    Page,
    ParticipantView,
    ProblemBody,
    RotateAsk,
    TokenAsk,
    TokenView,
)
from corridor.wire.home_offers import (
    AssetView,
    FindAsk,
    Found,
    FoundAsset,
    FoundOffer,
    LookAsk,
    Looked,
    OfferAsk,
    OfferView,
    PartnerAsk,
    PartnerTest,
    PartnerView,
    Silent,
    TermsAsk,
    TermsChecked,
    Uploaded,
)

PROBLEM = "application/problem+json"
ARROW = "application/vnd.apache.arrow.stream"
EVENTS = "text/event-stream"
BYTES = "application/octet-stream"
JSON = "application/json"
RECEIPT_HEADER = "Corridor-Receipt"


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation. `ask`, `answer`: a body's type, a media type for a stream, None for none.

    `query`: names that may stand behind the question mark.
    """

    method: str
    path: str
    ask: Any
    answer: Any
    about: str
    query: tuple[str, ...] = ()


P = "/api/v1/p/{participant}"
_PAGE = ("limit", "after")

OPERATIONS: Mapping[str, Operation] = {
    "node": Operation("GET", "/api/v1/node", None, NodeInfo, "the node"),
    "me": Operation("GET", "/api/v1/me", None, Me, "who asks, and in which roles"),
    "participants": Operation(
        "GET", "/api/v1/participants", None, Page[ParticipantView], "who lives on this node"
    ),
    "openapi": Operation("GET", "/api/v1/openapi.json", None, JSON, "this interface"),
    "tokens": Operation("GET", "/api/v1/tokens", None, Page[TokenView], "API tokens", _PAGE),
    "token.add": Operation("POST", "/api/v1/tokens", TokenAsk, TokenView, "a new token"),
    "token.revoke": Operation("DELETE", "/api/v1/tokens/{id}", None, None, "revoke a token"),
    # what we offer
    "assets": Operation("GET", f"{P}/assets", None, Page[AssetView], "our assets", _PAGE),
    "asset": Operation("GET", f"{P}/assets/{{id}}", None, AssetView, "one of them"),
    "asset.upload": Operation(
        "PUT", f"{P}/assets/{{id}}/content/{{name}}", BYTES, Uploaded, "put data into the node"
    ),
    "asset.look": Operation(
        "POST", f"{P}/assets:look", LookAsk, Looked, "look at data, propose terms"
    ),
    "terms.check": Operation(
        "POST", f"{P}/terms:check", TermsAsk, TermsChecked, "all faults of terms, or their meaning"
    ),
    "offers": Operation(
        "GET", f"{P}/offers", None, Page[OfferView], "our offers", (*_PAGE, "asset", "state")
    ),
    "offer.add": Operation("POST", f"{P}/offers", OfferAsk, OfferView, "offer data under terms"),
    "offer": Operation("GET", f"{P}/offers/{{id}}", None, OfferView, "one, with its terms"),
    "offer.publish": Operation(
        "POST", f"{P}/offers/{{id}}/publish", None, OfferView, "into the catalogue"
    ),
    "offer.hide": Operation(
        "POST", f"{P}/offers/{{id}}/hide", None, OfferView, "out of the catalogue; deals stay"
    ),
    # partners
    "partners": Operation("GET", f"{P}/peers", None, Page[PartnerView], "whom we know", _PAGE),
    "partner.add": Operation("POST", f"{P}/peers", PartnerAsk, PartnerView, "get to know one"),
    "partner": Operation("GET", f"{P}/peers/{{id}}", None, PartnerView, "by DID or handle"),
    "partner.test": Operation(
        "POST", f"{P}/peers/{{id}}/test", None, PartnerTest, "six checks of the connection"
    ),
    "partner.remove": Operation("DELETE", f"{P}/peers/{{id}}", None, None, "forget one"),
    "find": Operation("POST", f"{P}/catalogs", FindAsk, Found, "what partners offer", _PAGE),
    # deals
    "request": Operation(
        "POST", f"{P}/negotiations", RequestAsk, DealView, "ask for an agreement (202: on its way)"
    ),
    "negotiations": Operation(
        "GET",
        f"{P}/negotiations",
        None,
        Page[NegotiationView],
        "negotiations",
        (*_PAGE, "state"),
    ),
    "negotiation": Operation(
        "GET", f"{P}/negotiations/{{id}}", None, NegotiationView, "one, with what lies on the table"
    ),
    "negotiation.accept": Operation(
        "POST", f"{P}/negotiations/{{id}}/accept", None, NegotiationView, "take their offer"
    ),
    "negotiation.counter": Operation(
        "POST", f"{P}/negotiations/{{id}}/counter", CounterAsk, NegotiationView, "ask for less"
    ),
    "negotiation.terminate": Operation(
        "POST", f"{P}/negotiations/{{id}}/terminate", ReasonAsk, NegotiationView, "end it"
    ),
    "deals": Operation(
        "GET",
        f"{P}/agreements",
        None,
        Page[DealView],
        "deals; with on_its_way=true also those that are not agreed yet",
        (*_PAGE, "role", "state", "partner", "asset", "on_its_way"),
    ),
    "deal": Operation(
        "GET", f"{P}/agreements/{{id}}", None, DealView, "by agreement, negotiation or asset"
    ),
    "deal.withdraw": Operation(
        "POST", f"{P}/agreements/{{id}}/withdraw", ReasonAsk, Consequences, "end it, as provider"
    ),
    "deal.give-back": Operation(
        "POST", f"{P}/agreements/{{id}}/give-back", ReasonAsk, Consequences, "end it, as consumer"
    ),
    # use
    "query": Operation(
        "POST", f"{P}/agreements/{{id}}/query", QueryAsk, ARROW, "ask; the receipt is in a header"
    ),
    "query.explain": Operation(
        "POST",
        f"{P}/agreements/{{id}}/explain",
        QueryAsk,
        JSON,
        "would it be allowed; costs nothing",
    ),
    "file": Operation(
        "GET", f"{P}/agreements/{{id}}/files/{{path*}}", None, BYTES, "a file, or a part of it"
    ),
    "receipts": Operation(
        "GET", f"{P}/agreements/{{id}}/receipts", None, Page[SeenReceipt], "what was used", _PAGE
    ),
    "receipt": Operation(
        "GET", f"{P}/agreements/{{id}}/receipts/{{receipt}}", None, ReceiptView, "with its proof"
    ),
    "receipt.verify": Operation(
        "POST",
        f"{P}/agreements/{{id}}/receipts/{{receipt}}/verify",
        None,
        VerifiedView,
        "verified here, step by step",
    ),
    "transfers": Operation(
        "GET",
        f"{P}/transfers",
        None,
        Page[TransferView],
        "transfers",
        (*_PAGE, "state", "deal"),
    ),
    "transfer.start": Operation(
        "POST", f"{P}/transfers", TransferAsk, TransferView, "ask for data (202: on its way)"
    ),
    "transfer": Operation("GET", f"{P}/transfers/{{id}}", None, TransferView, "one of them"),
    "transfer.suspend": Operation(
        "POST", f"{P}/transfers/{{id}}/suspend", ReasonAsk, TransferView, "pause it"
    ),
    "transfer.resume": Operation(
        "POST", f"{P}/transfers/{{id}}/resume", None, TransferView, "go on"
    ),
    "transfer.complete": Operation(
        "POST", f"{P}/transfers/{{id}}/complete", None, TransferView, "it is done"
    ),
    "transfer.terminate": Operation(
        "POST", f"{P}/transfers/{{id}}/terminate", ReasonAsk, TransferView, "end it"
    ),
    "transfer.address": Operation(
        "GET", f"{P}/transfers/{{id}}/address", None, AddressView, "for native clients; a secret"
    ),
    # why, and what happened
    "explain": Operation(
        "POST", f"{P}/explain", ExplainAsk, Explained, "a decision that would fall"
    ),
    "explain.reference": Operation(
        "GET", f"{P}/explain/{{id}}", None, Explained, "a decision that fell, by its reference"
    ),
    "entries": Operation(
        "GET",
        f"{P}/ledger/entries",
        None,
        Page[EntryView],
        "our ledger; oldest first, order=newest turns it round",
        (*_PAGE, "since", "kind", "deal", "partner", "order"),
    ),
    "entry": Operation("GET", f"{P}/ledger/entries/{{id}}", None, EntryView, "by id or index"),
    "ledger.verify": Operation(
        "POST", f"{P}/ledger/verify", None, LedgerCheck, "read all of it and check the signature"
    ),
    "keys": Operation("GET", f"{P}/keys", None, Page[KeyView], "our keys"),
    "key.rotate": Operation("POST", f"{P}/keys/rotate", RotateAsk, KeyView, "a new key"),
    "outbox": Operation(
        "GET", f"{P}/outbox", None, Page[LetterView], "messages that wait", (*_PAGE, "state")
    ),
    "outbox.retry": Operation(
        "POST", f"{P}/outbox/{{id}}/retry", None, LetterView, "try a dead letter again"
    ),
    "outbox.abandon": Operation(
        "POST", f"{P}/outbox/{{id}}/abandon", None, LetterView, "give it up for good"
    ),
    "events": Operation(
        "GET",
        f"{P}/events",
        None,
        EVENTS,
        "EventView as server-sent events; resumes at Last-Event-ID",
        ("since", "kind"),
    ),
}

__all__ = [
    "ARROW",
    "BYTES",
    "EVENTS",
    "JSON",
    "OPERATIONS",
    "PROBLEM",
    "RECEIPT_HEADER",
    "AddressView",
    "AssetView",
    "Body",
    "Check",
    "Consequences",
    "CounterAsk",
    "DealView",
    "EntryView",
    "EventView",
    "ExplainAsk",
    "Explained",
    "Fault",
    "FindAsk",
    "Found",
    "FoundAsset",
    "FoundOffer",
    "KeyView",
    "LedgerCheck",
    "LetterView",
    "LookAsk",
    "Looked",
    "Me",
    "NegotiationView",
    "NodeInfo",
    "OfferAsk",
    "OfferView",
    "Operation",
    "Page",
    "ParticipantView",
    "PartnerAsk",
    "PartnerTest",
    "PartnerView",
    "ProblemBody",
    "QueryAsk",
    "ReasonAsk",
    "ReceiptView",
    "RequestAsk",
    "RotateAsk",
    "Said",
    "SeenReceipt",
    "Silent",
    "SinkAsk",
    "TermsAsk",
    "TermsChecked",
    "TokenAsk",
    "TokenView",
    "TransferAsk",
    "TransferView",
    "Uploaded",
    "Usage",
    "VerifiedView",
]
