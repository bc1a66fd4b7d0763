# SPDX-License-Identifier: Apache-2.0
"""The tree against the vectors of evidence.md 8, the definition of RFC 6962, and pymerkle."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from pymerkle import InmemoryTree

from corridor.errors import EvidenceBroken
from corridor.evidence import tree

CLASSIC = [
    bytes.fromhex(it)
    for it in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


class Tiles(dict[tuple[int, int], bytes]):
    """A store of tiles that counts its reads."""

    def __init__(self, leaves: Sequence[bytes] = ()) -> None:
        super().__init__()
        self.size = 0
        self.reads = 0
        self.root = tree.EMPTY
        self.extend(leaves)

    def read(self, level: int, n: int) -> bytes:
        self.reads += 1
        return self.get((level, n), b"")

    def extend(self, leaves: Sequence[bytes]) -> dict[tuple[int, int], bytes]:
        written, self.root = tree.append(self.read, self.size, leaves)
        self.update(written)
        self.size += len(leaves)
        return written


def hashes(count: int) -> list[bytes]:
    return [tree.leaf_hash(b"%d" % it) for it in range(count)]


def by_definition(leaves: Sequence[bytes]) -> bytes:
    """RFC 6962 2.1, word for word."""
    if not leaves:
        return tree.EMPTY
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return tree.node_hash(by_definition(leaves[:k]), by_definition(leaves[k:]))


CLASSIC_HASHES = [tree.leaf_hash(it) for it in CLASSIC]
CLASSIC_TILES = Tiles(CLASSIC_HASHES)


@pytest.mark.parametrize("size", range(9))
def test_roots_of_the_classic_leaves(size: int) -> None:
    assert tree.root(CLASSIC_TILES.read, size).hex() == ROOTS[size]
    assert Tiles(CLASSIC_HASHES[:size]).root.hex() == ROOTS[size]


def test_inclusion_of_leaf_5_in_8() -> None:
    proof = tree.inclusion(CLASSIC_TILES.read, 5, 8)
    assert [it.hex() for it in proof] == [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        ROOTS[4],
    ]


def test_consistency_of_4_and_7() -> None:
    proof = tree.consistency(CLASSIC_TILES.read, 4, 7)
    assert [it.hex() for it in proof] == [
        "837dbb152e9b079010717e84e865da4ebc0fa198a806d59d31bf15accef22d0e"
    ]


def test_ranges_of_0_and_6_in_7() -> None:
    assert tree.ranges({0, 6}, 7) == [(1, 2), (2, 4), (4, 6)]


@pytest.mark.parametrize("size", range(1, 9))
def test_every_subset_of_small_trees_has_a_multi_proof(size: int) -> None:
    for count in range(1, size + 1):
        for indices in itertools.combinations(range(size), count):
            nodes = tree.prove(CLASSIC_TILES.read, indices, size)
            shown = {it: CLASSIC_HASHES[it] for it in indices}
            assert tree.root_of(size, shown, nodes).hex() == ROOTS[size]


def test_pymerkle_gives_the_same_roots() -> None:
    oracle = InmemoryTree(algorithm="sha256")
    tiles = Tiles()
    for it in range(300):
        oracle.append_entry(b"%d" % it)
        tiles.extend([tree.leaf_hash(b"%d" % it)])
        assert tiles.root == oracle.get_root()


@pytest.mark.parametrize("batch", [1, 7, 255, 256, 257, 4096])
def test_batches_over_tile_edges(batch: int) -> None:
    everything = hashes(1030 if batch < 256 else 9000)
    tiles = Tiles()
    for at in range(0, len(everything), batch):
        tiles.extend(everything[at : at + batch])
    assert tiles.root == by_definition(everything)
    assert tiles == Tiles(everything), "tiles do not depend on how leaves came"
    assert all(len(it) <= 256 * 32 for it in tiles.values())


def test_three_levels_and_few_reads() -> None:
    leaves = hashes(256 * 256 + 300)
    tiles = Tiles(leaves)
    assert {level for level, _ in tiles} == {0, 1, 2}
    assert tiles[2, 0] == by_definition(leaves[: 256 * 256])
    assert tiles.root == by_definition(leaves)
    tiles.reads = 0
    written = tiles.extend([tree.leaf_hash(b"one more")])
    assert tiles.reads <= 3, "one right edge a level"
    assert list(written) == [(0, 257)], "only the tile that changed is written"
    for index in (0, 255, 256, 65_535, 65_536, 65_836):
        tiles.reads = 0
        proof = tree.inclusion(tiles.read, index, tiles.size)
        assert tiles.reads <= 2 * 3
        tree.verify_inclusion(
            tree.leaf_hash(b"one more") if index == 65_836 else leaves[index],
            index,
            tiles.size,
            proof,
            tiles.root,
        )


def test_appending_nothing_gives_the_root_and_writes_nothing() -> None:
    tiles = Tiles(hashes(700))
    assert tree.append(tiles.read, 700, []) == ({}, tiles.root)
    assert tree.append(tiles.read, 0, []) == ({}, tree.EMPTY)


def test_an_older_size_is_read_out_of_longer_tiles() -> None:
    leaves = hashes(600)
    tiles = Tiles(leaves)
    for size in (1, 255, 256, 257, 511, 512, 599):
        assert tree.root(tiles.read, size) == by_definition(leaves[:size])


@pytest.mark.parametrize(("lost", "index"), [((0, 0), 0), ((0, 2), 0), ((1, 0), 599)])
def test_a_lost_or_short_tile_is_told(lost: tuple[int, int], index: int) -> None:
    tiles = Tiles(hashes(600))
    for left in (tiles[lost][:-1], tiles[lost][:-32], b""):
        tiles[lost] = left
        with pytest.raises(EvidenceBroken, match="is short"):
            tree.inclusion(tiles.read, index, 600)
        if lost != (0, 0):
            with pytest.raises(EvidenceBroken, match="is short"):
                tree.append(tiles.read, 600, hashes(1))


def test_multi_proofs_that_are_not_exact_are_refused() -> None:
    nodes = tree.prove(CLASSIC_TILES.read, [0, 6], 7)
    shown = {0: CLASSIC_HASHES[0], 6: CLASSIC_HASHES[6]}
    some = tree.leaf_hash(b"x")
    for wrong in (
        {key: it for key, it in nodes.items() if key != (2, 4)},  # missing
        {**nodes, (7, 8): some},  # spare
        {**nodes, (0, 1): shown[0]},  # over a shown leaf
        {**nodes, (4, 7): some},
        {**nodes, (2, 4): b"short"},
        {**nodes, (0, 7): bytes.fromhex(ROOTS[7])},
    ):
        with pytest.raises(EvidenceBroken):
            tree.root_of(7, shown, wrong)
    with pytest.raises(EvidenceBroken):
        tree.root_of(7, {}, {(0, 7): bytes.fromhex(ROOTS[7])})
    with pytest.raises(EvidenceBroken):
        tree.root_of(6, shown, nodes)
    with pytest.raises(EvidenceBroken):
        tree.root_of(1 << 62, shown, nodes)
