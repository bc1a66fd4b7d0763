# SPDX-License-Identifier: Apache-2.0
"""What happened in a deal, as our ledger has it: who said or did what, and when."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from corridor.engine.desk import words
from corridor.engine.desk.means import Means
from corridor.engine.draft import process_of
from corridor.engine.ground import Home
from corridor.errors import Refused
from corridor.evidence import tree
from corridor.protocol.machine import Process
from corridor.store.ledger import Entry
from corridor.store.negotiations import Negotiation
from corridor.store.transfers import Transfer
from corridor.wire.home import EntryView, Said

PAGES_MAX = 20
LINES_MAX = 500
ACTS = frozenset({"act.started", "receipt", "decision", "message.acknowledged"})
PAYLOAD_TEXT_MAX = 2000


class Story:
    """Reads threads of the ledger."""

    def __init__(self, means: Means) -> None:
        self._means = means

    def process(self, it: Negotiation | Transfer) -> Process:
        """The machine's view."""
        return process_of(it)

    def dead(self, home: Home, pid: str) -> bool:
        """Whether the word of ours that is under way was given up."""
        record = self._means.store(home).negotiations.get(pid) or self._means.store(
            home
        ).transfers.get(pid)
        if record is None or record.pending_sha is None:
            return False
        row = self._means.store(home).outbox.get(record.pending_sha)
        return row is not None and row.state == "dead"

    def of(self, home: Home, negotiation: str, agreement: str | None) -> list[Said]:
        """The lines of a deal, oldest first; uses are not among them: receipts tell those."""
        threads = [it for it in (negotiation, agreement) if it]
        found: list[tuple[int, Said]] = []
        for thread in threads:
            for entry in self.thread(home, thread):
                if entry.type in ACTS or len(found) >= LINES_MAX or _of_transfer(entry):
                    continue
                found.append((entry.time, self._said(home, entry)))
        return [said for _, said in sorted(found, key=lambda one: one[0])]

    def thread(self, home: Home, thread: str) -> Iterator[Entry]:
        """Placed entries of a thread, oldest first, as many as anybody reads."""
        ledger, last = self._means.store(home).ledger, 0
        for _ in range(PAGES_MAX):
            some = ledger.thread(thread, after=last)
            yield from some
            if not some:
                return
            last = some[-1].number or 0

    def _said(self, home: Home, entry: Entry) -> Said:
        body: dict[str, Any] = msgspec.json.decode(entry.body)
        person = self.payload(home, entry, "person")
        heard = entry.type == "message.received"
        who = self._means.handle(home, str(body.get("peer", ""))) if heard else person
        return Said(
            at=str(body.get("time", "")),
            who=who or "this node",
            what=words.of_entry(body),
            entry=entry.id,
            index=entry.index,
            code=str(body.get("code", "")),
            reason=self.payload(home, entry, "reason"),
        )

    def payload(self, home: Home, entry: Entry, slot: str) -> str:
        """A sealed text beside an entry; empty where there is none, or none any more."""
        for kept in self._means.store(home).ledger.payloads(entry.id):
            if kept.slot != slot or kept.sealed is None:
                continue
            try:
                _, data = self._means.engine.clerk.open(home, kept.digest, kept.sealed)
            except Refused:
                return ""
            return data[:PAYLOAD_TEXT_MAX].decode(errors="replace")
        return ""

    def view(self, entry: Entry) -> EntryView:
        """An entry as it is told."""
        body: dict[str, Any] = msgspec.json.decode(entry.body)
        leaf = "" if entry.index is None else tree.leaf_hash(entry.leaf_bytes()).hex()
        return EntryView(
            id=entry.id,
            index=entry.index,
            at=str(body.get("time", "")),
            type=entry.type,
            thread=entry.thread or "",
            leaf_sha256=leaf,
            entry=body,
            words=words.of_entry(body),
        )


def _of_transfer(entry: Entry) -> bool:
    """Messages of a use, not of the deal."""
    return entry.type.startswith("message.") and b'"message":"Transfer' in entry.body
