# SPDX-License-Identifier: Apache-2.0
"""The runner of `make test`: what it counts, what it kills, what it will not pass over."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import stages
from stages import Runner, Stage, Step

PASS = (sys.executable, "-c", "print('== 3 passed, 1 deselected in 0.10s ==')")
FAIL = (sys.executable, "-c", "print('2 failed, 1 passed, 1 error in 0.1s'); raise SystemExit(1)")
SKIPS = (
    sys.executable,
    "-c",
    "print('SKIPPED [1] a.py:3: no such kernel\\n2 passed, 1 skipped in 1s')",
)
SILENT = (sys.executable, "-c", "")
HANGS = (sys.executable, "-c", "print('9 passed', flush=True); import time; time.sleep(60)")


def stage(
    *commands: tuple[str, ...], counts: bool = True, name: str = "unit", **more: object
) -> Stage:
    steps = tuple(Step(f"step {n}", command, counts=counts) for n, command in enumerate(commands))
    return Stage(**{"name": name, "bound_s": 20, "steps": steps, **more})


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    def running(*table: Stage, ci: bool = False) -> tuple[int, list[str]]:
        status = Runner(table, ci=ci, logs=tmp_path).run()
        return status, capsys.readouterr().out.splitlines()

    return running


def test_counts_add_up_and_close_the_run(run) -> None:
    status, lines = run(stage(PASS, PASS), stage(SILENT, counts=False, name="lint"))
    assert status == 0
    assert lines[-1] == "7 passed, 0 failed, 0 skipped"


def test_errors_are_failures(run) -> None:
    status, lines = run(stage(FAIL))
    assert status == 1
    assert lines[-1] == "1 passed, 3 failed, 0 skipped"


def test_only_the_last_line_looks_like_a_closing_line(run) -> None:
    _, lines = run(stage(FAIL))
    closing = re.compile(r"^(\w+:)?\d+ passed, \d+ failed(, \d+ skipped)?$")
    assert [n for n, line in enumerate(lines) if closing.match(line)] == [len(lines) - 1]


@pytest.mark.parametrize("counts", [True, False])
def test_a_step_past_the_bound_is_killed_and_fails(run, counts: bool) -> None:
    status, lines = run(stage(HANGS, SILENT, counts=counts, bound_s=0.5))
    assert status == 1
    assert lines[-1] == f"{9 if counts else 0} passed, 2 failed, 0 skipped"
    assert any("past the stage's bound" in line for line in lines)


def test_a_stage_that_ran_nothing_fails(run) -> None:
    assert run(stage(SILENT))[0] == 1
    assert run()[0] == 1


def test_a_failing_exit_counts_although_nothing_says_so(run) -> None:
    broken = (sys.executable, "-c", "print('3 passed'); raise SystemExit(3)")
    status, lines = run(stage(broken))
    assert (status, lines[-1]) == (1, "3 passed, 1 failed, 0 skipped")


def test_a_skip_is_told_and_fails_in_ci(run) -> None:
    status, lines = run(stage(SKIPS))
    assert status == 0
    assert lines[-2:] == ["SKIPPED unit: a.py:3: no such kernel", "2 passed, 0 failed, 1 skipped"]
    status, lines = run(stage(SKIPS), ci=True)
    assert (status, lines[-1]) == (1, "2 passed, 1 failed, 0 skipped")


def test_a_program_that_is_missing_skips_its_stage(run) -> None:
    kit = stage(PASS, name="kit", lane=2, needs=("no-such-program",), mend="install it")
    status, lines = run(stage(PASS), kit)
    assert status == 0
    assert lines[-2:] == [
        "SKIPPED kit: no no-such-program; install it",
        "3 passed, 0 failed, 1 skipped",
    ]
    assert run(stage(PASS), kit, ci=True)[0] == 1


def test_the_second_lane_starts_after_lint(run) -> None:
    status, lines = run(
        stage(SILENT, name="lint", counts=False), stage(PASS, name="kit", lane=2), stage(PASS)
    )
    assert status == 0
    order = [line.split()[0] for line in lines[:-1]]
    assert order[0] == "lint"
    assert sorted(order[1:]) == ["kit", "unit"]


def test_the_table_is_whole() -> None:
    names = [each.name for each in stages.STAGES]
    assert len(names) == len(set(names))
    assert all(each.steps and each.lane in (1, 2) for each in stages.STAGES)
    assert all(each.mend for each in stages.STAGES if each.needs)
