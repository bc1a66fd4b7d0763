# SPDX-License-Identifier: Apache-2.0
"""Deals, their use and their evidence, as people and their programs see them (node.md g)."""

from __future__ import annotations

from typing import Any

from msgspec import field

from corridor.wire.home_node import Body, Check

# deals


class RequestAsk(Body, frozen=True, kw_only=True):
    """Ask for an agreement. `terms`: narrower ones (YAML); `offer`: one of several by its id.

    `reuse`: the live agreement, or the negotiation under way, about the same is the answer.
    """

    partner: str
    asset: str
    purpose: str | None = None
    offer: str | None = None
    terms: str | None = None
    note: str = ""
    wait_s: float = 30.0
    reuse: bool = True


class Usage(Body, frozen=True, kw_only=True):
    """How much of a quota is used. Numbers are decimal text; `resets_at` None: never."""

    quota: str
    used: str
    cap: str
    held: str = "0"
    resets_at: str | None = None


class Said(Body, frozen=True, kw_only=True):
    """A line of a deal's timeline: who said or did what, as our ledger has it."""

    at: str
    who: str
    what: str
    entry: str
    index: int | None
    code: str = ""
    reason: str = ""


class DealView(Body, frozen=True, kw_only=True):
    """An agreement, or a negotiation on its way to one (`agreement` empty until there is one).

    `id` is the agreement's id, or the negotiation's; both find it. `state`: the negotiation's
    state until it is agreed, then live, withdrawn, returned, expired, void. `pending`: not yet
    usable and not over; then `waiting_for` (a person or node, in words) and `since` say whose turn
    it is. `what_next` is one sentence for people. `timeline` and `terms` come with one deal only.
    """

    id: str
    role: str
    partner: str
    partner_did: str
    asset: str
    service: str
    state: str
    pending: bool
    waiting_for: str
    since: str
    what_next: str
    purpose: str
    plain: list[str]
    agreement: str = ""
    negotiation: str = ""
    title: dict[str, str] = field(default_factory=dict)
    terms_sha: str = ""
    permit_sha: str = ""
    signed_at: str | None = None
    ends: str | None = None
    reason: str = ""
    note: str = ""
    columns: list[str] | None = None
    obligations: list[str] = field(default_factory=list)
    usage: list[Usage] = field(default_factory=list)
    timeline: list[Said] = field(default_factory=list)
    terms: dict[str, Any] | None = None


class NegotiationView(Body, frozen=True, kw_only=True):
    """A negotiation as the protocol has it. `pending`: the step of ours not yet acknowledged."""

    pid: str
    peer_pid: str
    role: str
    partner: str
    partner_did: str
    state: str
    pending: str
    asset: str
    agreement: str
    reason: str
    waiting_for: str
    created: str
    changed: str
    may: list[str] = field(default_factory=list)
    offer: dict[str, Any] | None = None
    plain: list[str] = field(default_factory=list)


class ReasonAsk(Body, frozen=True, kw_only=True):
    """An end or a pause, and why; `dry_run` only counts what would follow."""

    reason: str = ""
    dry_run: bool = False


class CounterAsk(Body, frozen=True, kw_only=True):
    """A counter-offer: narrower terms (YAML)."""

    terms: str


class Consequences(Body, frozen=True, kw_only=True):
    """What ending a deal does. `done` False: nothing was done yet. Times are UTC."""

    deal: str
    done: bool
    takes_effect: str
    sessions: int
    streams: int
    transfers: int
    words: list[str]
    entry: str = ""
    view: DealView | None = None


# using a deal


class QueryAsk(Body, frozen=True, kw_only=True):
    """A question under a deal: `sql`, or `select` with what goes with it; relayed as it is.

    `order` holds columns, or [column, "asc" or "desc"].
    """

    sql: str | None = None
    parameters: dict[str, Any] | None = None
    purpose: str | None = None
    epsilon: str | None = None
    select: list[str] | None = None
    where: list[tuple[str, str, Any]] | None = None
    order: list[str | tuple[str, str]] | None = None
    limit: int | None = None


class SeenReceipt(Body, frozen=True, kw_only=True):
    """A receipt that a partner promised with an answer, and the answer's digest as it passed."""

    id: str
    deal: str
    at: str
    act: str
    user: str
    bytes: int
    sha256: str
    whole: bool


class ReceiptView(Body, frozen=True, kw_only=True):
    """A receipt with all that a verification needs offline (evidence.md 3).

    `leaf` is the entry's bytes as text, `proof` a tlog-proof, `salts` open the digests, `keys` are
    the provider's signed key statements, `documents` its DID document as we have it. `seen` is what
    passed through this node under this receipt.
    """

    id: str
    deal: str
    leaf: str
    proof: str
    salts: dict[str, str]
    keys: list[str]
    provider: str
    document: dict[str, Any]
    seen: SeenReceipt | None = None


class VerifiedView(Body, frozen=True, kw_only=True):
    """A verification: its steps in order; `ok` where none failed."""

    ok: bool
    receipt: str
    act: str
    at: str
    steps: list[Check]


class TransferAsk(Body, frozen=True, kw_only=True):
    """Begin a transfer: a PULL, or a PUSH to `sink`, which the partner's node must reach.

    `format` empty: the first that the service has.
    """

    deal: str
    format: str = ""
    purpose: str | None = None
    sink: SinkAsk | None = None
    wait_s: float = 10.0


class SinkAsk(Body, frozen=True, kw_only=True):
    """Where a PUSH goes, and what it shows there."""

    endpoint: str
    authorization: str = ""
    properties: dict[str, str] = field(default_factory=dict)


class TransferView(Body, frozen=True, kw_only=True):
    """A transfer. `session` is our session that serves it (as provider)."""

    pid: str
    peer_pid: str
    role: str
    partner: str
    partner_did: str
    agreement: str
    format: str
    state: str
    pending: str
    reason: str
    waiting_for: str
    created: str
    changed: str
    may: list[str] = field(default_factory=list)
    push: bool = False
    session: str = ""
    session_state: str = ""
    expires: str | None = None


class AddressView(Body, frozen=True, kw_only=True):
    """Where native clients fetch, and with what: a secret, handed out once per look."""

    transfer: str
    endpoint_type: str
    endpoint: str
    authorization: str
    properties: dict[str, str]


# why, and what happened


class ExplainAsk(Body, frozen=True, kw_only=True):
    """Would this be allowed? `action`: read, aggregate, use …; None: not told, not assumed."""

    deal: str
    action: str
    purpose: str | None = None
    columns: dict[str, list[str]] | None = None
    rows: int | None = None
    bytes: int | None = None
    path: str | None = None


class Explained(Body, frozen=True, kw_only=True):
    """A decision: `outcome` allowed or denied, the rule's public name, and why in words."""

    outcome: str
    rule: str
    because: str
    bound: str = ""
    deal: str = ""
    source: str = ""
    resets_at: str | None = None
    obligations: list[str] = field(default_factory=list)
    reference: str = ""
    at: str = ""
    entry: EntryView | None = None


class EntryView(Body, frozen=True, kw_only=True):
    """An entry of our ledger. `index` None: written, not yet placed."""

    id: str
    index: int | None
    at: str
    type: str
    thread: str
    leaf_sha256: str
    entry: dict[str, Any]
    words: str = ""


class LedgerCheck(Body, frozen=True, kw_only=True):
    """Our whole ledger, read again and compared with its signed checkpoint."""

    ok: bool
    size: int
    root: str
    checkpoint_size: int
    checkpoint_at: str | None
    origin: str
    steps: list[Check]
