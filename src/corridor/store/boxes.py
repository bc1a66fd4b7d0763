# SPDX-License-Identifier: Apache-2.0
"""What was heard and what is to be said: inbox and outbox (node.md b and c)."""

from __future__ import annotations

from corridor.store.rows import PAGE, Bound, Record, Rows
from corridor.store.unit import Write


class Heard(Record, frozen=True, kw_only=True):
    """A message that was accepted: its `@id` (None where it had none), digest and type."""

    participant: str = ""
    process: str
    message_id: str | None = None
    sha256: str
    type: str
    answer: bytes | None = None
    at: int


class Inbox(Rows[Heard]):
    """What a participant accepted; the memory that makes a repetition harmless."""

    def __init__(self, bound: Bound) -> None:
        super().__init__(bound, "inbox", Heard)

    def seen(self, process: str, message_id: str, limit: int = PAGE) -> list[Heard]:
        """Messages of this process with this `@id` (of any type), the first one first."""
        return self._list("seen", process=process, message_id=message_id, limit=limit)

    def seen_digest(self, process: str, sha256: str) -> Heard | None:
        """The first message of this process with these bytes."""
        return self._one("seen-digest", process=process, sha256=sha256, limit=1)

    def count(self, process: str) -> int:
        """How many of a process are remembered."""
        return self._count("count-of-process", process=process)

    def purge(self, before: int, limit: int) -> Write:
        """Forget up to `limit` messages heard before this instant."""
        return self._write("purge", expect=None, before=before, limit=limit)

    def purge_process(self, process: str) -> Write:
        """Forget all of a process that ended."""
        return self._write("purge-of-process", expect=None, process=process)


class Queued(Record, frozen=True, kw_only=True):
    """A message to deliver, resent byte for byte until acknowledged or `give_up_at`.

    States: queued, sending, done, superseded, dead. `process` is our pid (or partner and kind, for
    calls beside the protocol). `claim` names who is sending it until `claim_until`.
    """

    participant: str = ""
    process: str
    peer: str
    message_id: str
    type: str
    url: str
    body: bytes
    sha256: str
    state: str = "queued"
    attempts: int = 0
    next_at: int
    give_up_at: int
    claim: str | None = None
    claim_until: int | None = None
    error: str | None = None
    created: int


class Outbox(Rows[Queued]):
    """What a participant has to say. At most one row of a process is queued or being sent.

    Every write but `insert` and `revive` has Conflict where the row is no longer queued or sent.
    """

    def __init__(self, bound: Bound) -> None:
        super().__init__(bound, "outbox", Queued)

    def get(self, message_id: str) -> Queued | None:
        """By the message's `@id`."""
        return self._one("get", message_id=message_id)

    def of_process(self, process: str) -> list[Queued]:
        """What of a process is queued or being sent (none or one)."""
        return self._list("of-process", process=process)

    def count(self, peer: str) -> int:
        """How much waits for a peer."""
        return self._count("count", peer=peer)

    def dead(self, limit: int = PAGE, after: int = 0) -> list[Queued]:
        """Dead letters behind row `after`, oldest first."""
        return self._list("page-of-state", state="dead", after=after, limit=limit)

    def page(self, state: str, after: int = 0, limit: int = PAGE) -> list[Queued]:
        """Those of one state behind row `after`, oldest first."""
        return self._list("page-of-state", state=state, after=after, limit=limit)

    def claim(self, row: Queued, claim: str, claim_until: int) -> Write:
        """Being sent, by `claim`, until then."""
        return self._write("claim", message_id=row.message_id, claim=claim, claim_until=claim_until)

    def done(self, row: Queued) -> Write:
        """Acknowledged."""
        return self._write("done", message_id=row.message_id)

    def retry(self, row: Queued, attempts: int, next_at: int, error: str) -> Write:
        """Not acknowledged; again at `next_at`."""
        return self._write(
            "retry", message_id=row.message_id, attempts=attempts, next_at=next_at, error=error
        )

    def supersede(self, row: Queued) -> Write:
        """Not to be said any more."""
        return self._write("supersede", message_id=row.message_id)

    def bury(self, row: Queued, error: str) -> Write:
        """Given up; an operator may revive it."""
        return self._write("dead", message_id=row.message_id, error=error)

    def revive(self, row: Queued, next_at: int) -> Write:
        """Queue a dead letter again; Conflict where it is not dead or its process speaks."""
        return self._write("revive", message_id=row.message_id, next_at=next_at)

    def purge(self, state: str, before: int, limit: int) -> Write:
        """Forget up to `limit` done, superseded or dead rows made before this instant."""
        assert state in {"done", "superseded", "dead"}, "what is to be said stays"
        return self._write("purge", expect=None, state=state, before=before, limit=limit)


class NodeOutbox(Rows[Queued]):
    """Outbox rows of all participants, for the one who delivers."""

    def __init__(self, bound: Bound) -> None:
        super().__init__(bound, "outbox", Queued)

    def pending(self) -> list[Queued]:
        """Everything queued or being sent, the first due first."""
        return self._list("node-pending")

    def counts(self) -> dict[str, int]:
        """How many rows are in each state."""
        found = self._bound.read("outbox.node-count-of-state", {})
        return {str(state): int(count) for state, count in found}
