# SPDX-License-Identifier: Apache-2.0
"""A partner may need a moment between its answer and our next word (node.md c, quirks)."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from tests.pair.pair import Pair, play

from corridor.store.peers import Peer, Quirks
from corridor.store.unit import Unit

PACE_MS = 100


def test_a_step_waits_for_as_long_as_the_peer_needs(tmp_path: Path) -> None:
    async def story(p: Pair) -> None:
        quirks = msgspec.json.encode(Quirks(settle_ms=PACE_MS))
        row = Peer(did=p.home("consumer").did, handle="consumer", quirks=quirks, created=0)
        store = p.provider.store.of("provider")
        await p.provider.store.run(Unit((store.peers.insert(row),)))
        done = await p.request(await p.offer({"permission": [{"action": "use"}]}))
        assert done.state == "FINALIZED"
        told = [it for it in store.ledger.entries(0) if it.type.startswith("message.")]
        # From the entry of what we said to that of its acknowledgement; it waited in between.
        took = [b.time - a.time for a, b in pairwise(told) if b.type == "message.acknowledged"]
        assert took
        assert all(gap >= PACE_MS * 1000 for gap in took)

    play(tmp_path, story)


@pytest.mark.parametrize("wrong", [-1, 10_001, "1"])
def test_a_pace_has_bounds(wrong: object) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(msgspec.json.encode({"settle_ms": wrong}), type=Quirks)
