# SPDX-License-Identifier: Apache-2.0
"""The checkers: what must hold of every run, whatever happened in it (node.md i).

Each reads the record with plain SQL and arithmetic of its own: RFC 6962 in six lines, the spec's
words from `words`. One line for each thing that is wrong; none is what a good run gives.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from corridor.sim.ledgers import Ledger, entries_of
from corridor.sim.record import Checker, NodeRecord, Record, Row
from corridor.sim.speech import Speech
from corridor.sim.words import read

GRACE_US = 1_000_000


class Ends:
    """Both sides of a process end in one state, or the lone end is a documented one."""

    name = "ends"

    def check(self, record: Record) -> Iterator[str]:
        """Pair every process with its other side."""
        for kind in ("negotiation", "transfer"):
            sides = [
                (node, row)
                for node in record.nodes.values()
                for row in node.rows(f'SELECT * FROM "{kind}"')  # noqa: S608 - two fixed names
            ]
            by_pid = {row["pid"]: (node, row) for node, row in sides}
            homes = {node.did for node in record.nodes.values()}
            for node, row in sides:
                if row["peer"] in homes:
                    yield from self._pair(record, kind, node, row, by_pid)

    def _pair(
        self,
        record: Record,
        kind: str,
        node: NodeRecord,
        row: Row,
        by_pid: dict[str, tuple[NodeRecord, Row]],
    ) -> Iterator[str]:
        mirror = by_pid.get(row["peer_pid"] or "")
        where = f"{kind} {row['pid']} of {node.name} ({row['role']}) in {row['state']}"
        if mirror is None:
            # Nobody answered our first message: only an end of our own may stand.
            if row["state"] not in {"TERMINATED", None} and not self._dead(node, row):
                yield f"{where} has no other side"
            return
        across, twin = mirror
        if twin["peer_pid"] not in {None, row["pid"]}:
            yield f"{where}: {across.name} knows it as {twin['peer_pid']}"
        if twin["state"] == row["state"] or row["role"] == "provider":
            return  # each pair is told of once, by its consumer
        if self._dead(node, row) or self._dead(across, twin):
            return
        if self._false_end(record, row["pid"], twin["pid"]):
            return
        yield f"{where}, {across.name} in {twin['state']}"

    def _dead(self, node: NodeRecord, row: Row) -> bool:
        found = node.rows(
            "SELECT 1 FROM outbox WHERE process = ? AND state = 'dead' LIMIT 1", row["pid"]
        )
        return bool(found)

    def _false_end(self, record: Record, *pids: str) -> bool:
        """A termination, or the look that follows it, was refused by a forged answer of 4xx."""
        forged = {event.exchange for event in record.events if event.note == "answer"}
        for event in record.events:
            if event.kind != "sent" or event.exchange not in forged:
                continue
            if not any(pid in event.path or pid.encode() in event.body for pid in pids):
                continue
            word = read(event.path, event.body)
            if event.method == "GET" or (word is not None and word.step == "TERMINATE"):
                return True
        return False


class Once:
    """What may happen once happened once: agreement, session, receipt, effect of a message."""

    name = "once"

    def check(self, record: Record) -> Iterator[str]:
        """Count."""
        for node in record.nodes.values():
            entries = entries_of(node)
            yield from self._doubled(node, entries, "agreement.concluded", "agreement")
            yield from self._acts(node, entries)
            yield from self._sessions(node, entries)
            for row in node.rows(
                "SELECT process, message_id, count(*) AS n FROM inbox "
                "WHERE message_id IS NOT NULL "
                "GROUP BY participant, process, message_id, type, sha256 "
                "HAVING n > 1"
            ):
                yield f"{node.name}: {row['message_id']} counted {row['n']} times"
            for row in node.rows(
                "SELECT negotiation, count(*) AS n FROM agreement WHERE negotiation IS NOT NULL "
                "GROUP BY participant, negotiation HAVING n > 1"
            ):
                yield f"{node.name}: {row['n']} agreements of {row['negotiation']}"

    def _doubled(
        self, node: NodeRecord, entries: Sequence[dict[str, Any]], kind: str, key: str
    ) -> Iterator[str]:
        counts = Counter((e["_ledger"], e.get(key)) for e in entries if e["type"] == kind)
        for (_, subject), count in counts.items():
            if count > 1:
                yield f"{node.name}: {kind} {count} times for {subject}"

    def _acts(self, node: NodeRecord, entries: Sequence[dict[str, Any]]) -> Iterator[str]:
        started = {e["id"] for e in entries if e["type"] == "act.started"}
        ended = Counter(
            e["started_as"]
            for e in entries
            if e["type"] == "receipt" and "started_as" in e and "corrects" not in e
        )
        for act in sorted(started):
            if ended[act] != 1:
                yield f"{node.name}: act {act} has {ended[act]} receipts"
        for act in sorted(set(ended) - started):
            yield f"{node.name}: a receipt of {act}, which never began"

    def _sessions(self, node: NodeRecord, entries: Sequence[dict[str, Any]]) -> Iterator[str]:
        opens = {"session.opened": 1, "session.resumed": 1}
        closes = {"session.suspended": 0, "session.closed": 0}
        state: dict[str, int] = {}
        for e in entries:
            moved = (opens | closes).get(e["type"])
            if moved is None:
                continue
            sid = e.get("session", "")
            if state.get(sid) == moved and not (moved == 0 and e["type"] == "session.closed"):
                yield f"{node.name}: {e['type']} of {sid} twice in a row"
            state[sid] = moved


class Bytes:
    """No block of a session later than a second after its revocation, none outside of a session."""

    name = "bytes"

    def check(self, record: Record) -> Iterator[str]:
        """Compare each block's time with the session's own history."""
        for node in record.nodes.values():
            history = self._history(node)
            for event in record.events:
                if event.kind != "block" or event.node != node.name or event.status >= 300:
                    continue
                sid = event.path.split("/data/", 1)[1].split("/", 1)[0].split("?", 1)[0]
                yield from self._block(node, sid, event.wall, history.get(sid))

    def _history(self, node: NodeRecord) -> dict[str, list[tuple[int, bool]]]:
        """Per session: when it opened (True) and when it was to end (False), microseconds."""
        history: dict[str, list[tuple[int, bool]]] = {}
        for row in node.rows(
            "SELECT thread, time, type, body FROM ledger_entry "
            "WHERE type IN ('session.opened', 'session.resumed') ORDER BY pk"
        ):
            sid = json.loads(row["body"]).get("session", "")
            history.setdefault(sid, []).append((row["time"], True))
        for row in node.rows("SELECT kind, subject, at FROM revocation ORDER BY pk"):
            if row["kind"] == "session":
                history.setdefault(row["subject"], []).append((row["at"], False))
            elif row["kind"] == "agreement":
                for session in node.rows(
                    "SELECT sid FROM session WHERE agreement_id = ?", row["subject"]
                ):
                    history.setdefault(session["sid"], []).append((row["at"], False))
        for moments in history.values():
            moments.sort()
        return history

    def _block(
        self, node: NodeRecord, sid: str, wall: int, moments: list[tuple[int, bool]] | None
    ) -> Iterator[str]:
        # The entry's time is cut to milliseconds, so a session opens up to one before its entry.
        before = [open_ for at, open_ in moments or () if at <= wall + 1000]
        if True not in before:
            yield f"{node.name}: a block of {sid}, which was not open at {wall}"
            return
        if before[-1]:
            return
        ended = max(at for at, open_ in moments or () if not open_ and at <= wall + 1000)
        if wall > ended + GRACE_US:
            yield f"{node.name}: a block of {sid}, {(wall - ended) / 1e6:.3f} s after its end"


class Budget:
    """No counter above its cap, nothing held for nobody."""

    name = "budget"

    def check(self, record: Record) -> Iterator[str]:
        """Look at the counters."""
        for node in record.nodes.values():
            for row in node.rows("SELECT * FROM counter"):
                if row["used"] + row["held"] > row["cap"] or row["used"] < 0 or row["held"] < 0:
                    yield f"{node.name}: {dict(row)}"


# A self-issued token, a session's token, a management token.
_SECRET = re.compile(r"eyJ[\w-]{20,}\.|\bc1\.[a-z2-7]{16}\.|\bcor_\w{8}")


def _alarming(line: str) -> bool:
    return "log_level=error" in line or "log_level=critical" in line or "invariant.broken" in line


class Rest:
    """The run came to rest: nothing due, nothing claimed, nothing thrown."""

    name = "rest"

    _UNREST = (
        ("outbox", "state IN ('queued', 'sending')", "message_id"),
        ("job", "state IN ('queued', 'running', 'claimed')", "kind"),
        ("reservation", "state = 'held'", "request_id"),
        ("act", "state = 'open'", "act_id"),
        ("session", "state IN ('opening', 'suspending', 'closing')", "sid"),
        ("negotiation", "pending IS NOT NULL", "pid"),
        ("transfer", "pending IS NOT NULL", "pid"),
        ("ledger_entry", '"index" IS NULL', "id"),
    )

    def check(self, record: Record) -> Iterator[str]:
        """Look for what is still to be done."""
        yield from (f"an app threw: {what}" for what in record.broken)
        yield from (f"a task threw: {what}" for what in record.faults)
        yield from (f"logged: {line}" for line in record.logs if _alarming(line))
        yield from (f"a secret in the log: {line}" for line in record.logs if _SECRET.search(line))
        for node in record.nodes.values():
            yield from unrest(node)

    @classmethod
    def due(cls, node: NodeRecord) -> Iterator[str]:
        """What is not done yet, by table."""
        for table, where, key in cls._UNREST:
            for row in node.rows(f'SELECT {key} AS name FROM "{table}" WHERE {where}'):  # noqa: S608 - fixed text
                yield f"{node.name}: {table} {row['name']} is not done"


def unrest(node: NodeRecord) -> Iterator[str]:
    """What is not done yet in this node's database."""
    return Rest.due(node)


class Spoken:
    """The speech checker, over a whole record."""

    name = "speech"

    def check(self, record: Record) -> Iterator[str]:
        """Follow every process."""
        return Speech(record.nodes).check(record.events)


CHECKERS: tuple[Checker, ...] = (Ends(), Spoken(), Bytes(), Once(), Ledger(), Budget(), Rest())


def check(record: Record) -> list[str]:
    """Everything that is wrong, each line beginning with its checker's name."""
    return [f"{one.name}: {what}" for one in CHECKERS for what in one.check(record)]
