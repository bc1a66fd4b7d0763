# SPDX-License-Identifier: Apache-2.0
"""What a run reports: traces, failures with the command that replays them, fewer faults."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from corridor.sim import main as mains
from corridor.sim.join import Joint
from corridor.sim.main import main, simulate
from corridor.sim.run import Outcome, perform, shrink
from corridor.sim.trace import TOKEN


def test_a_trace_is_written_and_holds_no_token(tmp_path: Path) -> None:
    outcome = simulate(3, trace=tmp_path / "trace.jsonl")
    lines = (tmp_path / "trace.jsonl").read_text().splitlines()
    assert len(lines) == len(outcome.events) > 50
    assert {"sent", "heard", "answered", "got"} <= {json.loads(line)["kind"] for line in lines}
    assert not TOKEN.search("".join(lines))


def test_the_command_counts_and_says_so_last(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["SEEDS=2", "FROM=5"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "2 passed, 0 failed"


def test_a_failure_tells_how_to_replay_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The planted fault is in the checkers' verdict: a run is never wrong by itself here."""
    good = simulate(7)

    def failing(seed: int, **_: Any) -> Outcome:
        return replace(good, problems=(f"planted in {seed}",), faults=())

    monkeypatch.setattr(mains, "simulate", failing)
    assert main(["--seed", "7"]) == 1
    told = capsys.readouterr().out
    assert "corridor sim --seed 7" in told
    assert "planted in 7" in told
    assert told.splitlines()[-1] == "0 passed, 1 failed"


def test_shrinking_keeps_only_the_fault_that_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a checker that blames one certain fault, that fault alone is left."""
    whole = next(outcome for seed in range(50) if len((outcome := simulate(seed)).faults) > 5)
    culprit = whole.faults[2]

    def blame(outcome: Outcome) -> Outcome:
        found = ("blamed",) if culprit in outcome.faults else ()
        return replace(outcome, problems=found)

    monkeypatch.setattr("corridor.sim.run.perform", lambda plan, build: blame(perform(plan, build)))
    least = shrink(blame(whole), Joint)
    assert least.problems == ("blamed",)
    assert culprit in least.faults
    assert len(least.faults) < len(whole.faults)
