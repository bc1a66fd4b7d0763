# SPDX-License-Identifier: Apache-2.0
"""Two foreign peers agree with each other: so they are able to, whatever Corridor does."""

from __future__ import annotations

import asyncio

import pytest

from corridor.identity.did import Document
from corridor.identity.token import verify
from corridor.limits import Limits
from corridor.sim.crash import hold
from corridor.sim.exchange import Place
from corridor.sim.fate import Fates
from corridor.sim.hostile import HostilePeer
from corridor.sim.loop import SimLoop
from corridor.sim.net import SimNet
from corridor.sim.network import Network
from corridor.sim.persona import Persona
from corridor.sim.sloppy import HABITS, SloppyPeer
from corridor.sim.trace import Trace
from corridor.sim.world import BEGIN

POLICY = {"permission": [{"action": "use"}]}


def pair(seed: int, *, habits: frozenset[str] | None = None, kind: type[SloppyPeer] = SloppyPeer):
    loop = SimLoop(seed)
    hold(loop)
    network = Network(loop, Fates(seed=seed, until=0.0), trace := Trace(loop))
    people = [Persona(loop, seed, f"{name}.example", name) for name in "xy"]
    partners = {person.did: person.base for person in people}
    peers = []
    for number, person in enumerate(people):
        net = SimNet(network, person.slug)
        made = kind if number else SloppyPeer
        peers.append(made(loop, net, person, partners, policy=POLICY, habits=habits))
        network.places[f"{person.slug}.example"] = Place(name=person.slug, peer=peers[-1])
    if isinstance(peers[1], HostilePeer):
        peers[1].trace = trace
    return loop, peers, trace


async def converse(asker: SloppyPeer, giver: SloppyPeer):
    agreed = await asker.request(giver.me.did)
    await asyncio.sleep(600)
    assert agreed is not None
    moved = await asker.transfer(agreed, "HttpData-PULL")
    await asyncio.sleep(600)
    assert moved is not None
    await asker.say(moved, "TransferCompletionMessage", {})
    await asyncio.sleep(600)
    return agreed, moved


@pytest.mark.parametrize("habit", ["none", *HABITS])
def test_they_agree_and_transfer(habit: str) -> None:
    loop, (asker, giver), _ = pair(3, habits=frozenset({habit}))
    agreed, moved = loop.run_until_complete(converse(asker, giver))
    other = giver.processes
    if habit != "early-409":  # two such peers may well part in anger
        assert (agreed.state, other[agreed.peer_pid].state) == ("FINALIZED", "FINALIZED")
        assert (moved.state, other[moved.peer_pid].state) == ("COMPLETED", "COMPLETED")
        assert moved.address["endpointProperties"][1]["value"] == "tok"
    assert loop.faults == []
    loop.close()


def test_habits_are_drawn_from_the_seed() -> None:
    drawn = []
    for seed in range(12):
        loop, (one, _), _ = pair(seed)
        drawn.append(one.habits)
        loop.close()
    assert len(set(drawn)) > 6


def test_their_tokens_and_documents_are_good() -> None:
    loop, (one, two), _ = pair(1)
    document = Document.parse(one.me.document(), limits=Limits())
    steps = verify(
        one.me.token(two.me.did), audience=two.me.did, body=b"", now=BEGIN, limits=Limits()
    )
    assert next(steps).did == one.me.did
    with pytest.raises(StopIteration) as done:
        steps.send(document)
    assert done.value.value.did == one.me.did
    loop.close()


def test_the_hostile_one_attacks_in_every_way() -> None:
    loop, (one, two), trace = pair(5, kind=HostilePeer)
    assert isinstance(two, HostilePeer)

    async def main() -> None:
        two.later(two.attack(4000.0))
        await asyncio.gather(converse_quietly(one, two), converse_quietly(two, one))
        await asyncio.sleep(4000)

    async def converse_quietly(asker: SloppyPeer, giver: SloppyPeer) -> None:
        try:
            await converse(asker, giver)
        except (AssertionError, KeyError, ValueError):
            return

    loop.run_until_complete(main())
    bodies = [event.body for event in trace if event.kind == "sent" and event.node == "y"]
    assert any(len(body) > 1 << 20 for body in bodies)
    assert any(body.startswith(b'{"a":{"a":') for body in bodies)
    assert any(b"169.254.169.254" in body for body in bodies)
    tokens = [event.headers.get("Authorization", "") for event in trace if event.kind == "sent"]
    assert len(tokens) > len({token for token in tokens if token})
    assert loop.faults == []
    loop.close()
