# SPDX-License-Identifier: Apache-2.0
"""What is offered: one folder a service, one interface for all.

A service answers requests of a session; it must hold an `Act` that the engine began (judged,
charged and written down) before a byte leaves. A new service is a folder with `connect` in its
`__init__.py`, and its name in `NAMES`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from corridor.policy.judge import Facts
from corridor.policy.permit import Permit

NAMES = ("files", "tables")


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """An asset as its service knows it. `source` is where the data lies, never shown to a peer."""

    participant: str
    asset_id: str
    source: Mapping[str, Any]
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a service finds when it looks at data to be offered.

    `columns` are names in order (None where there are none); `detail` is public and goes into the
    catalogue and the agreement's session: canonical JSON values only (types, sizes, digests).
    """

    columns: tuple[str, ...] | None
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaneRequest:
    """A request of a session: `path` is relative to the session's base and begins with `/`.

    `pushed`: the answer is sent on to where it was wished, which may fail long afterwards: its act
    is to begin and to end in the ledger, however small it is.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    pushed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """An answer known in full before it leaves (at most 1 MiB): receipted in one transaction.

    `record` is the canonical response record for acts that are not hashed (evidence.md 3.1).
    """

    content: bytes
    rows: int | None = None
    record: bytes | None = None


class Act(Protocol):
    """One act under an agreement: allowed, charged, and begun in the ledger (durable)."""

    @property
    def id(self) -> str:
        """Its entry in the ledger."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """What names its receipt to the caller."""
        ...

    async def take(self, block: bytes) -> None:
        """Count (and for hashed acts hash) a block before it leaves; Refused where it may not."""
        ...

    async def rows(self, count: int) -> None:
        """Count result rows against the quota; Refused where they may not leave."""
        ...

    async def close(self, outcome: str, *, response: bytes | None = None, code: str = "") -> None:
        """Write the receipt. `response`: the canonical record, where the content is not hashed."""
        ...


class Visit(Protocol):
    """A session that is open now, and who came with its token."""

    sid: str
    permit: Permit
    offered: Offered
    base_url: str
    purpose: str | None

    async def begin(
        self,
        act: str,
        facts: Facts,
        *,
        request: bytes,
        hashed: bool,
        known: Known | None = None,
        bytes_max: int | None = None,
    ) -> Act:
        """Judge, charge and write `act.started` (or the receipt, where the answer is `known`).

        `act` is a word of evidence.md 3.1 (query, file …). `hashed`: the content's own digest goes
        into the receipt. Raises Refused (rule = public name), BudgetSpent, StoreUnavailable.
        """
        ...

    async def explain(self, facts: Facts) -> Mapping[str, Any]:
        """What the judge would say: outcome, rule, because, bound. Costs nothing."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a service answers. With an `act`, its sender calls take, and close at the end.

    `record` is the canonical response record for acts that are not hashed (evidence.md 3.1).
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | AsyncIterator[bytes] = b""
    length: int | None = None
    act: Act | None = None
    record: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A session's address: endpoint type, the path below its base, extra endpoint properties."""

    endpoint_type: str
    path: str = "/"
    properties: Mapping[str, str] = field(default_factory=dict)


class Service(Protocol):
    """The one interface. All methods may raise Refused, NotFound, Invalid, StoreUnavailable."""

    name: str
    actions: frozenset[str]
    operands: frozenset[str]
    pull_formats: tuple[str, ...]
    push_formats: tuple[str, ...]

    async def look(self, source: Mapping[str, Any]) -> Look:
        """Check a source that a steward names, and describe it."""
        ...

    async def open(self, sid: str, permit: Permit, offered: Offered) -> Opened:
        """Make ready for a session. Idempotent by sid; FetchFailed means try again later."""
        ...

    async def close(self, sid: str) -> None:
        """Forget a session. Idempotent."""
        ...

    async def answer(self, visit: Visit, request: PlaneRequest) -> Answer:
        """Answer one request of an open session."""
        ...
