# SPDX-License-Identifier: Apache-2.0
"""Nodes in processes of their own, seen from the test: start, order, kill, and what must hold."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from corridor.evidence import note, tree

ROOT = Path(__file__).resolve().parents[2]
CHILD = (sys.executable, "-m", "tests.fault.child")
USE = {"permission": [{"action": "use"}]}
READY_S = 20.0
REST_S = 20.0


class Died(Exception):
    """The node's process is gone."""


class Fault(Exception):
    """The node answered with an error; `code` is its code."""

    def __init__(self, code: str, told: str) -> None:
        super().__init__(f"{code}: {told}")
        self.code = code


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Nursery:
    """Forks nodes off one process that has done its imports."""

    def __init__(self) -> None:
        self._asked, theirs = socket.socketpair()
        self._asked.settimeout(READY_S)
        command = [*CHILD, "nursery", str(theirs.fileno())]
        self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], cwd=ROOT)
        theirs.close()

    def start(self, settings: dict[str, Any]) -> tuple[int, socket.socket]:
        ours, theirs = socket.socketpair()
        socket.send_fds(self._asked, [json.dumps(settings).encode()], [theirs.fileno()])
        theirs.close()
        return int(self._asked.recv(64)), ours

    def wait(self, pid: int) -> int:
        self._asked.sendall(json.dumps({"wait": pid}).encode())
        return int(self._asked.recv(64))

    def close(self) -> None:
        self._asked.close()
        self._process.wait(10)


class Cold:
    """Starts each node as a fresh interpreter."""

    def __init__(self) -> None:
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, settings: dict[str, Any]) -> tuple[int, socket.socket]:
        ours, theirs = socket.socketpair()
        command = [*CHILD, "node", str(theirs.fileno())]
        process = subprocess.Popen(command, pass_fds=[theirs.fileno()], cwd=ROOT)
        theirs.close()
        ours.sendall(json.dumps(settings).encode())
        self._processes[process.pid] = process
        return process.pid, ours

    def wait(self, pid: int) -> int:
        return self._processes.pop(pid).wait(60)

    def close(self) -> None:
        for pid, process in self._processes.items():
            os.kill(pid, signal.SIGKILL)
            process.wait(10)


class Node:
    """One node over all its lives: the folder and the ports stay."""

    def __init__(
        self,
        name: str,
        root: Path,
        nursery: Nursery | Cold,
        ports: Sequence[int],
        limits: Mapping[str, Any],
    ) -> None:
        """`ports`: this node's for peers; then those of everybody."""
        self.name, self.folder = name, root / name
        self.port, self.home_port = ports[0], free_port()
        self.log, self.heard = root / f"{name}.log", root / f"{name}.heard"
        self.did = f"did:web:localhost%3A{self.port}:{name}"
        self.base = f"http://localhost:{self.port}/{name}/dsp/2025-1"
        self.config: dict[str, Any] = {
            "node.public_url": f"http://localhost:{self.port}",
            "node.peer_listen": f"127.0.0.1:{self.port}",
            "node.home_listen": f"127.0.0.1:{self.home_port}",
            "node.data_dir": str(self.folder),
            "node.development": True,
            "services.enabled": ["files"],
            "net.http_hosts": [f"localhost:{port}" for port in ports],
            "limits.stream_block_bytes": 1 << 18,
            **{f"limits.{key}": value for key, value in limits.items()},
            "participant": [{"id": name, "title": {"en": name}, "country": "RS"}],
        }
        self.starts_s: list[float] = []
        self.pid = 0
        self._nursery = nursery
        self._socket: socket.socket | None = None
        self._rest = b""
        self._number = 0
        self._replies: dict[int, dict[str, Any]] = {}

    def start(self, **settings: Any) -> None:
        """Start, and wait until it is ready; Fault where it refuses, Died where it dies first."""
        begun = time.monotonic()
        told = {"config": self.config, "log": str(self.log), "heard": str(self.heard), **settings}
        self.pid, self._socket = self._nursery.start(told)
        self._rest = b""
        try:
            line = self._line(READY_S)
        except Died:
            self.ended()
            raise
        if "refused" in line:
            self.ended()
            raise Fault(line["refused"], f"{line['what']} ({line['cause']})")
        assert line == {"ready": True}
        self.starts_s.append(time.monotonic() - begun)

    def _line(self, seconds: float, others: Sequence[Node] = ()) -> dict[str, Any]:
        """The next line; Died where this node or one of the others is gone."""
        deadline = time.monotonic() + seconds
        assert self._socket is not None
        while b"\n" not in self._rest:
            # Nobody has asked the others for anything: what makes them readable is their end.
            watched = [self._socket, *(it._socket for it in others if it._socket is not None)]
            ready, _, _ = select.select(watched, [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"{self.name} said nothing for {seconds} s"
            block = self._socket.recv(1 << 20) if self._socket in ready else b""
            if not block:
                raise Died
            self._rest += block
        line, _, self._rest = self._rest.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def send(self, action: str, **told: Any) -> int:
        """Ask without waiting."""
        assert self._socket is not None
        self._number += 1
        order = {"number": self._number, "do": action, **told}
        try:
            self._socket.sendall(json.dumps(order).encode() + b"\n")
        except OSError as error:
            raise Died from error
        return self._number

    def take(self, number: int, seconds: float = 30.0, others: Sequence[Node] = ()) -> Any:
        """The answer of an order; Fault, or Died."""
        while number not in self._replies:
            told = self._line(seconds, others)
            self._replies[told["number"]] = told
        told = self._replies.pop(number)
        if "code" in told:
            raise Fault(told["code"], told["fault"])
        return told["answer"]

    def ask(self, action: str, *, others: Sequence[Node] = (), **told: Any) -> Any:
        return self.take(self.send(action, **told), others=others)

    def alive(self) -> bool:
        """Whether its socket still stands, read or not."""
        if self._socket is None:
            return False
        try:
            return self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b""
        except BlockingIOError:
            return True
        except OSError:
            return False

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def ended(self) -> int:
        """Its exit status, once it has ended."""
        status = self._nursery.wait(self.pid)
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._replies.clear()
        return status

    def kill(self) -> None:
        """kill -9, if it still runs."""
        if self._socket is not None:
            self.signal(signal.SIGKILL)
            self.ended()

    def said(self) -> list[tuple[str, str]]:
        """What others answered 2xx to, over all its lives."""
        if not self.heard.exists():
            return []
        lines = self.heard.read_text(encoding="ascii").splitlines()
        return [(what, told) for what, _, told in (line.partition(" ") for line in lines)]


@dataclass
class Book:
    """A node's ledger as the test has seen it grow."""

    entries: list[dict[str, Any]] = field(default_factory=list)
    size: int = 0
    root: bytes = tree.EMPTY

    def read(self, node: Node) -> None:
        """All of it verifies, is signed, and grew from what was signed before."""
        told = node.ask("ledger", since=len(self.entries), old=self.size)
        parsed = note.Note.parse(told["note"].encode())
        size, root = note.verify(parsed, told["vkeys"], origin=told["origin"])
        if self.size == size:
            assert root == self.root
        elif self.size:
            proof = [bytes.fromhex(it) for it in told["proof"]]
            tree.verify_consistency(self.size, size, self.root, root, proof)
        self.size, self.root = size, root
        self.entries += told["entries"]

    def of(self, *types: str) -> list[dict[str, Any]]:
        return [it for it in self.entries if it["type"] in types]


class Town:
    """A provider and a consumer, their ledgers, and a file of 3 MiB."""

    def __init__(
        self,
        root: Path,
        nursery: Nursery | Cold,
        *,
        limits: Mapping[str, Any] | None = None,
        known: Sequence[int] = (),
        more: int = 0,
    ) -> None:
        """`known`: ports of other peers; `more`: how many nodes will come beside (`beside`)."""
        self.root, self.nursery, self.limits = root, nursery, limits or {}
        ports = [free_port() for _ in range(2 + more)]
        self.ports = [*ports, *known]
        self.provider = self._node("provider", 0)
        self.consumer = self._node("consumer", 1)
        self.books = {"provider": Book(), "consumer": Book()}
        self.content = bytes(range(256)) * (3 << 12)
        self.digest = sha256(self.content).hexdigest()
        self.file = self._publishable(self.provider)
        self.restarts = 0

    def _node(self, name: str, number: int) -> Node:
        ports = [self.ports[number], *self.ports]
        return Node(name, self.root, self.nursery, ports, self.limits)

    def _publishable(self, node: Node) -> Path:
        path = node.folder / "assets" / "file.bin"
        path.parent.mkdir(parents=True)
        node.folder.chmod(0o700)
        path.write_bytes(self.content)
        return path

    def beside(self, name: str) -> Town:
        """Another provider, started, with the same consumer."""
        other = copy(self)
        other.provider = self._node(name, 2)
        other.file = other._publishable(other.provider)
        other.provider.start()
        return other

    @property
    def nodes(self) -> tuple[Node, Node]:
        return self.provider, self.consumer

    def start(self) -> None:
        for node in self.nodes:
            node.start()

    def stop(self) -> None:
        for node in self.nodes:
            node.kill()

    def offer(self, policy: dict[str, Any] | None = None) -> dict[str, Any]:
        told: dict[str, Any] = self.provider.ask("offer", policy=policy or USE, path=str(self.file))
        return told

    # a conversation, whatever dies meanwhile

    def revive(self) -> None:
        """Start again who has died."""
        for node in self.nodes:
            if not node.alive():
                assert node.ended() == -signal.SIGKILL, tail(node)
                node.start()
                self.restarts += 1

    def insist(self, action: str, done: Callable[[Any], bool], **told: Any) -> Any:
        """The consumer's person asks, and asks again, until it is done."""
        deadline, last = time.monotonic() + REST_S, "nothing"
        while time.monotonic() < deadline:
            try:
                answer = self._ask(action, **told)
                if done(answer):
                    return answer
                last = repr(answer)
            except Died:
                self.revive()
            except Fault as fault:
                last = str(fault)
                if fault.code == "bug":
                    break
                time.sleep(0.02)
        raise AssertionError(f"{action} does not come to an end: {last}\n{self.tails()}")

    def _ask(self, action: str, **told: Any) -> Any:
        """The answer, also where the provider dies before it; Died where the consumer does."""
        number = self.consumer.send(action, **told)
        while True:
            try:
                return self.consumer.take(number, others=(self.provider,))
            except Died:
                if not self.consumer.alive():
                    raise
                self.revive()

    def agree(self, offer: dict[str, Any]) -> None:
        self.insist(
            "request",
            lambda it: it["state"] == "FINALIZED",
            offer=offer,
            peer=self.provider.did,
            base=self.provider.base,
        )

    def fetch(self, offer: dict[str, Any]) -> None:
        """The whole file, from where it broke off."""
        into = self.root / f"{offer['@id'][-12:]}.bin"
        whole = len(self.content)
        told = {"offer_id": offer["@id"], "into": str(into)}
        self.insist("download", lambda it: it["bytes"] == whole, **told)
        assert sha256(into.read_bytes()).hexdigest() == self.digest
        into.unlink()

    def converse(self, offer: dict[str, Any]) -> None:
        self.agree(offer)
        self.fetch(offer)

    # what must hold

    def rest(self, offer: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Both sides' view of a conversation, when neither has anything left to do."""
        deadline = time.monotonic() + REST_S
        while True:
            ours = self.provider.ask("state", offer_id=offer["@id"])
            theirs = self.consumer.ask("state", offer_id=offer["@id"])
            if _rests(ours) and _rests(theirs) and _alike(ours, theirs):
                return ours, theirs
            assert time.monotonic() < deadline, f"{ours}\n{theirs}\n{self.tails()}"
            time.sleep(0.03)

    def check(self, offer: dict[str, Any]) -> None:
        """Both ends alike, nothing acknowledged is lost, nothing that matters happened twice."""
        self.check_pair(*self.rest(offer))
        self.check_books()
        for book in self.books.values():
            agreed = [it["agreement"] for it in book.of("agreement.concluded")]
            assert len(set(agreed)) == len(agreed), "one agreement was concluded twice"

    def check_pair(self, ours: dict[str, Any], theirs: dict[str, Any]) -> None:
        assert [it["state"] for it in theirs["negotiations"]] == ["FINALIZED"], theirs
        assert len(ours["agreements"]) == len(theirs["agreements"]) == 1
        assert ours["agreements"] == theirs["agreements"]
        assert ours["agreements"][0]["state"] == "live"
        assert "STARTED" in {it["state"] for it in theirs["transfers"]}

    def check_books(self) -> None:
        """What both ledgers must hold together, over all conversations so far."""
        for node in self.nodes:
            self.books[node.name].read(node)
        for node, other in (self.nodes, self.nodes[::-1]):
            ours, theirs = self.books[node.name], self.books[other.name]
            took = [it["body_sha"] for it in theirs.of("message.received") if it["status"] < 300]
            assert len(set(took)) == len(took), "one message was heard twice"
            lost = {sha for what, sha in node.said() if what == f"said:{other.port}"} - set(took)
            assert not lost, f"{other.name} answered 2xx to {lost} and does not know them"
            sent = [it["id"] for it in ours.of("message.sent")]
            acked = [it["sent"] for it in ours.of("message.acknowledged")]
            assert len(set(sent)) == len(sent)
            assert len(set(acked)) == len(acked), "one message was acknowledged twice"
        provider = self.books["provider"]
        begun = {it["id"] for it in provider.of("act.started")}
        receipts = [it for it in provider.of("receipt") if "started_as" in it]
        closed = [it["started_as"] for it in receipts]
        assert sorted(closed) == sorted(begun), "an act without its one receipt"
        named = f"receipt:{self.provider.port}"
        streams = {told for what, told in self.consumer.said() if what == named}
        assert len(streams) <= len(provider.of("receipt")), "bytes left without a receipt"

    def tails(self) -> str:
        return "\n".join(tail(node) for node in self.nodes)


def tail(node: Node) -> str:
    """The end of a node's log."""
    if not node.log.exists():
        return f"--- {node.name} has no log"
    lines = node.log.read_text(errors="replace").splitlines()[-30:]
    return "\n".join([f"--- {node.name}", *lines])


def faults(node: Node) -> list[str]:
    """Lines of a log that no log should have."""
    bad = ("Traceback", "never retrieved", "was never awaited", "] bug", "invariant.broken")
    lines = node.log.read_text(errors="replace").splitlines() if node.log.exists() else []
    return [line for line in lines if any(word in line for word in bad)]


def _rests(state: dict[str, Any]) -> bool:
    pending = [it["pending"] for it in (*state["negotiations"], *state["transfers"])]
    moving = {"opening", "closing", "suspending"} & set(state["sessions"])
    return not (state["outbox"] or state["acts"] or state["unplaced"] or any(pending) or moving)


def _alike(ours: dict[str, Any], theirs: dict[str, Any]) -> bool:
    """Whether the two hold the same processes, each knows the other's pid, in the same states."""
    return all(
        sorted((it["pid"], it["peer"], it["state"]) for it in ours[kind])
        == sorted((it["peer"] or "", it["pid"], it["state"]) for it in theirs[kind])
        for kind in ("negotiations", "transfers")
    )


@contextlib.contextmanager
def town(root: Path, nursery: Nursery | Cold, **told: Any) -> Iterator[Town]:
    """Both nodes, started; at the end nothing in their logs that should not be there."""
    made = Town(root, nursery, **told)
    try:
        made.start()
        yield made
        for node in made.nodes:
            assert not faults(node), f"{faults(node)}\n{tail(node)}"
    finally:
        made.stop()


def status_of(node: Node, path: str) -> int:
    """The status of a GET at the node's own face."""
    connection = http.client.HTTPConnection("127.0.0.1", node.home_port, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()
