# SPDX-License-Identifier: Apache-2.0
"""What belongs to the node and to none of its participants, and what looks over all of them."""

from __future__ import annotations

from corridor.store.boxes import NodeOutbox
from corridor.store.ledger import Ledgers
from corridor.store.people import ApiTokens, NodeGrants, Users
from corridor.store.rows import Bound, Changing, Record, Rows
from corridor.store.sessions import NodeRevocations
from corridor.store.unit import Write
from corridor.store.wakes import NodeJobs, NodeWakes


class MetaRow(Record, frozen=True, kw_only=True):
    """A fact about the database: its epoch, the node's id."""

    name: str
    value: str


class Meta(Rows[MetaRow]):
    """Facts by name."""

    def __init__(self, bound: Bound) -> None:
        super().__init__(bound, "meta", MetaRow)

    def get(self, name: str) -> str | None:
        """The value, None where it was never put."""
        found = self._one("get", name=name)
        return found.value if found else None

    def put(self, name: str, value: str) -> Write:
        """Set it."""
        return self._write("put", name=name, value=value)


class NodeProcess(Record, frozen=True, kw_only=True):
    """A process that runs on this database."""

    process_id: str
    started: int
    beat: int
    version: str
    host: str


class NodeProcesses(Changing[NodeProcess]):
    """All processes."""

    def __init__(self, bound: Bound) -> None:
        super().__init__(bound, "node_process", NodeProcess)

    def delete(self, process_id: str) -> Write:
        """It stopped."""
        return self._write("delete", expect=None, process_id=process_id)


class ParticipantRow(Record, frozen=True, kw_only=True):
    """An organisation that this node speaks for. `settings` is canonical JSON."""

    slug: str
    did: str
    title: str = ""
    mode: str = ""
    settings: bytes = b"{}"
    state: str = "active"
    created: int
    ver: int = 1


class Participants(Changing[ParticipantRow]):
    """All participants."""

    def __init__(self, bound: Bound) -> None:
        super().__init__(bound, "participant", ParticipantRow)

    def get(self, slug: str) -> ParticipantRow | None:
        """By slug."""
        return self._one("get", slug=slug)

    def by_did(self, did: str) -> ParticipantRow | None:
        """By DID."""
        return self._one("by-did", did=did)

    def list(self) -> list[ParticipantRow]:
        """All of them (a node has at most a thousand), oldest first."""
        return self._list("page", after=0, limit=1 << 20)


class Node:
    """Tables without a participant, and the few looks over all participants."""

    def __init__(self, bound: Bound) -> None:
        self.meta = Meta(bound)
        self.processes = NodeProcesses(bound)
        self.participants = Participants(bound)
        self.users = Users(bound)
        self.api_tokens = ApiTokens(bound)
        self.grants = NodeGrants(bound)
        self.outbox = NodeOutbox(bound)
        self.wakes = NodeWakes(bound)
        self.jobs = NodeJobs(bound)
        self.revocations = NodeRevocations(bound)
        self.ledgers = Ledgers(bound)
