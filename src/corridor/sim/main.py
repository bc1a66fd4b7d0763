# SPDX-License-Identifier: Apache-2.0
"""`corridor sim`: replay one seed, or run many; says how to replay what failed.

`--seed S [--peer P] [--until N] [--trace FILE]`, `SEEDS=… FROM=… PEER=…`, or `--sweep NAME
[--every N]`: one conversation once for each point at which a node may die. The last line of every
call is `N passed, N failed`; the exit status is 1 where any failed, or none ran.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from corridor.codes import Exit
from corridor.sim.conversations import CONVERSATIONS
from corridor.sim.join import Joint
from corridor.sim.run import PEERS, Outcome, Plan, perform, shrink, sweep
from corridor.sim.town import Raise

REPORT_EVERY_S = 10.0


def simulate(
    seed: int,
    *,
    peer: str = "corridor",
    until: float | None = None,
    crash_at: tuple[str, int] | None = None,
    trace: Path | None = None,
    build: Callable[[], Raise] = Joint,
) -> Outcome:
    """One run; `trace` is where its events are written, one JSON object a line."""
    plan = Plan(seed=seed, peer=peer, until=until, crash_at=crash_at)
    outcome = perform(plan, build)
    if trace is not None:
        trace.write_text("".join(f"{event.line()}\n" for event in outcome.events), "utf-8")
    return outcome


def replay(outcome: Outcome) -> str:
    """The command that does this run again."""
    plan = outcome.plan
    told = f"corridor sim --seed {plan.seed}"
    if plan.peer != "corridor":
        told += f" --peer {plan.peer}"
    if plan.until is not None:
        told += f" --until {plan.until:g}"
    return told


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    pairs = dict(one.split("=", 1) for one in argv if "=" in one and not one.startswith("-"))
    parser = argparse.ArgumentParser(prog="corridor sim", description=__doc__)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--seeds", type=int, default=int(pairs.get("SEEDS", "100")))
    parser.add_argument("--from", type=int, dest="first", default=int(pairs.get("FROM", "0")))
    parser.add_argument("--peer", choices=PEERS, default=pairs.get("PEER", "corridor"))
    parser.add_argument("--until", type=float, help="virtual seconds of trouble")
    parser.add_argument("--trace", type=Path, help="write the events here")
    parser.add_argument("--sweep", choices=CONVERSATIONS, help="die at each point of one")
    parser.add_argument("--every", type=int, default=1, help="of a sweep's points, each n-th")
    parser.add_argument("--no-shrink", action="store_true", help="do not look for fewer faults")
    return parser.parse_args([one for one in argv if one.startswith("-") or "=" not in one])


def main(argv: Sequence[str] | None = None) -> int:
    """Run what the arguments say."""
    options = _arguments(sys.argv[1:] if argv is None else argv)
    if options.sweep:
        return _sweep(options.sweep, options.every)
    one = options.seed is not None
    seeds = [options.seed] if one else range(options.first, options.first + options.seeds)
    passed, failed, began = 0, 0, time.perf_counter()
    told = began
    for seed in seeds:
        outcome = simulate(
            seed, peer=options.peer, until=options.until, trace=options.trace if one else None
        )
        if outcome.problems:
            failed += 1
            _failure(outcome, shrinks=not options.no_shrink)
        else:
            passed += 1
        now = time.perf_counter()
        if now - told > REPORT_EVERY_S:
            told = now
            rate = (passed + failed) / (now - began)
            _say(f"{passed + failed} runs, {rate:.1f} a second, at seed {seed}")
    spent = max(time.perf_counter() - began, 1e-9)
    _say(f"{(passed + failed) / spent:.1f} runs a second")
    _say(f"{passed} passed, {failed} failed")
    return Exit.FAILED if failed or not passed else Exit.DONE


def _sweep(name: str, every: int) -> int:
    passed = failed = 0
    for outcome in sweep(name, Joint, every=every, early=True):
        if outcome.problems:
            failed += 1
            _say(f"{name} fails where {outcome.plan.crash_at} dies: {outcome.problems[0]}")
        else:
            passed += 1
    _say(f"{passed} passed, {failed} failed")
    return Exit.FAILED if failed or not passed else Exit.DONE


def _failure(outcome: Outcome, *, shrinks: bool) -> None:
    _say(f"seed {outcome.plan.seed} failed: {replay(outcome)}")
    for problem in outcome.problems[:10]:
        _say(f"  {problem}")
    if shrinks and outcome.faults:
        least = shrink(outcome, Joint)
        met = [event for event in least.events if event.kind in {"fault", "crash"}]
        _say(f"  still fails with {len(least.faults)} of {len(outcome.faults)} faults:")
        for event in met[:20]:
            _say(f"    {event.line()}")
