# SPDX-License-Identifier: Apache-2.0
"""`corridor demo` as it is typed: the whole story, nothing left behind; and commands on its nodes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from corridor.cli.demo_nodes import Pair

CORRIDOR = [sys.executable, "-m", "corridor.cli"]


def environ(folder: Path, **more: str) -> dict[str, str]:
    kept = {name: it for name, it in os.environ.items() if name in ("PATH", "LANG", "PYTHONPATH")}
    return {**kept, "HOME": str(folder), "TMPDIR": str(folder), "COLUMNS": "120", **more}


def typed(folder: Path, *line: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*CORRIDOR, *line], env=environ(folder, **more), check=False, capture_output=True, text=True, timeout=60,
        cwd=folder,
    )  # fmt: skip


def test_the_story_once(tmp_path: Path) -> None:
    done = typed(tmp_path, "demo", "--json", ONCE="1")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["ok"]
    assert told["slowest"] in {it["step"] for it in told["steps"]}
    refusals = [(it["code"], it["rule"]) for it in told["steps"] if it["step"] == "refused"]
    assert refusals == [
        ("query-refused", "columns"),
        ("refused", "purpose"),
        ("budget-spent", "quota.requests.day"),
    ]
    end = told["steps"][-1]
    assert end["code"] == "agreement-withdrawn"
    assert end["after_ms"] < 5000
    assert [it for it in tmp_path.rglob("*") if it.is_file()] == []


def test_sigterm_leaves_nothing(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*CORRIDOR, "demo"], env=environ(tmp_path), stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("✓ institute"):
            break
    process.send_signal(signal.SIGTERM)
    process.stdout.read()
    assert process.wait(20) == 130
    process.stdout.close()
    assert [it for it in tmp_path.rglob("*") if it.is_file()] == []


def test_the_nodes_die_with_it(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*CORRIDOR, "demo"], env=environ(tmp_path), stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("✓ institute"):
            break
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(children) == 2
    process.kill()
    process.wait()
    process.stdout.close()
    deadline = time.monotonic() + 5
    while any(_alive(it) for it in children) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [it for it in children if _alive(it)]


def _alive(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_taken_port_is_named(tmp_path: Path, pair: Pair) -> None:
    done = typed(tmp_path, "demo", "--once", "--ports", f"{pair.stat.port},{pair.institute.port}")
    assert done.returncode == 1
    assert done.stderr.startswith("error[port-in-use]: 127.0.0.1:")
    assert f"process {pair.stat.process.pid if pair.stat.process else 0}" in done.stderr


def test_the_script_is_python(tmp_path: Path) -> None:
    compile(typed(tmp_path, "demo", "--script").stdout, "script", "exec")


# commands on real nodes


def on(pair: Pair, folder: Path, *line: str) -> subprocess.CompletedProcess[str]:
    return typed(folder, *line, "--config", str(pair.institute.config))


def test_commands_from_request_to_rows(offered: Pair, tmp_path: Path) -> None:
    def json_of(*line: str) -> Any:
        done = on(offered, tmp_path, *line, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    assert {it["id"] for it in json_of("find")["items"]} == {"three", "big"}
    deal = json_of("request", "stat/three", "--purpose", "official-statistics", "--no-reuse")
    assert deal["state"] == "live"
    rows = json_of("query", deal["id"], "--select", "country,persons", "--order", "-persons")
    assert [it["country"] for it in rows["rows"]] == ["Kenya", "China", "Brazil"]
    told = on(
        offered, tmp_path, "query", deal["id"], "--where", "year = 2005", "--select", "country"
    )
    assert told.stdout == "China\n"
    assert json_of("status")["node"]["ready"]
    assert json_of("partner", "test", "stat")["ok"]
    assert json_of("doctor")["ok"]
    assert json_of("audit", "verify")["ok"]
    out = tmp_path / "rows.parquet"
    assert on(offered, tmp_path, "query", deal["id"], "--out", str(out)).returncode == 0
    assert out.read_bytes()[:4] == b"PAR1"


@pytest.mark.parametrize(
    ("line", "status", "code"),
    [
        (["request", "three"], 2, "purpose-missing"),
        (["request", "three", "--purpose", "hosting"], 2, "purpose-missing"),
        (["query", "three", "--select", "year"], 3, "query-refused"),
        (["query", "three", "SELECT 1"], 3, ""),
        (["query", "nothing"], 6, "not-found"),
        (["partner", "add", "did:web:localhost%3A9:x"], 7, ""),
        (["deal", "withdraw", "three"], 2, "usage"),
    ],
)
def test_exit_codes_of_refusals(
    offered: Pair, tmp_path: Path, line: list[str], status: int, code: str
) -> None:
    agreed = on(offered, tmp_path, "request", "three", "--purpose", "official-statistics")
    assert agreed.returncode == 0, agreed.stderr
    done = on(offered, tmp_path, *line)
    assert done.returncode == status, done.stderr
    if code:
        assert done.stderr.splitlines()[0].startswith(f"error[{code}]: ")
