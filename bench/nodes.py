# SPDX-License-Identifier: Apache-2.0
"""Nodes for the bench: their settings, what they offer, and their processes."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from corridor import app as apps
from corridor.config import Config, load
from corridor.engine.ground import micros
from corridor.outside.chance import SystemChance
from corridor.outside.clock import RealClock
from corridor.outside.disk import FolderDisk
from corridor.outside.keys import FileKeys
from corridor.services.files import connect
from corridor.store import open_store
from corridor.store.offers import Asset, Offer, TermsText
from corridor.store.unit import Unit

ROOT = Path(__file__).resolve().parent.parent
TERMS = {"permission": [{"action": "use"}]}
OFFERS_A_UNIT = 20
WAIT_S = 30.0


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def settings(folder: Path, name: str, **more: Any) -> dict[str, Any]:
    """Settings of a node of one participant on free ports of this machine; `limits` as a table."""
    port = free_port()
    participant = {"id": name, "title": {"en": name}, "country": "RS"}
    participant |= more.pop("participant", {})
    return {
        "node.public_url": f"http://localhost:{port}",
        "node.peer_listen": f"127.0.0.1:{port}",
        "node.home_listen": f"127.0.0.1:{free_port()}",
        "node.data_dir": str(folder / name),
        "node.development": True,
        "participant": [participant],
        **{f"limits.{key}": value for key, value in more.pop("limits", {}).items()},
        **more,
    }


def config_of(told: Mapping[str, Any]) -> Config:
    """The same as the node reads them."""
    return load(None, {}, dict(told))


async def offer(config: Config, count: int, path: Path | None = None) -> list[str]:
    """Publish `count` assets, all of them the file `path`, in a node that is not running."""
    master = apps.master_key(config)
    slug, data = config.participants[0].id, config.node.data_dir
    disk, clock, chance, keys = FolderDisk(data), RealClock(), SystemChance(), FileKeys(master)
    path = path or data / "assets" / "greeting.txt"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"Good morning.\n" * 64)
    source = {"path": str(path)}
    files = connect(rooms=None, limits=config.limits, roots=(data / "assets",))
    detail = msgspec.json.encode((await files.look(source)).detail)
    store = open_store(disk, clock, url=config.database.url, limits=config.limits)
    of, now = store.of(slug), micros(clock.now())
    made: list[str] = []
    writes = []
    for number in range(count):
        offer_id, asset = f"urn:uuid:{chance.uuid7()}", f"asset-{number}"
        made.append(offer_id)
        terms = chance.uuid7()
        writes += [
            of.terms.insert(TermsText(
                participant=slug, terms_id=terms, yaml="", odrl=msgspec.json.encode(TERMS),
                sha256=terms, created=now,
            )),
            of.assets.insert(Asset(
                participant=slug, asset_id=asset, service="files", title=asset,
                source=keys.seal(f"source|{slug}", msgspec.json.encode(source)), detail=detail,
                created=now, changed=now,
            )),
            of.offers.insert(Offer(
                participant=slug, offer_id=offer_id, asset=asset, terms=terms, terms_sha="",
                audience=b"{}", state="published", created=now, changed=now,
            )),
        ]  # fmt: skip
        if len(writes) >= 3 * OFFERS_A_UNIT or number == count - 1:
            await store.run(Unit(tuple(writes)))
            writes = []
    await store.close()
    return made


class Node:
    """A node's process, spoken to by lines of JSON (`bench.serve`)."""

    def __init__(self, process: asyncio.subprocess.Process, ready: Mapping[str, Any]) -> None:
        self.process = process
        self.ready = ready
        self.base = str(ready.get("peer", ""))

    async def ask(self, **told: Any) -> dict[str, Any]:
        """Say something to it, and hear its answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(told).encode() + b"\n")
        return await self.line()

    async def line(self) -> dict[str, Any]:
        """Its next line."""
        assert self.process.stdout is not None
        raw = await asyncio.wait_for(self.process.stdout.readline(), WAIT_S)
        if not raw:
            raise RuntimeError("the process ended")
        found: dict[str, Any] = json.loads(raw)
        return found

    def cpu_s(self) -> float:
        """Processor time of it and its threads so far."""
        text = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii")
        fields = text.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self, field: str = "VmRSS") -> float:
        """MB (10**6 bytes) of its memory: VmRSS now, VmHWM at most so far."""
        text = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        line = next(it for it in text.splitlines() if it.startswith(f"{field}:"))
        return int(line.split()[1]) * 1024 / 1e6


@asynccontextmanager
async def spawn(module: str, *args: str) -> AsyncIterator[Node]:
    """`python -m module args`; it says a line of JSON when it is ready, and ends at SIGTERM."""
    environ = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *args,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=None if environ.get("BENCH_STDERR") else asyncio.subprocess.DEVNULL,
        env=environ, cwd=ROOT,
    )  # fmt: skip
    try:
        node = Node(process, {})
        node.ready = await node.line()
        node.base = str(node.ready.get("peer", ""))
        yield node
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), WAIT_S)
            except TimeoutError:
                process.kill()
                await process.wait()


@asynccontextmanager
async def node(folder: Path, told: Mapping[str, Any], *how: str) -> AsyncIterator[Node]:
    """A node's process with these settings; `how` are words of `bench.serve`."""
    path = folder / f"{told['participant'][0]['id']}-{told['node.peer_listen'][-5:]}.json"
    path.write_text(json.dumps(dict(told)))
    async with spawn("bench.serve", str(path), *how) as found:
        yield found


def words(*them: str) -> Sequence[str]:
    """Words of a command line that are not empty."""
    return [it for it in them if it]
