# SPDX-License-Identifier: Apache-2.0
"""Every proof verifies, and none survives a changed byte."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corridor.errors import EvidenceBroken
from corridor.evidence import tree

COUNT = 300
LEAVES = [tree.leaf_hash(b"%d" % it) for it in range(COUNT)]
TILES, _ = tree.append(lambda level, n: b"", 0, LEAVES)


def read(level: int, n: int) -> bytes:
    return TILES.get((level, n), b"")


ROOTS = [tree.root(read, size) for size in range(COUNT + 1)]


def flip(proof: list[bytes], at: int, bit: int) -> list[bytes]:
    changed = bytearray(proof[at])
    changed[bit // 8] ^= 1 << bit % 8
    return [*proof[:at], bytes(changed), *proof[at + 1 :]]


def test_all_inclusions_up_to_300() -> None:
    for size in range(1, COUNT + 1):
        for index in range(0, size, max(1, size // 40)):
            proof = tree.inclusion(read, index, size)
            tree.verify_inclusion(LEAVES[index], index, size, proof, ROOTS[size])


def test_all_consistencies_up_to_300() -> None:
    for new in range(COUNT + 1):
        for old in range(0, new + 1, max(1, new // 40)):
            proof = tree.consistency(read, old, new)
            tree.verify_consistency(old, new, ROOTS[old], ROOTS[new], proof)


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_changed_inclusions_fail(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, COUNT))
    index = data.draw(st.integers(0, size - 1))
    proof = tree.inclusion(read, index, size)
    at = data.draw(st.integers(0, len(proof) - 1))
    wrong = data.draw(
        st.sampled_from(
            [
                (index, size, flip(proof, at, data.draw(st.integers(0, 255)))),
                (index, size, proof[:-1]),
                (index, size, [*proof, proof[-1]]),
                (index, size, [*proof[:at], proof[at][:-1], *proof[at + 1 :]]),
                (index ^ 1, size, proof),
                (-1, size, proof),
                (size, size, proof),
            ]
        )
    )
    with pytest.raises(EvidenceBroken):
        tree.verify_inclusion(LEAVES[index], *wrong, ROOTS[size])


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_changed_consistencies_fail(data: st.DataObject) -> None:
    new = data.draw(st.integers(2, COUNT))
    old = data.draw(st.integers(1, new - 1))
    proof = tree.consistency(read, old, new)
    at = data.draw(st.integers(0, len(proof) - 1))
    wrong = data.draw(
        st.sampled_from(
            [
                (old, new, ROOTS[old], ROOTS[new], flip(proof, at, data.draw(st.integers(0, 255)))),
                (old, new, ROOTS[old], ROOTS[new], proof[:-1]),
                (old, new, ROOTS[old], ROOTS[new], [*proof, proof[-1]]),
                (old, new, ROOTS[old - 1], ROOTS[new], proof),
                (old, new, ROOTS[old], ROOTS[new - 1], proof),
                (new, old, ROOTS[new], ROOTS[old], proof),
                (new, new, ROOTS[new], ROOTS[new], proof),
                (0, new, tree.EMPTY, ROOTS[new], proof),
            ]
        )
    )
    with pytest.raises(EvidenceBroken):
        tree.verify_consistency(*wrong)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_multi_proofs_of_random_subsets(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, COUNT))
    indices = data.draw(st.sets(st.integers(0, size - 1), min_size=1, max_size=40))
    nodes = tree.prove(read, indices, size)
    shown = {it: LEAVES[it] for it in indices}
    assert tree.root_of(size, shown, nodes) == ROOTS[size]
    spans = sorted([*nodes, *((it, it + 1) for it in indices)])
    assert [it for it, _ in spans] == [0, *(it for _, it in spans[:-1])], "no gap, no overlap"
    one = data.draw(st.sampled_from(sorted(indices)))
    assert tree.root_of(size, {**shown, one: tree.leaf_hash(b"x")}, nodes) != ROOTS[size]
    if len(shown) > 1:
        with pytest.raises(EvidenceBroken):
            tree.root_of(size, {it: h for it, h in shown.items() if it != one}, nodes)


@given(st.lists(st.integers(0, 700), max_size=6))
@settings(max_examples=60, deadline=None)
def test_batches_in_any_sizes_give_one_tree(batches: list[int]) -> None:
    tiles: dict[tuple[int, int], bytes] = {}
    size, everything, found = 0, [], tree.EMPTY
    for count in batches:
        more = [tree.leaf_hash(b"%d" % (size + it)) for it in range(count)]
        written, found = tree.append(lambda *at: tiles.get(at, b""), size, more)
        tiles.update(written)
        size, everything = size + count, everything + more
    whole, at_once = tree.append(lambda level, n: b"", 0, everything)
    assert (tiles, found) == (whole, at_once)
