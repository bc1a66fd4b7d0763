# SPDX-License-Identifier: Apache-2.0
"""Reading a participant's ledger: size, entries, tiles, checkpoints, payloads (evidence.md 2.3).

Entries are appended as `Leaf` in a `Unit` and placed by the sequencer; nothing here places.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol

from corridor.errors import EvidenceBroken, NotFound
from corridor.evidence import entry, tree
from corridor.store.rows import PAGE, Bound, R, Record, Row, Rows
from corridor.store.unit import Statement, Write

VERIFY_ROWS = 1024


class LedgerHead(Record, frozen=True, kw_only=True):
    """A ledger: one epoch of a participant. States: open, fenced, closed. `root` is of `size`."""

    participant: str = ""
    epoch: int
    origin: str
    state: str = "open"
    size: int = 0
    root: bytes = tree.EMPTY
    last_time: int = 0


class Entry(Record, frozen=True, kw_only=True):
    """A placed entry (unplaced: `index`, `number`, `prior`, `leaf` are None)."""

    ledger: int
    id: str
    type: str
    thread: str | None
    time: int
    body: bytes
    index: int | None
    number: int | None
    prior: bytes | None
    leaf: bytes | None

    def leaf_bytes(self) -> bytes:
        """The bytes that were hashed."""
        assert self.index is not None, "only a placed entry is a leaf"
        return entry.leaf(self.body, index=self.index, number=self.number, prior=self.prior)


class Checkpoint(Record, frozen=True, kw_only=True):
    """A signed note about the first `size` entries."""

    ledger: int
    size: int
    note: bytes
    at: int


class PayloadRow(Record, frozen=True, kw_only=True):
    """Bytes beside an entry; `sealed` is None once `erased`."""

    ledger: int
    entry: str
    slot: str
    digest: str
    sealed: bytes | None
    erased: int | None


class Scans(Protocol):
    """Reading that looks at many rows."""

    async def scan(self, statement: Statement, params: Mapping[str, Any]) -> list[Row]:
        """Rows, read by another thread."""
        ...


class _Found(Rows[R]):
    """Rows of a table that belongs to a ledger."""

    def one(self, verb: str, **params: Any) -> R | None:
        """The row, if there is one."""
        return self._one(verb, **params)

    def many(self, verb: str, **params: Any) -> list[R]:
        """All rows."""
        return self._list(verb, **params)

    def of(self, row: Row) -> R:
        """A row as a record."""
        return self._from(row)


class Ledgers(Rows[LedgerHead]):
    """Ledgers of all participants."""

    def __init__(self, bound: Bound) -> None:
        super().__init__(bound, "ledger", LedgerHead)

    def all(self) -> list[LedgerHead]:
        """Every ledger of the node."""
        return self._list("node-all")

    def unplaced(self) -> int:
        """How many entries wait to be placed."""
        return int(self._bound.read("ledger_entry.node-count-unplaced", {})[0][0])


class Ledger(Rows[LedgerHead]):
    """The ledger of a participant's present epoch. NotFound while none was opened."""

    def __init__(self, bound: Bound, scans: Scans) -> None:
        super().__init__(bound, "ledger", LedgerHead)
        self._scans = scans
        self._entries = _Found(bound, "ledger_entry", Entry)
        self._checkpoints = _Found(bound, "ledger_checkpoint", Checkpoint)
        self._payloads = _Found(bound, "ledger_payload", PayloadRow)

    def open(self, *, epoch: int, origin: str) -> Write:
        """The row of a new epoch; its first entry comes in the same unit. Conflict: one is open."""
        return self.insert(LedgerHead(epoch=epoch, origin=origin))

    def set_state(self, epoch: int, *, old: str, state: str) -> Write:
        """Fence, open again or close an epoch; Conflict where its state is not `old`."""
        return self._write("set-state", epoch=epoch, old=old, state=state)

    def head(self) -> LedgerHead | None:
        """The present epoch, None where there is none."""
        return self._one("current")

    def size_root(self) -> tuple[int, bytes]:
        """Committed size and its root."""
        head = self.head()
        if head is None:
            raise NotFound("this participant has no ledger")
        return head.size, bytes(head.root)

    @property
    def _ledger(self) -> int:
        head = self.head()
        if head is None or head.pk is None:
            raise NotFound("this participant has no ledger")
        return head.pk

    def tile(self, level: int, n: int) -> bytes:
        """Hashes of a tile, empty where there is none: the ReadTile of evidence.tree."""
        params = {"ledger": self._ledger, "level": level, "n": n}
        found = self._bound.read("ledger_tile.get", params)
        return bytes(found[0][-1]) if found else b""

    def entry(self, index: int) -> Entry | None:
        """The entry at this index."""
        return self._entries.one("by-index", ledger=self._ledger, index=index)

    def by_id(self, id: str) -> Entry | None:  # noqa: A002 - the entry's own word
        """The entry of this id, placed or not."""
        return self._entries.one("by-id", ledger=self._ledger, id=id)

    def entries(self, start: int, limit: int = PAGE) -> list[Entry]:
        """Placed entries from this index on."""
        return self._entries.many("from-index", ledger=self._ledger, start=start, limit=limit)

    def thread(self, thread: str, after: int = 0, limit: int = PAGE) -> list[Entry]:
        """Placed entries of a thread behind its number `after`."""
        return self._entries.many(
            "of-thread", ledger=self._ledger, thread=thread, after=after, limit=limit
        )

    def thread_length(self, thread: str) -> int:
        """How many entries a thread has."""
        params = {"ledger": self._ledger, "thread": thread}
        head = self._bound.read("ledger_chain.get", params)
        unplaced = self._bound.read("ledger_entry.unplaced-of-thread", params)
        return int(head[0][-2] if head else 0) + int(unplaced[0][0])

    # payloads

    def payload(self, digest: str) -> PayloadRow | None:
        """The bytes of this salted digest."""
        return self._payloads.one("get", ledger=self._ledger, digest=digest)

    def payloads(self, entry_id: str) -> list[PayloadRow]:
        """All bytes beside an entry."""
        return self._payloads.many("of-entry", ledger=self._ledger, entry=entry_id)

    def erase(self, digest: str, at: int) -> Write:
        """Forget the bytes; `payload.erased` belongs in the same unit. Conflict: erased already."""
        return self._bound.write(
            "ledger_payload.erase", {"ledger": self._ledger, "digest": digest, "erased": at}
        )

    # checkpoints

    def put_checkpoint(self, size: int, note: bytes, at: int) -> Write:
        """Keep a signed note; Conflict where there is one of this size."""
        params = {"ledger": self._ledger, "size": size, "note": note, "at": at}
        return self._bound.write("ledger_checkpoint.insert", params)

    def checkpoint(self, size: int | None = None) -> Checkpoint | None:
        """The newest, or the smallest that covers `size` entries."""
        if size is None:
            return self._checkpoints.one("latest", ledger=self._ledger)
        return self._checkpoints.one("at-least", ledger=self._ledger, size=size)

    # checking

    async def verify(self) -> AsyncIterator[tuple[int, int]]:
        """Compute everything again from the bodies: (entries checked, of how many), as it goes.

        EvidenceBroken where an index is missing, a chain or a hash differs, a tile or the root is
        not what the entries give.
        """
        head = self.head()
        if head is None or head.pk is None:
            raise NotFound("this participant has no ledger")
        check = _Check(head.size)
        while check.size < head.size:
            rows = await self._scans.scan(
                self._bound.statement("ledger_entry.from-index"),
                {"ledger": head.pk, "start": check.size, "limit": VERIFY_ROWS},
            )
            placed = [self._entries.of(row) for row in rows][: head.size - check.size]
            check.add(placed)
            for (level, n), hashes in check.full():
                if self.tile(level, n) != hashes:
                    raise EvidenceBroken(f"tile {level}/{n} differs from its entries")
            yield check.size, head.size
        if check.root != head.root:
            raise EvidenceBroken("the root differs from the entries")


class _Check:
    """Folds entries into chains and a tree, holding the right edge only."""

    def __init__(self, size: int) -> None:
        self.size = 0
        self.root = tree.EMPTY
        self._until = size
        self._tiles: dict[tuple[int, int], bytes] = {}
        self._heads: dict[str, tuple[int, bytes]] = {}

    def add(self, entries: list[Entry]) -> None:
        """Check and fold the next entries."""
        if not entries:
            raise EvidenceBroken(f"entry {self.size} is missing")
        hashes: list[bytes] = []
        for each in entries:
            index = self.size + len(hashes)
            if each.index != index:
                raise EvidenceBroken(f"entry {index} is missing")
            number, prior = self._chained(each)
            if (each.number, each.prior) != (number, prior):
                raise EvidenceBroken(f"entry {index} is not next in its thread")
            leaf = tree.leaf_hash(each.leaf_bytes())
            if leaf != each.leaf:
                raise EvidenceBroken(f"entry {index} was changed")
            if each.thread is not None and number is not None:
                self._heads[each.thread] = (number, leaf)
            hashes.append(leaf)
        made, self.root = tree.append(lambda level, n: self._tiles[level, n], self.size, hashes)
        self._tiles.update(made)
        self.size += len(hashes)

    def _chained(self, each: Entry) -> tuple[int | None, bytes | None]:
        if each.thread is None:
            return None, None
        number, prior = self._heads.get(each.thread, (0, None))
        return number + 1, prior

    def full(self) -> list[tuple[tuple[int, int], bytes]]:
        """Tiles that will not change any more, dropped here; at the end, the right edge too."""
        whole = tree.TILE_WIDTH * tree.HASH_BYTES
        at_end = self.size >= self._until
        ready = [key for key, hashes in self._tiles.items() if at_end or len(hashes) == whole]
        return [(key, self._tiles.pop(key)) for key in ready]
