# SPDX-License-Identifier: Apache-2.0
"""Places new ledger entries: index, thread number, leaf hash, tiles, root (evidence.md 2.4).

Runs as the last step of a group commit, in the same transaction, and once when a store is opened:
what a crash left unplaced is found because its index is NULL.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from corridor.errors import EvidenceBroken
from corridor.evidence import entry, tree
from corridor.store.unit import Statement

ROWS_MAX = 4096


class Run(Protocol):
    """A connection within a transaction."""

    def rows(self, statement: Statement, params: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """What a query gives."""
        ...

    def change(self, statement: Statement, params: Mapping[str, Any]) -> int:
        """How many rows a write touched."""
        ...


class Sequencer:
    """Holds nothing between batches: what it needs is read within the transaction."""

    def __init__(self, texts: Mapping[str, Statement]) -> None:
        self._t = texts

    def place(self, run: Run) -> int:
        """Place every entry of open ledgers; how many were placed."""
        placed = 0
        while found := run.rows(self._t["ledger_entry.unplaced"], {"limit": ROWS_MAX}):
            of: dict[int, list[tuple[Any, ...]]] = {}
            for row in found:
                of.setdefault(row[1], []).append(row)
            for ledger, entries in of.items():
                self._extend(run, ledger, entries)
            placed += len(found)
            if len(found) < ROWS_MAX:
                break
        return placed

    def _extend(self, run: Run, ledger: int, entries: list[tuple[Any, ...]]) -> None:
        """Give these entries, in the order of their rows, the next indices of one ledger."""
        t = self._t
        ((size, last_time),) = run.rows(t["ledger.head"], {"ledger": ledger})
        heads: dict[str, tuple[int, bytes]] = {}
        hashes: list[bytes] = []
        for pk, _, thread, time, body in entries:
            number, prior = self._next(run, ledger, thread, heads)
            index = size + len(hashes)
            leaf = tree.leaf_hash(entry.leaf(body, index=index, number=number, prior=prior))
            place = {"pk": pk, "index": index, "number": number, "prior": prior, "leaf": leaf}
            run.change(t["ledger_entry.place"], place)
            if number is not None:
                heads[thread] = (number, leaf)
            hashes.append(leaf)
            last_time = max(last_time, time)

        def read(level: int, n: int) -> bytes:
            tiles = run.rows(t["ledger_tile.get"], {"ledger": ledger, "level": level, "n": n})
            return bytes(tiles[0][-1]) if tiles else b""

        tiles, root = tree.append(read, size, hashes)
        for (level, n), blob in tiles.items():
            tile = {"ledger": ledger, "level": level, "n": n, "hashes": blob}
            run.change(t["ledger_tile.put"], tile)
        for thread, (number, leaf) in heads.items():
            head = {"ledger": ledger, "thread": thread, "number": number, "leaf": leaf}
            run.change(t["ledger_chain.put"], head)
        grown = {
            "ledger": ledger,
            "old": size,
            "size": size + len(hashes),
            "root": root,
            "last_time": last_time,
        }
        if run.change(t["ledger.grow"], grown) != 1:
            raise EvidenceBroken("the ledger grew while entries were placed")

    def _next(
        self, run: Run, ledger: int, thread: str | None, heads: dict[str, tuple[int, bytes]]
    ) -> tuple[int | None, bytes | None]:
        """The entry's number in its thread, and the leaf hash of the one before it."""
        if thread is None:
            return None, None
        if thread not in heads:
            found = run.rows(self._t["ledger_chain.get"], {"ledger": ledger, "thread": thread})
            if not found:
                return 1, None
            heads[thread] = (found[0][-2], bytes(found[0][-1]))
        number, leaf = heads[thread]
        return number + 1, leaf
