# SPDX-License-Identifier: Apache-2.0
"""Each checker lets a good run pass and catches the fault that is planted for it."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine

from corridor.sim.checkers import check
from corridor.sim.ledgers import leaf_hash, tree_root
from corridor.sim.record import NodeRecord, Record
from corridor.sim.trace import Event
from corridor.store.statements import METADATA

A, B = "did:web:a.example:a", "did:web:b.example:b"
C_PID, P_PID, AGREEMENT, SID = "c-pid", "p-pid", "urn:uuid:agreement", "sid0000000000000"


class Book:
    """One node's database, written by hand."""

    def __init__(self, folder: Path, name: str, did: str) -> None:
        self.did = did
        self.name, self.path = name, folder / f"{name}.db"
        engine = create_engine(f"sqlite:///{self.path}")
        METADATA.create_all(engine)
        engine.dispose()
        self.db = sqlite3.connect(self.path, isolation_level=None)
        self.hashes: list[bytes] = []
        self.heads: dict[str, tuple[int, bytes]] = {}
        self.put("ledger", pk=1, origin=name, state="open", size=0, root=tree_root([]))

    def put(self, table: str, **values: Any) -> None:
        columns = METADATA.tables[table].columns
        row = {"participant": self.name} if "participant" in columns else {}
        for column in columns:
            if not column.nullable and column.name != "pk":
                kind = column.type.python_type
                row.setdefault(column.name, {int: 0, str: f"-{column.name}", bytes: b"{}"}[kind])
        row |= values
        names = ", ".join(f'"{name}"' for name in row)
        marks = ", ".join("?" for _ in row)
        self.db.execute(f'INSERT INTO "{table}" ({names}) VALUES ({marks})', tuple(row.values()))

    def entry(
        self,
        id_: str,
        kind: str,
        *,
        thread: str | None = None,
        time: int = 0,
        body: bytes | None = None,
        **more: Any,
    ) -> None:
        if body is not None:
            digest = hashlib.sha256(b"s" * 32 + body).hexdigest()
            more["payloads"] = {"body": {"bytes": len(body), "digest": digest}}
            self.put(
                "ledger_payload",
                ledger=1,
                entry=id_,
                slot="body",
                digest=digest,
                sealed=b"s" * 32 + body,
            )
        data = json.dumps({"id": id_, "type": kind, **more}).encode()
        number, prior = None, None
        if thread is not None:
            head = self.heads.get(thread)
            number, prior = (head[0] + 1, head[1]) if head else (1, None)
        leaf = leaf_hash(data, len(self.hashes), number, prior)
        self.put(
            "ledger_entry",
            ledger=1,
            id=id_,
            type=kind,
            thread=thread,
            time=time,
            body=data,
            index=len(self.hashes),
            number=number,
            prior=prior,
            leaf=leaf,
        )
        if thread is not None and number is not None:
            self.heads[thread] = (number, leaf)
        self.hashes.append(leaf)
        self.db.execute(
            "UPDATE ledger SET size = ?, root = ?", (len(self.hashes), tree_root(self.hashes))
        )

    def checkpoint(self, at: int = 0) -> None:
        root = base64.b64encode(tree_root(self.hashes)).decode()
        note = f"{self.name}\n{len(self.hashes)}\n{root}\n\n— line\n".encode()
        self.put("ledger_checkpoint", ledger=1, size=len(self.hashes), note=note, at=at)


def word(name: str, message_id: str = "m", **more: Any) -> bytes:
    return json.dumps(
        {"@type": name, "@id": message_id, "consumerPid": C_PID, "providerPid": P_PID, **more}
    ).encode()


REQUEST = json.dumps(
    {"@type": "ContractRequestMessage", "@id": "m1", "consumerPid": C_PID}
).encode()
AGREE = word("ContractAgreementMessage", "m2")
VERIFY = word("ContractAgreementVerificationMessage", "m3")
FINALIZE = word("ContractNegotiationEventMessage", "m4", eventType="FINALIZED")
STATE = json.dumps({"providerPid": P_PID, "consumerPid": C_PID, "state": "X"}).encode()


def said(
    number: int, at: float, sender: str, body: bytes, *, path: str = "", status: int = 200
) -> list[Event]:
    other = "b" if sender == "a" else "a"
    path = path or f"/negotiations/{P_PID if sender == 'a' else C_PID}/x"
    told: dict[str, Any] = {"exchange": number, "method": "POST", "path": path, "purpose": "dsp"}
    return [
        Event(at=at, kind="sent", node=sender, other=other, body=body, **told),
        Event(at=at, kind="heard", node=other, other=sender, body=body, **told),
        Event(at=at, kind="answered", node=other, other=sender, status=status, body=STATE, **told),
        Event(at=at, kind="got", node=sender, status=status, body=STATE, **told),
    ]


class Scene:
    """A negotiation that went well and a session that was read and closed, by hand."""

    def __init__(self, folder: Path) -> None:
        self.a, self.b = Book(folder, "a", A), Book(folder, "b", B)
        self.broken: list[str] = []
        self.events = [
            *said(1, 1.0, "a", REQUEST, path="/negotiations/request", status=201),
            *said(2, 2.0, "b", AGREE),
            *said(3, 3.0, "a", VERIFY),
            *said(4, 4.0, "b", FINALIZE),
        ]
        sides = ((self.a, "consumer", C_PID, B, P_PID), (self.b, "provider", P_PID, A, C_PID))
        for book, role, pid, peer, peer_pid in sides:
            book.put(
                "negotiation",
                pid=pid,
                role=role,
                peer=peer,
                peer_pid=peer_pid,
                state="FINALIZED",
                agreement_id=AGREEMENT,
            )
            book.put("agreement", agreement_id=AGREEMENT, role=role, negotiation=pid, state="live")
        for book in (self.a, self.b):
            book.entry("first", "ledger.opened", origin=book.name)
        for sender, hearer, peer, to, body in (
            (self.a, self.b, B, A, REQUEST),
            (self.b, self.a, A, B, AGREE),
        ):
            mark = json.loads(body)["@id"]
            sender.entry(f"s-{mark}", "message.sent", peer=peer, body=body)
            hearer.entry(f"r-{mark}", "message.received", peer=to, status=200, body=body)
            sender.entry(f"k-{mark}", "message.acknowledged", sent=f"s-{mark}", status=200)
        for book in (self.a, self.b):
            book.entry("done", "agreement.concluded", thread=AGREEMENT, agreement=AGREEMENT)
            book.checkpoint()
        self.b.put("session", sid=SID, agreement_id=AGREEMENT, state="closed")
        self.b.entry("open", "session.opened", thread=AGREEMENT, session=SID, time=5_000_000)
        self.b.entry("act", "act.started", thread=AGREEMENT, session=SID, time=6_000_000)
        self.b.entry("got", "receipt", thread=AGREEMENT, started_as="act", time=7_000_000)
        self.b.put("revocation", kind="session", subject=SID, at=8_000_000)
        self.b.entry("close", "session.closed", thread=AGREEMENT, session=SID, time=8_000_000)
        self.b.checkpoint(at=9)
        self.block(6_500_000)

    def block(self, wall: int) -> None:
        self.events.append(
            Event(at=9.0, kind="block", node="b", path=f"/b/data/{SID}/x", wall=wall, status=200)
        )

    def sql(self, book: Book, text: str) -> None:
        assert book.db.execute(text).rowcount > 0

    def found(self) -> list[str]:
        nodes = {
            book.name: NodeRecord(
                name=book.name, did=book.did, database=book.path, unseal=lambda _, data: data
            )
            for book in (self.a, self.b)
        }
        try:
            return check(Record(events=self.events, nodes=nodes, broken=self.broken))
        finally:
            for node in nodes.values():
                node.close()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    it = Scene(tmp_path)
    yield it
    it.a.db.close()
    it.b.db.close()


def test_a_good_run_passes(scene: Scene) -> None:
    assert scene.found() == []


def sql(book: str, text: str) -> Callable[[Scene], None]:
    return lambda scene: scene.sql(getattr(scene, book), text)


MARKS = itertools.count()


def mark() -> str:
    return f"mark-{next(MARKS)}"


def twice(plant: Callable[[Scene], None]) -> Callable[[Scene], None]:
    def both(scene: Scene) -> None:
        plant(scene)
        plant(scene)

    return both


def tell(*events: list[Event]) -> Callable[[Scene], None]:
    return lambda scene: scene.events.extend(event for group in events for event in group)


TERMINATE = word("ContractNegotiationTerminationMessage", "m5")
SUSPEND = json.dumps(
    {"@type": "TransferSuspensionMessage", "@id": "t1", "consumerPid": "tc", "providerPid": "tp"}
).encode()
OFFER = word("ContractOfferMessage", "m6")

PLANTED: dict[str, tuple[str, Callable[[Scene], None]]] = {
    "other ends": (
        "ends: negotiation c-pid",
        sql("b", "UPDATE negotiation SET state = 'TERMINATED'"),
    ),
    "no other side": ("has no other side", sql("b", "DELETE FROM negotiation")),
    "other pid": ("knows it as", sql("b", "UPDATE negotiation SET peer_pid = 'else'")),
    "word after the end": ("speech: b at 5.000 said TERMINATE", tell(said(9, 5.0, "b", TERMINATE))),
    "word before the start": (
        "said SUSPEND",
        tell(said(9, 5.0, "a", SUSPEND, path="/transfers/tp/suspension")),
    ),
    "taken out of turn": (
        "took OFFER",
        tell(said(9, 5.0, "c", OFFER, path=f"/negotiations/{C_PID}/offers")),
    ),
    "two bodies": (
        "another body under m3",
        tell(said(9, 5.0, "a", word("ContractAgreementVerificationMessage", "m3", x=1))),
    ),
    "no id": (
        "without @id",
        tell(said(9, 5.0, "a", word("ContractAgreementVerificationMessage", ""))),
    ),
    "two at once": (
        "while REQUEST was not answered",
        lambda scene: scene.events.__setitem__(
            slice(None),
            [
                *said(1, 1.0, "a", REQUEST, path="/negotiations/request")[:1],
                *said(2, 2.0, "a", TERMINATE)[:1],
            ],
        ),
    ),
    "late block": ("bytes: b: a block", lambda scene: scene.block(9_500_000)),
    "early block": ("which was not open", lambda scene: scene.block(4_000_000)),
    "no receipt": (
        "act act has 0 receipts",
        sql("b", "UPDATE ledger_entry SET body = x'7b2274797065223a2278227d' WHERE id = 'got'"),
    ),
    "agreed twice": (
        "agreement.concluded 2 times",
        lambda scene: scene.a.entry("again", "agreement.concluded", agreement=AGREEMENT),
    ),
    "closed, opened twice": (
        "twice in a row",
        twice(lambda scene: scene.b.entry(mark(), "session.opened", session=SID)),
    ),
    "heard twice": (
        "counted 2 times",
        twice(lambda scene: scene.a.put("inbox", process=C_PID, message_id="m2", type="T")),
    ),
    "two agreements": (
        "2 agreements of",
        lambda scene: scene.a.put(
            "agreement", agreement_id="other", negotiation=C_PID, state="withdrawn"
        ),
    ),
    "changed entry": (
        "is not the hash of its bytes",
        sql(
            "a",
            "UPDATE ledger_entry SET body = CAST(replace(body, 'urn', 'run') AS BLOB) WHERE id = 'done'",
        ),
    ),
    "missing entry": ("stands at", sql("a", 'DELETE FROM ledger_entry WHERE "index" = 1')),
    "no opening": (
        "does not begin with its opening",
        sql("a", "UPDATE ledger_entry SET type = 'else' WHERE id = 'first'"),
    ),
    "broken chain": (
        "the chain of",
        sql("b", "UPDATE ledger_entry SET number = 9 WHERE id = 'act'"),
    ),
    "wrong root": ("the root is not the tree's", sql("a", "UPDATE ledger SET root = x'00'")),
    "rewritten history": (
        "has another root",
        sql(
            "a",
            "UPDATE ledger_checkpoint SET note = CAST(replace(CAST(note AS TEXT), '=', 'A=') AS BLOB)",
        ),
    ),
    "smaller checkpoint": (
        "after one of",
        lambda scene: scene.b.put("ledger_checkpoint", ledger=1, size=2, note=b"", at=99),
    ),
    "message lost": ("has no such bytes", sql("b", "UPDATE ledger_payload SET sealed = NULL")),
    "message doubled": (
        "took 2 times",
        lambda scene: (
            scene.b.entry("twice", "message.received", peer=A, status=200, body=REQUEST + b" ")
            or [
                scene.b.db.execute("DELETE FROM ledger_payload WHERE entry = 'twice'"),
                scene.b.entry(
                    "more",
                    "message.received",
                    peer=A,
                    status=200,
                    payloads=json.loads(
                        scene.b.db.execute(
                            "SELECT body FROM ledger_entry WHERE id = 'r-m1'"
                        ).fetchone()[0]
                    )["payloads"],
                ),
            ][1]
        ),
    ),
    "acknowledges nothing": (
        "acknowledges no entry",
        lambda scene: scene.a.entry("k", "message.acknowledged", sent="?", status=200),
    ),
    "agreement without end": ("not concluded", sql("a", "UPDATE agreement SET agreement_id = 'x'")),
    "above the cap": ("budget: b", lambda scene: scene.b.put("counter", used=11, cap=10)),
    "outbox": (
        "outbox m is not done",
        lambda scene: scene.a.put("outbox", message_id="m", state="queued"),
    ),
    "held": (
        "reservation r is not done",
        lambda scene: scene.a.put("reservation", request_id="r", state="held"),
    ),
    "pending": (
        "negotiation c-pid is not done",
        sql("a", "UPDATE negotiation SET pending = 'VERIFY'"),
    ),
    "session half closed": (
        f"session {SID} is not done",
        sql("b", "UPDATE session SET state = 'closing'"),
    ),
    "app threw": ("an app threw", lambda scene: scene.broken.append("x")),
}


@pytest.mark.parametrize("planted", PLANTED)
def test_a_planted_fault_is_caught(scene: Scene, planted: str) -> None:
    expected, plant = PLANTED[planted]
    plant(scene)
    found = scene.found()
    assert any(expected in line for line in found), found


def test_a_dead_letter_is_a_documented_lone_end(scene: Scene) -> None:
    scene.sql(scene.b, "UPDATE negotiation SET state = 'TERMINATED'")
    scene.b.put("outbox", process=P_PID, message_id="m", state="dead")
    assert not any(line.startswith("ends") for line in scene.found())


def test_a_forged_refusal_of_the_end_is_a_documented_lone_end(scene: Scene) -> None:
    scene.sql(scene.a, "UPDATE negotiation SET state = 'TERMINATED'")
    scene.events += said(9, 5.0, "a", TERMINATE)[:1]
    scene.events.append(Event(at=5.0, kind="fault", exchange=9, note="answer"))
    assert not any(line.startswith("ends") for line in scene.found())


def test_a_message_said_again_is_no_new_word(scene: Scene) -> None:
    scene.events[4:4] = said(20, 1.5, "a", REQUEST, path="/negotiations/request", status=201)
    assert scene.found() == []


def test_a_resumed_session_may_be_read_again(scene: Scene) -> None:
    scene.b.entry("resumed", "session.resumed", session=SID, time=20_000_000)
    scene.block(21_000_000)
    assert scene.found() == []


@pytest.mark.parametrize(
    ("size", "root"),
    [
        (0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
    ],
)
def test_the_tree_is_that_of_rfc_6962(size: int, root: str) -> None:
    """The two roots that follow from the definition alone; others by splitting."""
    assert tree_root([hashlib.sha256(b"\x00").digest()] * size).hex() == root
    two = [hashlib.sha256(bytes([0, n])).digest() for n in range(5)]
    left = hashlib.sha256(b"\x01" + tree_root(two[:2]) + tree_root(two[2:4])).digest()
    assert tree_root(two) == hashlib.sha256(b"\x01" + left + two[4]).digest()
