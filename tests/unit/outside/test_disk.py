# SPDX-License-Identifier: Apache-2.0
"""The data folder, clock and chance."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from datetime import UTC
from pathlib import Path
from uuid import UUID

import pytest

from corridor.errors import Refused, StoreUnavailable
from corridor.outside.chance import SystemChance
from corridor.outside.clock import RealClock
from corridor.outside.disk import FolderDisk, is_local


def test_connections_have_the_nodes_settings(tmp_path: Path) -> None:
    disk = FolderDisk(tmp_path / "data")
    writer = disk.connect("corridor.db")
    wanted = {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "trusted_schema": 0,
        "busy_timeout": 5000,
    }
    found = {name: writer.execute(f"PRAGMA {name}").fetchone()[0] for name in wanted}
    assert found == wanted
    assert writer.isolation_level is None
    writer.execute("CREATE TABLE t (a INTEGER) STRICT")
    reader = disk.connect("corridor.db", read_only=True)
    with pytest.raises(sqlite3.OperationalError):
        reader.execute("INSERT INTO t VALUES (1)")
    reader.close()
    writer.close()
    with pytest.raises(sqlite3.OperationalError):
        disk.connect("absent.db", read_only=True)


def test_a_database_is_its_owners_alone_in_any_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    writer = FolderDisk(tmp_path).connect("corridor.db")
    writer.execute("CREATE TABLE t (a INTEGER) STRICT")
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    writer.close()
    assert modes == {"corridor.db": 0o600, "corridor.db-wal": 0o600, "corridor.db-shm": 0o600}


def test_small_files_are_written_whole(tmp_path: Path) -> None:
    disk = FolderDisk(tmp_path)
    assert disk.read("a/high-water") is None
    disk.write_atomic("a/high-water", b"1")
    disk.write_atomic("a/high-water", b"22")
    assert disk.read("a/high-water") == b"22"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["high-water"]
    assert (tmp_path / "a/high-water").stat().st_mode & 0o077 == 0
    disk.delete("a/high-water")
    disk.delete("a/high-water")
    assert disk.read("a/high-water") is None
    assert disk.free() > 0


def test_what_cannot_be_written_leaves_the_old(tmp_path: Path) -> None:
    disk = FolderDisk(tmp_path)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken/inside").write_bytes(b"1")
    with pytest.raises(StoreUnavailable):
        disk.write_atomic("taken", b"2")
    with pytest.raises(StoreUnavailable):
        disk.write_atomic("taken/inside/deeper", b"2")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["taken"]


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/../../x", "/etc/passwd", "a\0b", "out/x"]
)
def test_no_name_leads_out(tmp_path: Path, name: str) -> None:
    root = tmp_path / "data"
    disk = FolderDisk(root)
    (root / "out").symlink_to(tmp_path)
    for attempt in (disk.path, disk.read, disk.connect, disk.delete):
        with pytest.raises(Refused):
            attempt(name)


def test_local_file_systems(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
        "2 1 0:40 / /mnt/nfs rw shared:1 - nfs4 server:/x rw\n"
        "3 1 0:41 / /mnt/with\\040blank rw - fuse.sshfs x rw\n"
        "4 2 0:42 / /mnt/nfs/deep rw - xfs /dev/sdb rw\n"
        "5 1 0:43 / /mnt/twice rw - ext4 /dev/sdc rw\n"
        "6 5 0:44 / /mnt/twice rw - cifs x rw\n"
    )
    told = {
        path: is_local(Path(path), mounts=mounts)
        for path in (
            "/",
            "/srv",
            "/mnt/nfs/x",
            "/mnt/with blank/x",
            "/mnt/nfs/deep/x",
            "/mnt/twice",
        )
    }
    assert list(told.values()) == [True, True, False, False, True, False]
    mounts.write_text("")
    assert not is_local(Path("/srv"), mounts=mounts)
    assert is_local(Path("/srv"), mounts=tmp_path / "absent")


def test_uuids_only_grow() -> None:
    chance = SystemChance()
    made = [chance.uuid7() for _ in range(5000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)
    one = UUID(made[0])
    assert (one.version, one.variant) == (7, "specified in RFC 4122")
    assert abs((one.int >> 80) / 1000 - time.time()) < 60


def test_uuids_grow_though_the_clock_goes_back_or_chance_runs_over() -> None:
    chance = SystemChance()
    chance._millisecond, chance._random = 1 << 47, (1 << 74) - 1
    made = [chance.uuid7() for _ in range(3)]
    assert made == sorted(made)
    assert UUID(made[0]).int >> 80 == (1 << 47) + 1


def test_chance_and_clock() -> None:
    chance, clock = SystemChance(), RealClock()
    assert len(chance.bytes(16)) == 16
    assert chance.bytes(16) != chance.bytes(16)
    assert all(0 <= chance.jitter() < 1 for _ in range(100))
    assert clock.now().tzinfo is UTC
    before = clock.monotonic()
    asyncio.run(clock.sleep(0))
    assert clock.monotonic() >= before
