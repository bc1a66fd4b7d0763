# SPDX-License-Identifier: Apache-2.0
"""Events that the console and the command line follow (node.md b and g)."""

from __future__ import annotations

from corridor.store.rows import PAGE, Bound, Record, Rows
from corridor.store.unit import Write


class Event(Record, frozen=True, kw_only=True):
    """Something happened to `subject`; `data` is canonical JSON without secrets."""

    participant: str = ""
    kind: str
    subject: str
    data: bytes = b"{}"
    at: int


class Events(Rows[Event]):
    """A participant's events. Row numbers only grow."""

    def __init__(self, bound: Bound) -> None:
        super().__init__(bound, "event", Event)

    def after(self, pk: int, limit: int = PAGE) -> list[Event]:
        """Those newer than this row number, oldest first."""
        return self._list("page", after=pk, limit=limit)

    def of_subject(self, subject: str) -> list[Event]:
        """All that is still kept about a subject, oldest first."""
        return self._list("of-subject", subject=subject)

    def last(self) -> int:
        """The newest row number, 0 where there is none."""
        return self._count("last")

    def purge(self, before: int, limit: int) -> Write:
        """Forget up to `limit` events older than this instant, never the newest."""
        return self._write("purge", expect=None, before=before, limit=limit)
