# SPDX-License-Identifier: Apache-2.0
"""A loop that stands still is told with what holds it; a supervisor is told once it may count."""

from __future__ import annotations

import asyncio
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
import structlog

from corridor import telemetry
from corridor.outside.watch import LoopWatch, notify


def test_a_stall_is_told_once_with_its_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[dict[str, Any]] = []
    heard = threading.Event()

    class Log:
        def warning(self, event: str, **more: Any) -> None:
            told.append({"event": event, **more})
            heard.set()

    monkeypatch.setattr("corridor.outside.watch.log", Log())

    async def main() -> None:
        watch = LoopWatch(stall_s=0.05)
        watch.start()
        assert heard.wait(10)  # stands in the loop's way until it is told
        await asyncio.sleep(0)
        watch.stop()
        assert watch.longest_s >= 0.05

    asyncio.run(main())
    (only,) = told
    assert only["event"] == telemetry.LOOP_STALLED
    assert any(line.endswith(" main") for line in only["where"])


@pytest.mark.parametrize("abstract", [False, True])
def test_a_supervisor_hears_it(tmp_path: Path, *, abstract: bool) -> None:
    name = f"@corridor-test-{tmp_path.name}-{id(tmp_path)}" if abstract else f"{tmp_path}/notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as at:
        at.bind("\0" + name[1:] if abstract else name)
        at.settimeout(5)
        notify(name, "READY=1")
        assert at.recv(100) == b"READY=1"


@pytest.mark.parametrize("address", ["", "/nowhere/at/all"])
def test_no_supervisor_is_no_fault(address: str) -> None:
    with structlog.testing.capture_logs() as logs:
        notify(address, "READY=1")
    assert bool(logs) == bool(address)
