# SPDX-License-Identifier: Apache-2.0
"""The store as everybody above sees it, and how one is opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from corridor.errors import Invalid, Problem
from corridor.limits import Limits
from corridor.store.agreements import Agreements, Duties
from corridor.store.boxes import Inbox, Outbox
from corridor.store.commit import DIALECT, prepare
from corridor.store.counters import Counters, Reservations
from corridor.store.events import Events
from corridor.store.keys import SeenTokens, SigningKeys
from corridor.store.ledger import Ledger
from corridor.store.negotiations import Approvals, Negotiations
from corridor.store.node import Node
from corridor.store.offers import Assets, Offers, TermsTexts
from corridor.store.peers import Peers
from corridor.store.people import Grants, Idempotency
from corridor.store.rows import Bound, Row
from corridor.store.sessions import Acts, Revocations, Sessions
from corridor.store.sqlite import Sqlite
from corridor.store.texts import statements
from corridor.store.transfers import Transfers
from corridor.store.unit import Statement, Unit
from corridor.store.wakes import Jobs, Wakes
from corridor.world import Clock, Disk


class Backend(Protocol):
    """A database of one dialect."""

    dialect: str
    last_commit: float

    async def run(self, unit: Unit) -> None:
        """Whole, durable when it returns; Conflict or StoreUnavailable."""
        ...

    def read(self, statement: Statement, params: Mapping[str, Any]) -> list[Row]:
        """Rows, at once."""
        ...

    async def scan(self, statement: Statement, params: Mapping[str, Any]) -> list[Row]:
        """Rows, read beside the loop."""
        ...

    async def close(self) -> None:
        """Write what waits, then stop."""
        ...


class Participant:
    """One participant's tables: every statement is bound to it."""

    def __init__(self, backend: Backend, texts: Mapping[str, Statement], slug: str) -> None:
        bound = Bound(backend, texts, slug)
        self.slug = slug
        self.negotiations = Negotiations(bound)
        self.approvals = Approvals(bound)
        self.agreements = Agreements(bound)
        self.duties = Duties(bound)
        self.transfers = Transfers(bound)
        self.sessions = Sessions(bound)
        self.acts = Acts(bound)
        self.revocations = Revocations(bound)
        self.assets = Assets(bound)
        self.terms = TermsTexts(bound)
        self.offers = Offers(bound)
        self.peers = Peers(bound)
        self.inbox = Inbox(bound)
        self.outbox = Outbox(bound)
        self.wakes = Wakes(bound)
        self.jobs = Jobs(bound)
        self.counters = Counters(bound)
        self.reservations = Reservations(bound)
        self.tokens = SeenTokens(bound)
        self.keys = SigningKeys(bound)
        self.events = Events(bound)
        self.grants = Grants(bound)
        self.idempotency = Idempotency(bound)
        self.ledger = Ledger(bound, backend)


class Store:
    """Runs units and reads rows. `of` and `node` are the only ways to a table."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._texts = statements(backend.dialect)
        self._participants: dict[str, Participant] = {}
        self.node = Node(Bound(backend, self._texts, None))
        self.grown: Callable[[], None] | None = None
        """Called after each commit that made a ledger longer."""

    @property
    def last_commit(self) -> float:
        """When the last unit became durable, on the monotonic clock."""
        return self._backend.last_commit

    def of(self, participant: str) -> Participant:
        """The tables of this participant (its slug)."""
        found = self._participants.get(participant)
        if found is None:
            found = Participant(self._backend, self._texts, participant)
            self._participants[participant] = found
        return found

    async def run(self, unit: Unit) -> None:
        """Write the unit whole or not at all; durable when it returns.

        Conflict: a guard missed or a key is taken. StoreUnavailable: disk full, file locked, ledger
        fenced, queue full. Cancelled meanwhile: nobody knows whether it was written.
        """
        await self._backend.run(unit)
        if unit.leaves and self.grown is not None:
            self.grown()

    def read(self, statement: Statement, params: Mapping[str, Any]) -> list[Row]:
        """Rows, at once: for point reads and short pages."""
        return self._backend.read(statement, params)

    async def scan(self, statement: Statement, params: Mapping[str, Any]) -> list[Row]:
        """Rows, read beside the loop: for what looks at many."""
        return await self._backend.scan(statement, params)

    async def close(self) -> None:
        """Write what waits, then stop."""
        await self._backend.close()


def open_store(
    disk: Disk, clock: Clock, *, url: str, limits: Limits, threads: bool = True
) -> Store:
    """Open the database that `url` names (`sqlite:///<path in the data folder>`).

    An empty one gets the newest schema. Invalid: another kind of database, or one of another
    revision (store-newer, store-older, store-foreign). StoreUnavailable: it cannot be opened.
    """
    scheme, found, name = url.partition(":///")
    if scheme != "sqlite" or not found or not name:
        problem = Problem("database.url", "only sqlite:///NAME is known", "invalid")
        raise Invalid("this database cannot be used", problems=[problem])
    prepare(disk, name)
    texts = statements(DIALECT)
    return Store(Sqlite(disk, clock, name, texts=texts, limits=limits, threads=threads))
