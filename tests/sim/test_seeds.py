# SPDX-License-Identifier: Apache-2.0
"""Fixed seeds of whole runs: every one must end well, and twice the same.

A seed that once failed goes to `tests/seeds.txt`, one a line: seed, peer, why.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from corridor.sim.join import Joint
from corridor.sim.main import replay, simulate
from corridor.sim.run import sweep

SEEDS = Path(__file__).parents[1] / "seeds.txt"


def once_failed() -> list[tuple[int, str]]:
    if not SEEDS.exists():
        return []
    lines = (line.split("#")[0].split() for line in SEEDS.read_text().splitlines())
    return [(int(parts[0]), parts[1]) for parts in lines if len(parts) > 1]


RUNS = [
    *((seed, "corridor") for seed in range(200)),
    *((seed, "sloppy") for seed in range(40)),
    *((seed, "hostile") for seed in range(10)),
    *once_failed(),
]


@pytest.mark.parametrize(("seed", "peer"), RUNS, ids=str)
def test_a_run_ends_well(seed: int, peer: str) -> None:
    outcome = simulate(seed, peer=peer)
    assert outcome.problems == (), replay(outcome)


@pytest.mark.parametrize("seed", range(20))
def test_a_seed_is_one_run(seed: int) -> None:
    peer = ("corridor", "sloppy", "hostile")[seed % 3 if seed < 6 else 0]
    once, again = simulate(seed, peer=peer), simulate(seed, peer=peer)
    assert (once.digest, once.steps, once.points) == (again.digest, again.steps, again.points)


@pytest.mark.parametrize(
    ("name", "every", "early"),
    [
        ("agree", 23, True),
        ("use", 97, False),
        ("pause", 197, False),
        ("provider pauses", 197, False),
        ("withdraw", 197, False),
        ("end", 97, False),
    ],
)
def test_a_node_may_die_between_any_two_lines(name: str, every: int, early: bool) -> None:
    """A sample of the sweep; the whole of it is for the night (`corridor sim --sweep NAME`)."""
    runs = 0
    for outcome in sweep(name, Joint, every=every, early=early):
        assert outcome.problems == (), f"{name} {outcome.plan.crash_at}"
        runs += 1
    assert runs > 10
