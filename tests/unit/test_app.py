# SPDX-License-Identifier: Apache-2.0
"""A node begins only where it may, says why where it may not, and ends within its bound."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from corridor.app import Running, locked
from corridor.config import Config, load
from corridor.errors import Invalid, StoreUnavailable


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def settings(folder: Path, **more: Any) -> Config:
    peer, home = free_port(), free_port()
    return load(None, {}, {
        "node.public_url": f"http://localhost:{peer}",
        "node.peer_listen": f"127.0.0.1:{peer}",
        "node.home_listen": f"127.0.0.1:{home}",
        "node.data_dir": str(folder),
        "node.development": True,
        "net.http_hosts": [f"localhost:{peer}"],
        "participant": [{"id": "stat", "title": {"en": "Statistics"}, "country": "RS"}],
        "services.enabled": ["files"],
        **more,
    })  # fmt: skip


async def _whole(config: Config) -> dict[str, Any]:
    node = Running(config)
    try:
        return await node.start()
    finally:
        async with asyncio.timeout(20):
            await node.stop()


def once(config: Config) -> dict[str, Any]:
    """Start a node and stop it, as `run` does; whatever start raises."""
    return asyncio.run(_whole(config))


def refused(config: Config, code: str) -> Invalid:
    with pytest.raises(Invalid) as caught:
        once(config)
    assert caught.value.code == code
    assert caught.value.mend
    return caught.value


def database(folder: Path) -> sqlite3.Connection:
    return sqlite3.connect(folder / "corridor.db", isolation_level=None)


def high_water(folder: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((folder / "high-water" / "stat.json").read_bytes())
    return told


def test_it_starts_stops_and_starts_again(tmp_path: Path) -> None:
    for _ in range(2):
        told = once(settings(tmp_path))
        assert told["event"] == "ready"
        assert set(told["participants"]) == {"stat"}
    assert (tmp_path / "master.key").stat().st_mode & 0o777 == 0o600
    with database(tmp_path) as connection:
        assert connection.execute("SELECT count(*) FROM signing_key").fetchone()[0] == 4
    connection.close()
    assert high_water(tmp_path)["size"] >= 2


def test_two_nodes_on_one_folder(tmp_path: Path) -> None:
    with locked(tmp_path):
        with pytest.raises(Invalid) as caught, locked(tmp_path):
            pytest.fail("both hold it")
        assert caught.value.code == "folder-in-use"
    with locked(tmp_path):
        pass


@pytest.mark.parametrize("which", ["peer_listen", "home_listen"])
def test_a_port_that_somebody_holds(tmp_path: Path, which: str) -> None:
    config = settings(tmp_path)
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", getattr(config.node, which).port))
        holder.listen()
        error = refused(config, "port-in-use")
        assert str(getattr(config.node, which).port) in error.what
        assert f"process {os.getpid()}" in error.what
    assert once(config)["event"] == "ready"


def test_a_newer_store(tmp_path: Path) -> None:
    config = settings(tmp_path)
    once(config)
    connection = database(tmp_path)
    (table,) = connection.execute(
        "SELECT name FROM sqlite_master WHERE name LIKE '%version%' AND type = 'table'"
    ).fetchone()
    connection.execute(f"UPDATE {table} SET version_num = '9999'")
    connection.close()
    refused(settings(tmp_path), "store-newer")


def test_a_store_that_is_no_store(tmp_path: Path) -> None:
    once(settings(tmp_path))
    for name in ("corridor.db-wal", "corridor.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    (tmp_path / "corridor.db").write_bytes(b"hello" * 1000)
    with pytest.raises((Invalid, StoreUnavailable)):
        once(settings(tmp_path))


def test_an_old_backup_is_fenced_and_stays_so(tmp_path: Path) -> None:
    """A refused start signs nothing: the mark of what was signed outlives it."""
    folder, kept = tmp_path / "node", tmp_path / "kept.db"
    once(settings(folder))
    shutil.copy(folder / "corridor.db", kept)
    told = high_water(folder)
    (folder / "high-water" / "stat.json").write_text(json.dumps({**told, "size": told["size"] + 5}))
    for _ in range(2):
        error = refused(settings(folder), "ledger-fenced")
        assert f"{told['size']} entries" in error.cause
    assert high_water(folder)["size"] == told["size"] + 5
    (folder / "high-water" / "stat.json").write_text(json.dumps(told))
    assert once(settings(folder))["event"] == "ready"


def test_a_store_of_the_same_length_with_another_root_is_fenced(tmp_path: Path) -> None:
    once(settings(tmp_path))
    told = high_water(tmp_path)
    path = tmp_path / "high-water" / "stat.json"
    path.write_text(json.dumps({**told, "root": "00" * 32}))
    error = refused(settings(tmp_path), "ledger-fenced")
    assert f"{told['size']} that were signed" in error.cause
    path.write_text(json.dumps(told))
    assert once(settings(tmp_path))["event"] == "ready"


def test_it_is_ready_only_between_start_and_stop(tmp_path: Path) -> None:
    async def story() -> None:
        node = Running(settings(tmp_path, **{"limits.drain_grace_s": 0.2}))
        phases: list[str] = []
        await node.start()
        assert node.app is not None
        assert node.app.phase == ""
        stopping = asyncio.create_task(node.stop())
        while not stopping.done():
            phases.append(node.app.phase)
            await asyncio.sleep(0.01)
        await stopping
        assert set(phases[1:]) == {"stopping"}

    asyncio.run(story())


def test_a_stop_that_hangs_ends_within_its_bound(tmp_path: Path) -> None:
    async def story() -> None:
        node = Running(settings(tmp_path, **{"limits.stop_total_s": 0.5}))
        await node.start()
        assert node.app is not None
        held = asyncio.Event()
        node.app.who.close = held.wait  # type: ignore[method-assign, assignment]  # never ends
        began = time.monotonic()
        await node.stop()
        assert time.monotonic() - began < 5
        held.set()
        del node.app.who.close
        await node.app.stop()

    asyncio.run(story())


def test_a_database_that_is_gone_is_fenced_too(tmp_path: Path) -> None:
    once(settings(tmp_path))
    for path in tmp_path.glob("corridor.db*"):
        path.unlink()
    refused(settings(tmp_path), "ledger-fenced")
    refused(settings(tmp_path), "ledger-fenced")


@pytest.mark.parametrize("hours", [2, 24])
def test_a_clock_behind_the_ledger(tmp_path: Path, hours: int) -> None:
    once(settings(tmp_path))
    connection = database(tmp_path)
    later = time.time_ns() // 1000 + hours * 3_600_000_000
    (before,) = connection.execute("SELECT last_time FROM ledger").fetchone()
    connection.execute("UPDATE ledger SET last_time = ?", (later,))
    told = high_water(tmp_path)
    for _ in range(2):
        error = refused(settings(tmp_path), "clock-off")
        assert f"{hours * 3600 - 10}" <= error.what.split()[3]
    assert high_water(tmp_path) == told
    connection.execute("UPDATE ledger SET last_time = ?", (before,))
    connection.close()
    assert once(settings(tmp_path))["event"] == "ready"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_master_key_that_others_can_read(tmp_path: Path, mode: int) -> None:
    once(settings(tmp_path))
    (tmp_path / "master.key").chmod(mode)
    refused(settings(tmp_path), "key-file-mode")
    (tmp_path / "master.key").chmod(0o600)
    once(settings(tmp_path))


def test_a_master_key_that_is_gone_or_another(tmp_path: Path) -> None:
    """A store whose keys cannot be opened is not given new ones."""
    once(settings(tmp_path))
    (tmp_path / "master.key").rename(tmp_path / "away")
    refused(settings(tmp_path), "key-file")
    once(settings(tmp_path / "other"))
    shutil.copy(tmp_path / "other" / "master.key", tmp_path / "master.key")
    with pytest.raises(Exception) as caught:
        once(settings(tmp_path))
    assert getattr(caught.value, "code", "") in ("key-file", "refused", "sealed")
    (tmp_path / "away").rename(tmp_path / "master.key")
    assert once(settings(tmp_path))["event"] == "ready"


def test_a_stop_while_a_request_runs_ends_within_its_bound(tmp_path: Path) -> None:
    """Somebody sends a body without end; the stop does not wait for it."""

    async def story() -> float:
        config = settings(tmp_path)
        node = Running(config)
        await node.start()
        port = config.node.peer_listen.port
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            b"POST /stat/dsp/2025-1/catalog/request HTTP/1.1\r\nHost: x\r\n"
            b"Content-Length: 1000\r\n\r\n{"
        )
        await writer.drain()
        began = time.monotonic()
        await node.stop()
        took = time.monotonic() - began
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        writer.close()
        with pytest.raises(OSError):
            await asyncio.open_connection("127.0.0.1", port)
        return took

    assert asyncio.run(story()) < 10


def test_the_last_entry_is_signed_at_a_stop(tmp_path: Path) -> None:
    async def story() -> int:
        node = Running(settings(tmp_path, **{"limits.checkpoint_every_s": 3600.0}))
        await node.start()
        assert node.app is not None
        home = node.app.engine.ground.homes["stat"]
        await node.app.engine.keyring.rotate(home)
        size = node.app.store.of("stat").ledger.head().size
        await node.stop()
        return int(size)

    assert asyncio.run(story()) == high_water(tmp_path)["size"]


def test_a_new_key_is_published_for_as_long_as_the_settings_say(tmp_path: Path) -> None:
    async def story() -> float:
        node = Running(settings(tmp_path, **{"keys.overlap": "3h"}))
        await node.start()
        assert node.app is not None
        home = node.app.engine.ground.homes["stat"]
        begun = time.time()
        await node.app.engine.keyring.rotate(home)
        wake = node.app.store.of("stat").wakes.get("key", "stat")
        await node.stop()
        assert wake is not None
        return wake.at / 1e6 - begun

    assert 3 * 3600 - 5 < asyncio.run(story()) < 3 * 3600 + 60
