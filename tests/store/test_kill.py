# SPDX-License-Identifier: Apache-2.0
"""kill -9 at any moment: what was acknowledged is there, whole, and placed once."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

CHILD = """
import asyncio, os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from conftest import Make, SmallDisk, URL
from corridor.limits import Limits
from corridor.outside.clock import RealClock
from corridor.store import Unit, open_store

async def main():
    make = Make()
    store = open_store(SmallDisk(Path(sys.argv[1])), RealClock(), url=URL, limits=Limits())
    stat = store.of("stat")
    await store.run(Unit((stat.ledger.open(epoch=1, origin="x"),)))
    numbers = iter(range(1_000_000))
    async def writer():
        for n in numbers:
            writes = (stat.negotiations.insert(make.negotiation(n)),
                      stat.outbox.insert(make.queued(n)))
            await store.run(Unit(writes, (make.leaf(n, thread=f"t{n % 7}"),)))
            os.write(1, b"%d\\n" % n)
    await asyncio.gather(*(writer() for _ in range(8)))

asyncio.run(main())
"""


@pytest.mark.parametrize("lines", [1, 40, 333, 1500])
def test_what_was_acknowledged_is_there(disk, reopen, run, lines):
    here = str(Path(__file__).parent)
    args = [sys.executable, "-c", CHILD, str(disk.root), here]
    with subprocess.Popen(args, stdout=subprocess.PIPE) as child:
        told = [int(child.stdout.readline()) for _ in range(lines)]
        child.send_signal(signal.SIGKILL)
        told += [
            int(line)
            for line in child.stdout.read().splitlines(keepends=True)
            if line[-1:] == b"\n"
        ]
        assert child.wait() == -signal.SIGKILL
    store = reopen()
    stat = store.of("stat")
    for n in told:
        assert stat.negotiations.get(f"pid-{n}") is not None
    written, last = [], 0
    while page := stat.negotiations.page(after=last):
        written += [it.pid.removeprefix("pid-") for it in page]
        last = page[-1].pk
    waiting = [it.message_id.rsplit(":")[-1] for it in store.node.outbox.pending()]
    placed = []
    while page := stat.ledger.entries(len(placed)):
        placed += [it.id.removeprefix("stat-") for it in page]
    assert sorted(written) == sorted(waiting)
    assert written == placed
    assert len(set(placed)) == len(placed)
    assert store.node.ledgers.unplaced() == 0

    async def verify():
        return [step async for step in stat.ledger.verify()][-1]

    assert run(verify()) == (len(placed), len(placed))
