# SPDX-License-Identifier: Apache-2.0
"""When to look again: wakes, and jobs that a node works off (node.md b and c)."""

from __future__ import annotations

from corridor.store.rows import PAGE, Bound, Changing, Record, Rows
from corridor.store.unit import Write


class Wake(Record, frozen=True, kw_only=True):
    """Look at `subject` at this instant, because of `kind`."""

    participant: str = ""
    kind: str
    subject: str
    at: int
    claim_until: int | None = None


class Wakes(Rows[Wake]):
    """A participant's wakes: one of a kind for each subject."""

    def __init__(self, bound: Bound) -> None:
        super().__init__(bound, "wake", Wake)

    def get(self, kind: str, subject: str) -> Wake | None:
        """The wake of this kind."""
        return self._one("get", kind=kind, subject=subject)

    def of_subject(self, subject: str) -> list[Wake]:
        """All wakes of a subject."""
        return self._list("of-subject", subject=subject)

    def put(self, kind: str, subject: str, at: int) -> Write:
        """Set it, or move it."""
        return self._write("put", kind=kind, subject=subject, at=at, claim_until=None)

    def delete(self, kind: str, subject: str, *, expect: int | None = 1) -> Write:
        """Take it away; Conflict where it is gone (`expect=None`: gone is fine)."""
        return self._write("delete", expect=expect, kind=kind, subject=subject)

    def delete_of(self, subject: str) -> Write:
        """Take away all wakes of a subject, however many."""
        return self._write("delete-of-subject", expect=None, subject=subject)


class NodeWakes(Rows[Wake]):
    """Wakes of all participants."""

    def __init__(self, bound: Bound) -> None:
        super().__init__(bound, "wake", Wake)

    def all(self) -> list[Wake]:
        """All of them, the first due first."""
        return self._list("node-all")

    def due(self, now: int, limit: int = PAGE) -> list[Wake]:
        """Those due by now, the first due first."""
        return self._list("node-due", now=now, limit=limit)

    def first(self) -> Wake | None:
        """The next one."""
        return self._one("node-first", limit=1)


class Job(Record, frozen=True, kw_only=True):
    """Long work, done in the background. States: queued, running, done, failed."""

    participant: str = ""
    kind: str
    subject: str
    state: str = "queued"
    args: bytes = b"{}"
    progress: bytes = b"{}"
    claim: str | None = None
    claim_until: int | None = None
    attempts: int = 0
    error: str | None = None
    ver: int = 1


class Jobs(Changing[Job]):
    """A participant's jobs."""

    def __init__(self, bound: Bound) -> None:
        super().__init__(bound, "job", Job)

    def get(self, kind: str, subject: str) -> Job | None:
        """The job of this kind for this subject."""
        return self._one("get", kind=kind, subject=subject)

    def page(self, state: str, after: int = 0, limit: int = PAGE) -> list[Job]:
        """Those of one state behind row `after`, oldest first."""
        return self._list("page-of-state", state=state, after=after, limit=limit)


class NodeJobs(Rows[Job]):
    """Jobs of all participants."""

    def __init__(self, bound: Bound) -> None:
        super().__init__(bound, "job", Job)

    def open(self) -> list[Job]:
        """All that are queued or running."""
        return self._list("node-open")
