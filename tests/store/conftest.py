# SPDX-License-Identifier: Apache-2.0
"""One suite for every backend: `store` is parametrised, a new backend joins by one more name."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from corridor.evidence import entry
from corridor.limits import Limits
from corridor.outside.clock import RealClock
from corridor.outside.disk import FolderDisk
from corridor.store import Leaf, Participant, Payload, Store, Unit, open_store
from corridor.store.boxes import Heard, Queued
from corridor.store.negotiations import Negotiation

NOW = 1_800_000_000_000_000
URL = "sqlite:///corridor.db"


class SmallDisk(FolderDisk):
    """A folder whose databases may not grow beyond `pages`, while that is set."""

    pages: int | None = None

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.writers: list[sqlite3.Connection] = []

    def connect(self, name: str, *, read_only: bool = False) -> sqlite3.Connection:
        connection = super().connect(name, read_only=read_only)
        if not read_only:
            self.writers.append(connection)
        return connection

    def shrink(self, spare: int | None) -> None:
        """Leave `spare` pages of room (None: as many as anybody wants)."""
        writer = self.writers[-1]
        if spare is None:
            writer.execute("PRAGMA max_page_count = 1000000000").fetchall()
            return
        ((used,),) = writer.execute("PRAGMA page_count").fetchall()
        writer.execute(f"PRAGMA max_page_count = {used + spare}").fetchall()


class Make:
    """Rows and units as tests need them."""

    now = NOW

    def negotiation(self, number: int, **told: Any) -> Negotiation:
        told = {
            "pid": f"pid-{number}",
            "role": "provider",
            "peer": "did:web:b",
            "peer_pid": f"theirs-{number}",
            "created": NOW + number,
            "changed": NOW + number,
        } | told
        return Negotiation(**told)

    def queued(self, number: int, **told: Any) -> Queued:
        told = {
            "process": f"pid-{number}",
            "peer": "did:web:b",
            "message_id": f"urn:message:{number}",
            "type": "ContractAgreementMessage",
            "url": "https://b.example/dsp",
            "body": b"{}",
            "sha256": "00" * 32,
            "next_at": NOW + number,
            "give_up_at": NOW + 86_400_000_000,
            "created": NOW,
        } | told
        return Queued(**told)

    def heard(self, number: int, **told: Any) -> Heard:
        told = {
            "process": f"pid-{number}",
            "message_id": f"urn:heard:{number}",
            "sha256": f"{number:064x}",
            "type": "ContractRequestMessage",
            "at": NOW + number,
        } | told
        return Heard(**told)

    def leaf(
        self,
        number: int,
        *,
        thread: str | None = None,
        participant: str = "stat",
        payload: bytes | None = None,
    ) -> Leaf:
        fields = {"process": thread} if thread else {}
        id_ = f"{participant}-{number}"
        body = entry.body(
            id=id_,
            time=datetime(2027, 1, 15, tzinfo=UTC) + timedelta(milliseconds=number),
            type="decision",
            nonce=b"n" * 16,
            **fields,
        )
        beside = ()
        if payload is not None:
            beside = (Payload(slot="body", digest=f"digest-{id_}", sealed=payload),)
        return Leaf(
            participant=participant,
            id=id_,
            type="decision",
            thread=thread,
            time=NOW + number,
            body=body,
            payloads=beside,
        )


@pytest.fixture
def make() -> Make:
    return Make()


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as made:
        yield made


@pytest.fixture
def run(runner: asyncio.Runner) -> Callable[[Any], Any]:
    return runner.run


@pytest.fixture
def disk(tmp_path: Path) -> SmallDisk:
    return SmallDisk(tmp_path / "data")


@pytest.fixture(params=["sqlite", "sqlite inline"])
def reopen(
    request: pytest.FixtureRequest, disk: SmallDisk, runner: asyncio.Runner
) -> Iterator[Callable[..., Store]]:
    """Open the store (again); what is open before is closed first."""
    opened: list[Store] = []

    def open_again(limits: Limits | None = None) -> Store:
        while opened:
            runner.run(opened.pop().close())
        made = open_store(
            disk,
            RealClock(),
            url=URL,
            limits=limits or Limits(),
            threads=request.param == "sqlite",
        )
        opened.append(made)
        return made

    yield open_again
    while opened:
        runner.run(opened.pop().close())


@pytest.fixture
def store(reopen: Callable[..., Store], run: Callable[[Any], Any]) -> Store:
    """An open store in which `stat` and `bank` have a ledger."""
    made = reopen()
    for slug in ("stat", "bank"):
        opened = made.of(slug).ledger.open(epoch=1, origin=f"x.example/{slug}/ledger/1")
        run(made.run(Unit((opened,))))
    return made


@pytest.fixture
def write(store: Store, run: Callable[[Any], Any]) -> Callable[..., Any]:
    """Write these in one unit."""
    return lambda *writes: run(store.run(Unit(writes)))


@pytest.fixture
def stat(store: Store) -> Participant:
    return store.of("stat")


@pytest.fixture
def bank(store: Store) -> Participant:
    return store.of("bank")
