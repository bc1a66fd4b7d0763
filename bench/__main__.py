# SPDX-License-Identifier: Apache-2.0
"""Runs the rows and prints the table; results go to `bench/results/` with machine and commit."""

from __future__ import annotations

import importlib
import json
import os
import platform
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import uvloop
from rich.console import Console
from rich.table import Table

from bench.nodes import ROOT
from bench.rows import Row

NAMES = ("post", "negotiate", "catalog", "start", "stream", "cut", "receipts")
PACKAGES = ("uvicorn", "uvloop", "httptools", "aiohttp", "msgspec", "cryptography")


def machine() -> dict[str, Any]:
    """Where it was measured, and what with."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    return {
        "processor": model,
        "processors": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": platform.system() + " " + platform.release(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "packages": {name: version(name) for name in PACKAGES},
        "load_before": os.getloadavg()[0],
    }


def commit() -> str:
    """The commit, with a plus where files differ from it."""
    git = shutil.which("git")
    if git is None:
        return ""
    told = [git, "describe", "--always", "--dirty=+", "--exclude=*"]
    return subprocess.run(
        told, cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.strip()


async def run(names: list[str]) -> list[Row]:
    """The rows of these modules, each in a folder of its own."""
    found: list[Row] = []
    for name in names:
        module = importlib.import_module(f"bench.{name}")
        folder = Path(tempfile.mkdtemp(prefix=f"bench-{name}-", dir=os.environ.get("BENCH_DIR")))
        try:
            async for row in module.rows(folder):
                found.append(row)
                print(f"  {row.name}: {row.verdict}", file=sys.stderr, flush=True)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return found


def table(found: list[Row], about: dict[str, Any], seconds: float) -> Table:
    """For people."""
    shown = Table("what", "measured", "budget", "", "lowest to highest; what it was measured under")
    for row in found:
        shown.add_row(*row.line())
    shown.caption = (
        f"{about['machine']['processor']}, {about['machine']['processors']} processors; "
        f"commit {about['commit']}; {seconds:.0f} s; other load before: "
        f"{about['machine']['load_before']:.2f}"
    )
    return shown


def main() -> int:
    """`python -m bench [NAME…]`."""
    names = sys.argv[1:] or list(NAMES)
    if unknown := set(names) - set(NAMES):
        print(f"no row {', '.join(unknown)}; there are {', '.join(NAMES)}", file=sys.stderr)
        return 2
    about = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "command": " ".join(["python -m bench", *sys.argv[1:]]),
        "machine": machine(),
    }
    began = time.monotonic()
    found = uvloop.run(run(names))
    Console(width=160 if not sys.stdout.isatty() else None).print(
        table(found, about, time.monotonic() - began)
    )
    results = ROOT / "bench" / "results"
    results.mkdir(exist_ok=True)
    path = results / f"{about['at'].replace(':', '')}.json"
    path.write_text(json.dumps({**about, "rows": [row.plain() for row in found]}, indent=1) + "\n")
    return 1 if any(row.verdict == "over budget" for row in found) else 0


if __name__ == "__main__":
    raise SystemExit(main())
