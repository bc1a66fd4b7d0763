# SPDX-License-Identifier: Apache-2.0
"""kill -9 of either node at any call of its world, then a restart (node.md i).

One conversation is counted first. Then, conversation by conversation, the victim dies at a seeded
point of it, is started again on its folder, and the conversation must end as if nothing had been.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.fault.town import Died, Node, Nursery, Town, faults, town

BATCHES, POINTS, FIRST = 6, 60, 7


def say(told: str) -> None:
    """For whoever looks at a failure: pytest shows it then."""
    sys.stdout.write(f"{told}\n")


@dataclass
class Plan:
    """A town, and where its nodes are to die: (name, point), spread evenly and shuffled."""

    town: Town
    counts: dict[str, int]
    points: list[tuple[str, int]]
    reached: list[bool] = field(default_factory=list)


@pytest.fixture(scope="module")
def plan(
    nursery: Nursery, tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Iterator[Plan]:
    seed: Any = getattr(pytestconfig.option, "randomly_seed", None)
    chance = random.Random(seed if isinstance(seed, int) else 20270301)
    with town(tmp_path_factory.mktemp("kill"), nursery) as made:
        made.converse(made.offer())  # the first one also resolves names
        counted = made.offer()
        for node in made.nodes:
            node.ask("arm")
        made.converse(counted)
        counts = {node.name: node.ask("points") for node in made.nodes}
        made.check(counted)
        points = [
            (name, int((n + chance.random()) * count / (POINTS // 2)) + 1)
            for name, count in counts.items()
            for n in range(POINTS // 2)
        ]
        chance.shuffle(points)
        say(f"seed {seed}, points of a conversation {counts}")
        it = Plan(made, counts, points)
        yield it
        starts = sorted(second for node in made.nodes for second in node.starts_s)
        say(f"starts: median {starts[len(starts) // 2]:.2f} s, longest {starts[-1]:.2f} s")


@pytest.mark.parametrize("batch", range(BATCHES))
def test_whoever_dies_wherever_both_end_alike(plan: Plan, batch: int) -> None:
    for name, at in plan.points[batch::BATCHES]:
        begun = time.monotonic()
        _die_once(plan, name, at)
        took = time.monotonic() - begun
        say(f"{name} killed at {at} of {plan.counts[name]}: both alike after {took:.2f} s")
    assert sum(plan.reached) >= 0.8 * len(plan.reached), "most points must lie in the conversation"


def _die_once(plan: Plan, name: str, at: int) -> None:
    made = plan.town
    victim: Node = getattr(made, name)
    offer = made.offer()
    before = made.restarts
    victim.ask("arm", at=at)
    made.converse(offer)
    plan.reached.append(made.restarts > before)
    if not plan.reached[-1]:  # this run had fewer points: it dies at the end of it
        victim.kill()
        victim.start()
    made.check(offer)


def test_a_node_that_dies_in_its_first_start_has_lost_nothing(
    nursery: Nursery, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Keys, ledger and first entries are made then: every later start must find them whole."""
    with town(tmp_path_factory.mktemp("first"), nursery) as whole:
        points = whole.provider.ask("points")
    for n in range(FIRST):
        made = Town(tmp_path_factory.mktemp("first"), nursery)
        try:
            with pytest.raises(Died):
                made.provider.start(kill_at=1 + n * points // FIRST)
            made.provider.start()
            made.consumer.start()
            offer = made.offer()
            made.agree(offer)
            made.rest(offer)
            made.check_books()
            opened = [it["type"] for it in made.books["provider"].entries[:2]]
            assert opened == ["ledger.opened", "key.stated"], opened
            assert not faults(made.provider)
        finally:
            made.stop()
