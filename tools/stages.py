# SPDX-License-Identifier: Apache-2.0
"""Runs the stages of `make test` and adds up what they counted.

    tools/stages.py [STAGE ...]      all of them, or these

Two lanes: the second, which is mostly waiting, starts when `lint` is done. A stage past its bound
is killed and has failed; so has one that ran nothing. What is not here to run with is skipped
loudly, and with CI=true each skip is a failure. The last line is `N passed, N failed, N skipped`.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOGS = ROOT / "build" / "stages"
BIN = ".venv/bin"
SEED = os.environ.get("SEED") or str(random.randrange(1 << 31))
LAST_LINES = 200  # of a failed step's log

COUNTS = re.compile(r"^=*\s*\d+ (?:passed|failed|skipped|errors?|deselected|xfailed|warnings?)\b")
COUNT = re.compile(r"(\d+) (passed|failed|skipped|errors?|xfailed)\b")
SKIP = re.compile(r"^SKIPPED(?: \[\d+\])? (.+)")


@dataclass(frozen=True, slots=True)
class Step:
    """One command. `counts`: its closing line says how many passed; else it is one check."""

    title: str
    command: tuple[str, ...]
    counts: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Steps under one bound (seconds). `needs` are programs without which it is skipped."""

    name: str
    bound_s: float
    steps: tuple[Step, ...]
    lane: int = 1
    needs: tuple[str, ...] = ()
    mend: str = ""


@dataclass(slots=True)
class Tally:
    """What stages counted so far, and why what was skipped was skipped."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    why: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Take another's counts in."""
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        self.why += other.why

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def pytest(*arguments: str) -> tuple[str, ...]:
    """A pytest command that says why it skips, in an order that `SEED` replays."""
    return (f"{BIN}/pytest", "-rs", "-p", "randomly", f"--randomly-seed={SEED}", *arguments)


def sim(*arguments: str) -> tuple[str, ...]:
    """The simulator on both cores; a failure prints the command that replays it."""
    return (f"{BIN}/python", "-m", "corridor.sim", "--jobs", "2", *arguments)


def _fresh() -> str:
    """Where new seeds begin: another place for each commit."""
    head = subprocess.run(
        ("git", "rev-parse", "HEAD"), cwd=ROOT, capture_output=True, text=True, check=False
    )
    return str(int(head.stdout.strip()[:8] or "0", 16) % 1_000_000 + 100_000)


FRESH = _fresh()
# Each of these directories is a stage of its own, or is run by one.
APART = ("sim", "fault", "clients", "browser")
STAGES = (
    Stage(
        name="sync",
        bound_s=90,
        steps=(
            Step("bootstrap", (".ci/bootstrap", "dev")),
            Step("package", (f"{BIN}/python", "-c", "import corridor")),
        ),
    ),
    Stage(
        name="lint",
        bound_s=90,
        steps=(
            Step("ruff format", (f"{BIN}/ruff", "format", "--check", ".")),
            Step("ruff", (f"{BIN}/ruff", "check", ".")),
            Step("mypy", (f"{BIN}/mypy",)),
            Step("import-linter", (f"{BIN}/lint-imports",)),
            Step("tidy", pytest("tests/unit/test_tidy.py"), counts=True),
            Step("generated files", (f"{BIN}/python", "tools/docs.py", "--check")),
        ),
    ),
    Stage(
        name="unit",
        bound_s=180,
        steps=(
            Step(
                "pytest",
                pytest(
                    "-n",
                    "2",
                    "tests",
                    "--ignore=tests/unit/test_tidy.py",
                    *(f"--ignore=tests/{name}" for name in APART),
                ),
                counts=True,
            ),
        ),
    ),
    Stage(
        name="sim",
        bound_s=900,
        steps=(
            Step("fixed seeds", pytest("-n", "2", "tests/sim"), counts=True),
            *(
                Step(f"every death in {name}", sim("--sweep", name), counts=True)
                for name in ("agree", "use")
            ),
            Step(
                "new seeds",
                sim("--seeds", "100000", "--from", FRESH, "--seconds", "90"),
                counts=True,
            ),
        ),
    ),
    Stage(
        name="clients",
        bound_s=180,
        steps=(Step("pytest", pytest("tests/clients"), counts=True),),
    ),
    Stage(
        name="fault",
        bound_s=120,
        steps=(
            Step("pytest", pytest("-n", "2", "--dist", "loadfile", "tests/fault"), counts=True),
        ),
    ),
    Stage(
        name="build",
        bound_s=90,
        steps=(Step("wheel", (f"{BIN}/python", "tools/try_wheel.py"), counts=True),),
    ),
    Stage(
        name="conformance-dsp",
        bound_s=170,
        lane=2,
        needs=("java", "javac", "mvn"),
        mend="install a JDK 17 and Maven",
        steps=(Step("kit", (f"{BIN}/python", "conformance/dsp/run.py"), counts=True),),
    ),
)


def read_counts(log: str) -> Tally:
    """The counts of the last line that has any (pytest's, the kit's or one of ours)."""
    tally = Tally()
    closing = next((line for line in reversed(log.splitlines()) if COUNTS.match(line)), "")
    for number, what in COUNT.findall(closing):
        if what == "passed":
            tally.passed += int(number)
        elif what in ("skipped", "xfailed"):
            tally.skipped += int(number)
        else:
            tally.failed += int(number)
    if tally.skipped:
        tally.why = [found[1] for found in map(SKIP.match, log.splitlines()) if found]
    return tally


class Runner:
    """Runs stages in their lanes. `ci` turns every skip into a failure."""

    def __init__(self, stages: Sequence[Stage], *, ci: bool, logs: Path = LOGS) -> None:
        self._stages = stages
        self._ci = ci
        self._logs = logs
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self.tally = Tally()

    def run(self) -> int:
        """Run all of it; 0 where everything that was to run ran and passed."""
        self._logs.mkdir(parents=True, exist_ok=True)
        beside = threading.Thread(target=self._lane, args=(2,))
        try:
            if not any(stage.name == "lint" for stage in self._stages):
                beside.start()
            for stage in self._stages:
                if stage.lane == 1:
                    self._stage(stage)
                if stage.name == "lint":
                    beside.start()
            beside.join()
        except KeyboardInterrupt:
            for process in tuple(self._running):
                end(process)
            print("interrupted")
            return 130
        for why in self.tally.why:
            print(f"SKIPPED {why}")
        if self.tally.passed + self.tally.failed == 0:
            self.tally.failed = 1
            print("nothing ran")
        print(self.tally)
        return 1 if self.tally.failed else 0

    def _lane(self, lane: int) -> None:
        for stage in self._stages:
            if stage.lane == lane:
                self._stage(stage)

    def _stage(self, stage: Stage) -> None:
        missing = [program for program in stage.needs if shutil.which(program) is None]
        if missing:
            why = f"{stage.name}: no {' and no '.join(missing)}; {stage.mend}"
            self._close(stage, Tally(skipped=1, why=[why]), 0.0, [f"SKIPPED {why}"])
            return
        begun = time.monotonic()
        tally, told = Tally(), []
        for step in stage.steps:
            left = stage.bound_s - (time.monotonic() - begun)
            counted, log = self._step(stage, step, left)
            tally.add(counted)
            if counted.failed:
                told += [f"FAILED {stage.name}: {step.title}", *log.splitlines()[-LAST_LINES:]]
        self._close(stage, tally, time.monotonic() - begun, told)

    def _step(self, stage: Stage, step: Step, left_s: float) -> tuple[Tally, str]:
        if left_s <= 0:
            return Tally(failed=1), f"not run: the stage has {stage.bound_s:.0f} s"
        path = self._logs / f"{stage.name}-{step.title.replace(' ', '-')}.log"
        with path.open("wb") as log:
            process = subprocess.Popen(
                step.command,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self._running.add(process)
            try:
                process.wait(left_s)
                late = False
            except subprocess.TimeoutExpired:
                late = True
            finally:
                end(process)
                self._running.discard(process)
        text = path.read_text(errors="replace")
        tally = read_counts(text) if step.counts else Tally(passed=int(process.returncode == 0))
        if late:
            text += f"\nkilled: past the stage's bound of {stage.bound_s:.0f} s"
            tally.failed += 1
        elif tally.failed == 0 and (process.returncode != 0 or tally.passed + tally.skipped == 0):
            text += f"\nexit status {process.returncode}, {tally}"
            tally.failed += 1
        return tally, text

    def _close(self, stage: Stage, tally: Tally, seconds: float, told: list[str]) -> None:
        """Tell of a stage and take its counts in."""
        tally.why = [
            why if why.startswith(stage.name) else f"{stage.name}: {why}" for why in tally.why
        ]
        if self._ci:
            tally.failed, tally.skipped = tally.failed + tally.skipped, 0
        with self._lock:
            # Never a line that could be taken for the closing one.
            for line in told:
                print(f"  | {line}")
            print(f"{stage.name:<18}{seconds:7.1f} s   {tally}", flush=True)
            self.tally.add(tally)


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of a step's process group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def main(names: Sequence[str]) -> int:
    """Run the named stages, or all."""
    known = {stage.name for stage in STAGES}
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"no stage {', '.join(unknown)}; there are {', '.join(sorted(known))}")
        return 2
    chosen = [stage for stage in STAGES if not names or stage.name in names]
    print(f"seed {SEED} (again: SEED={SEED} make test)", flush=True)
    return Runner(chosen, ci=os.environ.get("CI") == "true").run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
