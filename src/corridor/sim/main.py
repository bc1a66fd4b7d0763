# SPDX-License-Identifier: Apache-2.0
"""`corridor sim`: replay one seed, or run many; says how to replay what failed.

`--seed S [--peer P] [--until N] [--trace FILE]`, `SEEDS=… FROM=… PEER=…`, or `--sweep NAME
[--every N]`: one conversation once for each point at which a node may die. Without a peer, each
tenth seed meets a sloppy one and each tenth a hostile one. `--seconds` ends a run in time. The last
line of every call is `N passed, N failed`; the exit status is 1 where any failed, or none ran.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import replace
from pathlib import Path

from corridor.codes import Exit
from corridor.sim.conversations import CONVERSATIONS
from corridor.sim.join import Joint
from corridor.sim.run import PEERS, Outcome, Plan, conversation, perform, shrink
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
    if plan.crash_at is not None:
        name = next(name for name, it in CONVERSATIONS.items() if it.wishes == plan.wishes)
        return f"corridor sim --sweep '{name}' --at {plan.crash_at[0]}:{plan.crash_at[1]}"
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
    parser.add_argument("--peer", choices=PEERS, default=pairs.get("PEER"))
    parser.add_argument("--jobs", type=int, default=int(pairs.get("JOBS", "1")))
    parser.add_argument("--seconds", type=float, help="begin no run after so long")
    parser.add_argument("--until", type=float, help="virtual seconds of trouble")
    parser.add_argument("--trace", type=Path, help="write the events here")
    parser.add_argument("--sweep", choices=CONVERSATIONS, help="die at each point of one")
    parser.add_argument("--at", help="only where this NODE:POINT of the sweep dies")
    parser.add_argument("--every", type=int, default=1, help="of a sweep's points, each n-th")
    parser.add_argument("--no-shrink", action="store_true", help="do not look for fewer faults")
    return parser.parse_args([one for one in argv if one.startswith("-") or "=" not in one])


def main(argv: Sequence[str] | None = None) -> int:
    """Run what the arguments say."""
    options = _arguments(sys.argv[1:] if argv is None else argv)
    if options.sweep and options.at:
        node, _, point = options.at.partition(":")
        plan = replace(conversation(options.sweep, early=True), crash_at=(node, int(point)))
        return _closing(*_judged([perform(plan, Joint)], shrinks=False))
    if options.sweep:
        return _many(_deaths(options.sweep, options.every), options)
    if options.seed is not None:
        peer = options.peer or "corridor"
        outcome = simulate(options.seed, peer=peer, until=options.until, trace=options.trace)
        return _closing(*_judged([outcome], shrinks=not options.no_shrink))
    seeds = range(options.first, options.first + options.seeds)
    plans = (
        Plan(seed=seed, peer=options.peer or peer_of(seed), until=options.until) for seed in seeds
    )
    return _many(plans, options)


def peer_of(seed: int) -> str:
    """Whom a seed meets where nobody says: mostly another node of ours."""
    return {8: "sloppy", 9: "hostile"}.get(seed % 10, "corridor")


def _deaths(name: str, every: int) -> Iterator[Plan]:
    """A conversation once, then once for each point at which one of its nodes may die."""
    plan = conversation(name, early=True)
    yield plan
    points = perform(plan, Joint).points
    for node in ("a", "b"):
        for point in range(1, points.get(node, 0) + 1, every):
            yield replace(plan, crash_at=(node, point))


def _run(plan: Plan) -> Outcome:
    # a failure is run again where it is shown; its events need not cross a process
    return replace(perform(plan, Joint), events=())


def _many(plans: Iterator[Plan], options: argparse.Namespace) -> int:
    """Run them, on so many processes; each failure is shown as it comes."""
    passed = failed = 0
    began = told = time.perf_counter()
    under_way: set[Future[Outcome]] = set()
    with ProcessPoolExecutor(max_workers=options.jobs) as pool:
        while True:
            for plan in itertools.islice(plans, 2 * options.jobs - len(under_way)):
                under_way.add(pool.submit(_run, plan))
            if not under_way:
                break
            done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
            good, bad = _judged([it.result() for it in done], shrinks=not options.no_shrink)
            passed, failed, now = passed + good, failed + bad, time.perf_counter()
            if now - told > REPORT_EVERY_S:
                told = now
                _say(f"{passed + failed} runs, {(passed + failed) / (now - began):.1f} a second")
            if options.seconds is not None and now - began > options.seconds:
                plans = iter(())
    _say(f"{(passed + failed) / max(time.perf_counter() - began, 1e-9):.1f} runs a second")
    return _closing(passed, failed)


def _judged(outcomes: Sequence[Outcome], *, shrinks: bool) -> tuple[int, int]:
    """How many were good and how many not; what was not is shown."""
    bad = [outcome for outcome in outcomes if outcome.problems]
    for outcome in bad:
        _failure(outcome, shrinks=shrinks)
    return len(outcomes) - len(bad), len(bad)


def _closing(passed: int, failed: int) -> int:
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
