# SPDX-License-Identifier: Apache-2.0
"""What every body of `/api/v1` is, errors, and what concerns the node itself (node.md g)."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import msgspec
from msgspec import field

T = TypeVar("T")


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """A body of the management API; unknown fields of a newer node are skipped."""


class Page(Body, Generic[T], frozen=True, kw_only=True):
    """A part of a list; `next` is None on the last one."""

    items: list[T]
    next: str | None = None


class Fault(Body, frozen=True, kw_only=True):
    """One fault in what was given: where, what, how to mend it (terms.md 1.7)."""

    path: str
    message: str
    code: str
    line: int = 0
    source: str = ""
    mend: str = ""


class ProblemBody(Body, frozen=True, kw_only=True):
    """An error: problem+json. The fields behind `errors` belong to some codes only."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    instance: str = ""
    cause: str = ""
    mend: str = ""
    reference: str = ""
    errors: list[Fault] = field(default_factory=list)
    rule: str = ""
    would_pass: str = ""
    resets_at: str = ""
    side: str = ""
    waiting_for: str = ""
    since: str = ""
    why: str = ""
    at: str = ""
    step: int = 0


class Check(Body, frozen=True, kw_only=True):
    """One check. `state`: ok, warning, failed, or skipped where an earlier one failed."""

    name: str
    state: str
    value: str
    mend: str = ""


# the node and its people


class ParticipantView(Body, frozen=True, kw_only=True):
    """Somebody who lives on this node. `base_url` is what partners are given."""

    id: str
    did: str
    title: dict[str, str]
    country: str
    base_url: str
    identity: str = ""


class NodeInfo(Body, frozen=True, kw_only=True):
    """The node. `ready` is that of `/readyz`; `waiting` counts messages to partners."""

    version: str
    public_url: str
    participants: list[ParticipantView]
    services: list[str]
    ready: bool
    now: str
    waiting: int = 0
    dead_letters: int = 0


class Me(Body, frozen=True, kw_only=True):
    """Who asks, and what they may do: roles by participant."""

    user: str
    name: str
    roles: dict[str, list[str]]
    token: str = ""


class TokenAsk(Body, frozen=True, kw_only=True):
    """A new API token. `participant` None: for all of them."""

    name: str
    roles: list[str]
    participant: str | None = None
    days: int = 90


class TokenView(Body, frozen=True, kw_only=True):
    """An API token. `secret` is told once, when it is made."""

    id: str
    name: str
    prefix: str
    roles: list[str]
    participant: str | None
    created: str
    expires: str
    last_used: str | None = None
    secret: str = ""


class KeyView(Body, frozen=True, kw_only=True):
    """A key of ours; `public` is base64url."""

    kid: str
    use: str
    alg: str
    state: str
    public: str
    valid_from: str | None
    valid_until: str | None
    created: str


class RotateAsk(Body, frozen=True, kw_only=True):
    """Make a new key of this use."""

    use: str = "dsp"


class LetterView(Body, frozen=True, kw_only=True):
    """A message to a partner that waits, or is given up (`state` dead) until a person decides."""

    id: str
    process: str
    partner: str
    partner_did: str
    type: str
    state: str
    attempts: int
    error: str
    created: str
    next_try: str | None


class EventView(Body, frozen=True, kw_only=True):
    """Something happened. `id` resumes `/events` behind it."""

    id: str
    kind: str
    subject: str
    at: str
    data: dict[str, Any]
