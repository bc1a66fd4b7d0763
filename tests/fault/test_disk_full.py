# SPDX-License-Identifier: Apache-2.0
"""A full disk: every change is refused whole, nothing is half done, and it heals by itself."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fault.town import Fault, Nursery, Town, status_of, town

FULL = "store-unavailable"
LEAST = 1 << 20


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MiB where the provider's folder is to be."""
    folder = tmp_path / "provider"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=24m,mode=0700", "tmpfs", str(folder)]
    done = subprocess.run(command, check=False, capture_output=True)
    if done.returncode:
        pytest.skip("fault: a small file system cannot be mounted; run it as root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def refuses(made: Town) -> None:
    """No change goes through; what stood stands."""
    for _ in range(3):
        with pytest.raises(Fault) as told:
            made.offer()
        assert told.value.code == FULL


def fill(folder: Path) -> None:
    ballast = os.open(folder / "ballast", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    with contextlib.suppress(OSError):
        while True:
            os.write(ballast, bytes(1 << 12))
    os.close(ballast)


def until_refused(made: Town, folder: Path | None) -> None:
    """The log of the database may still have room of its own: use it up."""
    found = "never full"
    for _ in range(3000):
        try:
            made.offer()
        except Fault as fault:
            found = fault.code
            break
        if folder is not None:
            fill(folder)
    assert found == FULL, found


def goes_on(made: Town, before: dict[str, object], held: dict[str, object]) -> None:
    """While it is full: a new request waits, a download is refused, and the node still answers."""
    refuses(made)
    asked = made.consumer.ask(
        "request", offer=held, peer=made.provider.did, base=made.provider.base, wait_s=1.0
    )
    assert asked["state"] != "FINALIZED"
    assert not made.provider.ask("state", offer_id=held["@id"])["negotiations"]
    into = str(made.root / "full.bin")
    with pytest.raises(Fault):
        made.consumer.ask("download", offer_id=before["@id"], into=into)
    assert not Path(into).exists(), "bytes left, and nothing could be written down"
    assert status_of(made.provider, "/healthz") == 200


def heals(made: Town, before: dict[str, object], held: dict[str, object]) -> None:
    made.converse(held)
    made.fetch(before)
    made.check(held)
    made.check(before)


def test_a_full_file_system(nursery: Nursery, tmp_path: Path, small: Path) -> None:
    with town(tmp_path, nursery, limits={"disk_free_ready_bytes": LEAST}) as made:
        before, held = made.offer(), made.offer()
        made.converse(before)
        made.check(before)
        assert status_of(made.provider, "/readyz") == 200
        fill(small)
        until_refused(made, small)
        assert status_of(made.provider, "/readyz") == 503
        goes_on(made, before, held)
        (small / "ballast").unlink()
        deadline = time.monotonic() + 10
        while status_of(made.provider, "/readyz") != 200:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        heals(made, before, held)


def test_a_database_that_may_not_grow(nursery: Nursery, tmp_path: Path) -> None:
    with town(tmp_path, nursery) as made:
        before, held = made.offer(), made.offer()
        made.converse(before)
        made.provider.ask("pages", most=1)
        until_refused(made, None)
        refuses(made)
        made.provider.ask("pages", most=None)
        heals(made, before, held)


def test_a_node_killed_while_the_disk_is_full_starts_when_there_is_room(
    nursery: Nursery, tmp_path: Path, small: Path
) -> None:
    with town(tmp_path, nursery) as made:
        before, held = made.offer(), made.offer()
        made.converse(before)
        fill(small)
        until_refused(made, small)
        made.provider.kill()
        (small / "ballast").unlink()
        made.provider.start()
        heals(made, before, held)
