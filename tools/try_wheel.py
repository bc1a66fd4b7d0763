# SPDX-License-Identifier: Apache-2.0
"""Builds the wheel, installs it where nothing else is, and runs what it brings.

A fresh environment gets `requirements/run.txt` and the wheel, nothing of this folder; each check
is a line, and the last line is the counts.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "build" / "dist"
MUST_HOLD = (
    "corridor/py.typed",
    "corridor/cli/demo_data/population.parquet",
    "licenses/LICENSE",
    "licenses/NOTICE",
)
READ_DATA = """\
import duckdb, importlib.resources
file = importlib.resources.files("corridor.cli") / "demo_data" / "population.parquet"
sum_of = f"SELECT sum(persons) FROM '{file}' WHERE country = 'China' AND year = 2025"
print(duckdb.sql(sum_of).fetchall())
"""
# What is run in the bare environment: `bin/…`, and what its output must hold.
RUNS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("python", "-c", "import corridor; print(corridor.__file__)"), "site-packages"),
    (("python", "-c", "import importlib.metadata as m; print(m.version('corridor'))"), "0.1.0"),
    (("python", "-c", READ_DATA), "1416096097"),
    (("corridor", "demo", "--once"), "receipts signed by stat, verified here"),
)


def uv(*arguments: str) -> None:
    """Run uv, the one that bootstrap found or fetched; its words are shown where it fails."""
    ours = ROOT / ".tools" / "bin" / "uv"
    program = str(ours) if ours.exists() else shutil.which("uv")
    if program is None:
        sys.exit("uv is neither in .tools nor on PATH: rm .venv/.corridor && .ci/bootstrap")
    environment = {"UV_LINK_MODE": "copy", **os.environ, "UV_PYTHON_DOWNLOADS": "never"}
    subprocess.run([program, *arguments], cwd=ROOT, env=environment, check=True)


def build() -> Path:
    """The wheel of what stands here, built by the pinned backend."""
    shutil.rmtree(DIST, ignore_errors=True)
    uv(
        *("build", "--quiet", "--wheel", "--require-hashes"),
        *("--build-constraints", "requirements/build.txt"),
        *("--python", sys.executable, "--out-dir", str(DIST)),
    )
    (wheel,) = DIST.glob("*.whl")
    return wheel


def faults_of(wheel: Path) -> list[str]:
    """What it lacks, and what it should not hold."""
    with zipfile.ZipFile(wheel) as opened:
        names = opened.namelist()
    lacking = [one for one in MUST_HOLD if not any(name.endswith(one) for name in names)]
    tops = {name.split("/", maxsplit=1)[0] for name in names}
    foreign = [top for top in tops if top != "corridor" and not top.endswith(".dist-info")]
    return [f"lacks {one}" for one in lacking] + [f"should not hold {top}" for top in foreign]


def run(bare: Path, command: tuple[str, ...], wanted: str) -> bool:
    """One command in the bare environment, in an empty folder and without our settings."""
    with tempfile.TemporaryDirectory() as empty:
        done = subprocess.run(
            [bare / "bin" / command[0], *command[1:]],
            cwd=empty,
            env={"PATH": f"{bare / 'bin'}:{os.defpath}", "HOME": empty, "LANG": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    good = done.returncode == 0 and wanted in done.stdout
    print(f"{'ok  ' if good else 'FAIL'} {' '.join(' '.join(command).split())[:80]}")
    if not good:
        print(f"exit status {done.returncode}, wanted {wanted!r}\n{done.stdout}{done.stderr}")
    return good


def main() -> int:
    """All of it."""
    wheel = build()
    faults = faults_of(wheel)
    print(f"{'FAIL' if faults else 'ok  '} {wheel.name}, {wheel.stat().st_size:,} bytes")
    print(*faults, sep="\n", end="\n" if faults else "")
    with tempfile.TemporaryDirectory() as folder:
        bare = Path(folder) / "bare"
        python = str(bare / "bin" / "python")
        uv("venv", "--quiet", "--python", sys.executable, str(bare))
        uv(
            *("pip", "sync", "--quiet", "--require-hashes", "--python", python),
            "requirements/run.txt",
        )
        uv(
            *("pip", "install", "--quiet", "--no-deps", "--no-index", "--python", python),
            str(wheel),
        )
        outcomes = [not faults, *(run(bare, command, wanted) for command, wanted in RUNS)]
    print(f"{outcomes.count(True)} passed, {outcomes.count(False)} failed")
    return 0 if all(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
