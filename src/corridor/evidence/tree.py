# SPDX-License-Identifier: Apache-2.0
"""The Merkle tree of RFC 6962 over tiles of 256 hashes: append, root, proofs, and their checks.

Shape of the tiles: C2SP tlog-tiles. Tile `(level, n)` holds up to 256 hashes of 32 bytes, each the
root of a full subtree of 256**level leaves; level 0 holds leaf hashes. Full tiles never change, the
right edge of each level is rewritten. Reading is a function, so any store fits; only what the given
size reaches is looked at, so a tile may be longer than an older size needs.

What a stranger checks raises EvidenceBroken; so does a tile that is missing or short.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from hashlib import sha256

from corridor.errors import EvidenceBroken

HASH_BYTES = 32
TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT

EMPTY = sha256(b"").digest()
"""Root of the tree without leaves."""

ReadTile = Callable[[int, int], bytes]
"""(level, n) -> concatenated hashes of that tile, as many as are stored."""


def leaf_hash(leaf: bytes) -> bytes:
    """SHA-256 of 0x00 and the leaf's bytes (RFC 6962 2.1)."""
    return sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256 of 0x01 and both children (RFC 6962 2.1)."""
    return sha256(b"\x01" + left + right).digest()


def append(
    read: ReadTile, size: int, leaves: Sequence[bytes]
) -> tuple[dict[tuple[int, int], bytes], bytes]:
    """Extend a tree of `size` leaves by leaf *hashes*: (tiles to write whole, the new root).

    Reads at most one tile a level, which is its right edge.
    """
    tiles: dict[tuple[int, int], bytes] = {}
    edges: list[bytes] = []  # right edge a level, once extended
    held, added, level = size, list(leaves), 0
    while held + len(added) > 0:
        n, offset = divmod(held, TILE_WIDTH)
        edge = _prefix(read, level, n, offset)
        blob = edge + b"".join(added)
        upward: list[bytes] = []
        width = TILE_WIDTH * HASH_BYTES
        full = len(blob) // width
        for at in range(full):
            tile = blob[at * width : (at + 1) * width]
            tiles[level, n + at] = tile
            upward.append(_fold(tile))
        rest = blob[full * width :]
        if rest and added:
            tiles[level, n + full] = rest
        edges.append(rest)
        held, added, level = held // TILE_WIDTH, upward, level + 1
    return tiles, _root_of_edges(edges)


def root(read: ReadTile, size: int) -> bytes:
    """Root of the first `size` leaves."""
    if size == 0:
        return EMPTY
    return _Reader(read).subtree(0, size)


def inclusion(read: ReadTile, index: int, size: int) -> list[bytes]:
    """Audit path of leaf `index` in the tree of `size` leaves, lowest sibling first."""
    assert 0 <= index < size, "only a leaf of the tree has a path"
    reader = _Reader(read)
    path: list[bytes] = []
    low, high = 0, size
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            path.append(reader.subtree(middle, high))
            high = middle
        else:
            path.append(reader.subtree(low, middle))
            low = middle
    return path[::-1]


def consistency(read: ReadTile, old: int, new: int) -> list[bytes]:
    """That the first `old` leaves of the tree of `new` are the old tree (RFC 6962 2.1.2)."""
    assert 0 <= old <= new, "a tree only grows"
    if old in (0, new):
        return []
    reader = _Reader(read)
    path: list[bytes] = []
    low, high, whole = 0, new, True  # whole: the verifier knows this subtree as the old root
    while old != high:
        middle = low + _split(high - low)
        if old <= middle:
            path.append(reader.subtree(middle, high))
            high = middle
        else:
            path.append(reader.subtree(low, middle))
            low, whole = middle, False
    if not whole:
        path.append(reader.subtree(low, high))
    return path[::-1]


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> None:
    """EvidenceBroken unless `proof` leads from this leaf *hash* to `root` (RFC 9162 2.1.3.2)."""
    if not 0 <= index < size:
        raise EvidenceBroken(f"index {index} lies outside a tree of {size}")
    node = leaf
    for left, sibling in _climb(index, size - 1, proof):
        node = node_hash(sibling, node) if left else node_hash(node, sibling)
    if node != root:
        raise EvidenceBroken("the proof does not give the signed root")


def verify_consistency(
    old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Raise EvidenceBroken unless the new tree begins with the old one (RFC 9162 2.1.4.2)."""
    if not 0 <= old <= new:
        raise EvidenceBroken(f"a tree of {new} cannot hold one of {old}")
    if old in (0, new):
        if proof:
            raise EvidenceBroken("a proof where none is needed")
        if old_root != (EMPTY if old == 0 else new_root):
            raise EvidenceBroken("two roots of one size")
        return
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not path:
        raise EvidenceBroken("the proof is empty")
    first, last = old - 1, new - 1
    while first & 1:
        first, last = first >> 1, last >> 1
    before = after = path[0]
    for left, sibling in _climb(first, last, path[1:]):
        if left:
            before, after = node_hash(sibling, before), node_hash(sibling, after)
        else:
            after = node_hash(after, sibling)
    if before != old_root or after != new_root:
        raise EvidenceBroken("the newer tree does not begin with the older one")


def ranges(indices: Collection[int], size: int) -> list[tuple[int, int]]:
    """The maximal subtrees `(start, end)` without any of the shown indices, ascending.

    Their hashes are one proof for all shown leaves together (evidence.md 5.2).
    """
    shown = sorted(set(indices))
    assert not shown or (shown[0] >= 0 and shown[-1] < size), "only leaves of the tree are shown"
    found: list[tuple[int, int]] = []
    waiting = [(0, size)] if size else []
    while waiting:
        low, high = waiting.pop()
        if not _holds(shown, low, high):
            found.append((low, high))
        elif high - low > 1:
            middle = low + _split(high - low)
            waiting += [(middle, high), (low, middle)]
    return found


def prove(read: ReadTile, indices: Collection[int], size: int) -> dict[tuple[int, int], bytes]:
    """The multi-proof of those leaves: the hash of each of `ranges`."""
    reader = _Reader(read)
    return {span: reader.subtree(*span) for span in ranges(indices, size)}


def root_of(size: int, shown: Mapping[int, bytes], nodes: Mapping[tuple[int, int], bytes]) -> bytes:
    """Root that shown leaf *hashes* and a multi-proof give together (evidence.md 5.2).

    Raises EvidenceBroken where a node is missing, spare, ill-formed or stands over a shown leaf.
    """
    if not shown:
        raise EvidenceBroken("a proof that shows no leaf proves nothing")
    indices = sorted(shown)
    if indices[0] < 0 or indices[-1] >= size:
        raise EvidenceBroken(f"a shown leaf lies outside a tree of {size}")
    _check_hashes([*shown.values(), *nodes.values()])
    used: set[tuple[int, int]] = set()

    def subtree(low: int, high: int) -> bytes:
        """Depth is at most the height of the tree, 64."""
        if (low, high) in nodes:
            if _holds(indices, low, high):
                raise EvidenceBroken(f"node {low}-{high} stands over a shown leaf")
            used.add((low, high))
            return nodes[low, high]
        if not _holds(indices, low, high):
            raise EvidenceBroken(f"node {low}-{high} is missing")
        if high - low == 1:
            return shown[low]
        middle = low + _split(high - low)
        return node_hash(subtree(low, middle), subtree(middle, high))

    found = subtree(0, size)
    if len(used) != len(nodes):
        low, high = min(set(nodes) - used)
        raise EvidenceBroken(f"node {low}-{high} is not part of the proof")
    return found


class _Reader:
    """Hashes of subtrees out of tiles, each tile read once."""

    def __init__(self, read: ReadTile) -> None:
        self._read = read
        self._tiles: dict[tuple[int, int], bytes] = {}

    def subtree(self, low: int, high: int) -> bytes:
        """Hash of a subtree that RFC 6962 cuts so: aligned, or the right edge."""
        count = high - low
        if count & (count - 1) == 0:
            return self._full(low, count.bit_length() - 1)
        middle = low + _split(count)
        return node_hash(self.subtree(low, middle), self.subtree(middle, high))

    def _full(self, low: int, height: int) -> bytes:
        """Hash of the full subtree of 2**height leaves that begins at leaf `low`."""
        level, inside = divmod(height, TILE_HEIGHT)
        n, offset = divmod(low >> (level * TILE_HEIGHT), TILE_WIDTH)
        tile = self._tiles.get((level, n))
        if tile is None:
            tile = self._tiles[level, n] = self._read(level, n)
        part = tile[offset * HASH_BYTES : (offset + (1 << inside)) * HASH_BYTES]
        if len(part) != HASH_BYTES << inside:
            raise EvidenceBroken(f"tile {level}/{n} is short")
        return _fold(part)


def _climb(first: int, last: int, proof: Sequence[bytes]) -> Iterator[tuple[bool, bytes]]:
    """(whether it stands to the left, hash) of each sibling on the way from `first` to the root.

    `last` is the right edge of the same level (RFC 9162 2.1.3.2 and 2.1.4.2, the common part).
    """
    _check_hashes(proof)
    for sibling in proof:
        if last == 0:
            raise EvidenceBroken("the proof is longer than the tree is high")
        left = bool(first & 1) or first == last
        yield left, sibling
        while left and first and not first & 1:
            first, last = first >> 1, last >> 1
        first, last = first >> 1, last >> 1
    if last != 0:
        raise EvidenceBroken("the proof is shorter than the tree is high")


def _prefix(read: ReadTile, level: int, n: int, count: int) -> bytes:
    """The first `count` hashes of a tile, which must be there."""
    if count == 0:
        return b""
    tile = read(level, n)[: count * HASH_BYTES]
    if len(tile) != count * HASH_BYTES:
        raise EvidenceBroken(f"tile {level}/{n} is short")
    return tile


def _fold(hashes: bytes) -> bytes:
    """Root of a full subtree: its hashes, a power of two of them, folded pair by pair."""
    while len(hashes) > HASH_BYTES:
        pairs = range(0, len(hashes), 2 * HASH_BYTES)
        hashes = b"".join([sha256(b"\x01" + hashes[at : at + 64]).digest() for at in pairs])
    return hashes


def _root_of_edges(edges: Sequence[bytes]) -> bytes:
    """Root from the right edge of each level: their full subtrees, joined from the right."""
    found: bytes | None = None
    for edge in edges:  # level by level upwards, which is from right to left
        end = len(edge)
        while end:
            count = end // HASH_BYTES
            start = end - (count & -count) * HASH_BYTES
            peak = _fold(edge[start:end])
            found = peak if found is None else node_hash(peak, found)
            end = start
    return EMPTY if found is None else found


def _split(count: int) -> int:
    """The largest power of two below `count`."""
    return 1 << ((count - 1).bit_length() - 1)


def _holds(ordered: Sequence[int], low: int, high: int) -> bool:
    at = bisect_left(ordered, low)
    return at < len(ordered) and ordered[at] < high


def _check_hashes(hashes: Collection[bytes]) -> None:
    if any(len(it) != HASH_BYTES for it in hashes):
        raise EvidenceBroken("a hash of the proof has the wrong length")
