# SPDX-License-Identifier: Apache-2.0
"""What a node loads before it can start: its budget is 600 ms (node.md a), and nothing heavy.

Counted in processor time, the best of three: what else the machine does is not the node's fault.
"""

from __future__ import annotations

import subprocess
import sys

BUDGET_S = 0.6
HEAVY = ("duckdb", "pyarrow", "numpy", "sqlglot", "sqlalchemy", "alembic", "obstore", "typer")
CHILD = f"""
import sys, time
began = time.process_time()
import corridor.app
print(time.process_time() - began)
print([it for it in {HEAVY!r} if it in sys.modules])
"""


def loaded() -> tuple[float, str, list[str]]:
    """(seconds, heavy modules, the dearest imports)."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", CHILD],
        capture_output=True,
        check=True,
        text=True,
    )
    seconds, heavy = done.stdout.splitlines()
    rows = [line.split("|") for line in done.stderr.splitlines() if "|" in line]
    dear = sorted(rows[1:], key=lambda row: -int(row[0].rpartition(":")[2]))[:10]
    return float(seconds), heavy, [f"{row[2].strip()} {row[0]}" for row in dear]


def test_imports_stay_within_their_budget_and_are_light() -> None:
    seconds, heavy, dear = min(loaded() for _ in range(3))
    assert heavy == "[]"
    assert seconds <= BUDGET_S, dear
