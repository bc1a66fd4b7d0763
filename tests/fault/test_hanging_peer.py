# SPDX-License-Identifier: Apache-2.0
"""Peers that stop in the middle, or never say anything that is an answer."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from tests.fault.town import Fault, Node, Nursery, status_of, town

QUICK = {"fetch_total_s": 1.0, "transfer_start_wait_s": 1.0, "stream_stall_s": 2.0}


def silent(stream: socket.socket, over: threading.Event) -> None:
    """Takes everything, says nothing."""
    over.wait()


def garbage(stream: socket.socket, over: threading.Event) -> None:
    """Says what is no answer."""
    stream.sendall(b"\x00\xffSMTP ready\r\n" * 100)


def nonsense(stream: socket.socket, over: threading.Event) -> None:
    """A good head, and a body that is no process."""
    stream.sendall(b'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n[1,2,{"a"')


def endless(stream: socket.socket, over: threading.Event) -> None:
    """Streams for ever."""
    stream.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n")
    while not over.is_set():
        stream.sendall(b" " * (1 << 16))


def drip(stream: socket.socket, over: threading.Event) -> None:
    """A byte a moment: never silent, never done."""
    stream.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
    while not over.wait(0.05):
        stream.sendall(b" ")


@contextlib.contextmanager
def peer(answer: Callable[[socket.socket, threading.Event], None]) -> Iterator[int]:
    """Somebody listens at this port, and answers each connection like that."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.1)

        def one(stream: socket.socket) -> None:
            with stream, contextlib.suppress(OSError):
                stream.settimeout(5)
                stream.recv(1 << 16)
                answer(stream, over)

        def accept() -> None:
            while not over.is_set():
                with contextlib.suppress(TimeoutError):
                    talking.append(threading.Thread(target=one, args=(listening.accept()[0],)))
                    talking[-1].start()

        talking: list[threading.Thread] = []
        accepting = threading.Thread(target=accept)
        accepting.start()
        yield listening.getsockname()[1]
        over.set()
        accepting.join()
        for thread in talking:
            thread.join()


def memory_kib(node: Node) -> int:
    """The most memory that its process has had so far."""
    text = Path(f"/proc/{node.pid}/status").read_text(encoding="ascii")
    return int(text.partition("VmHWM:")[2].split()[0])


@pytest.mark.parametrize("answer", [silent, garbage, nonsense, endless, drip])
def test_others_go_on_beside_a_peer_that_does_not_answer(
    nursery: Nursery, tmp_path: Path, answer: Callable[[socket.socket, threading.Event], None]
) -> None:
    with peer(answer) as port, town(tmp_path, nursery, limits=QUICK, known=[port]) as made:
        made.converse(made.offer())
        before = memory_kib(made.consumer)
        lost = {"@id": "urn:uuid:0199a000-0000-7000-8000-000000000001", "target": "x"}
        lost |= {"permission": [{"action": "use"}], "@type": "Offer"}
        did, base = f"did:web:localhost%3A{port}:bad", f"http://localhost:{port}/bad/dsp/2025-1"
        orders = [
            made.consumer.send(
                "request",
                offer={**lost, "@id": f"{lost['@id'][:-1]}{n}"},
                peer=did,
                base=base,
                wait_s=0,
            )
            for n in range(9)
        ]
        for order in orders:
            assert made.consumer.take(order)["state"] != "FINALIZED"
        begun = time.monotonic()
        while time.monotonic() < begun + 1.5:
            offer = made.offer()
            made.converse(offer)
        assert status_of(made.consumer, "/readyz") == 200
        assert memory_kib(made.consumer) < before + (64 << 10)


def test_a_stopped_peer_and_a_third_who_does_not_notice(nursery: Nursery, tmp_path: Path) -> None:
    with town(tmp_path, nursery, limits=QUICK, more=1) as made:
        other = made.beside("other")
        try:
            held, theirs = made.offer(), other.offer()
            made.converse(made.offer())
            other.converse(other.offer())
            made.provider.signal(signal.SIGSTOP)
            asked = made.consumer.ask(
                "request", offer=held, peer=made.provider.did, base=made.provider.base, wait_s=0.5
            )
            assert asked["state"] != "FINALIZED"
            begun = time.monotonic()
            other.converse(theirs)
            assert time.monotonic() - begun < 5.0
            time.sleep(1.5)  # past the time of a call, so that what was called is called again
            made.provider.signal(signal.SIGCONT)
            made.converse(held)
            made.check(held)
            other.rest(theirs)
        finally:
            other.provider.kill()


def test_a_provider_that_stops_within_a_download(nursery: Nursery, tmp_path: Path) -> None:
    whole = 128 << 20
    with town(tmp_path, nursery, limits=QUICK) as made:
        big = made.file.with_name("big.bin")
        with big.open("wb") as file:
            file.truncate(whole)
        offer = made.provider.ask(
            "offer", policy={"permission": [{"action": "use"}]}, path=str(big), asset="big"
        )
        made.agree(offer)
        into = made.root / "got.bin"
        order = made.consumer.send("download", offer_id=offer["@id"], into=str(into))
        while not into.exists() or into.stat().st_size == 0:
            time.sleep(0.001)
        made.provider.signal(signal.SIGSTOP)
        with pytest.raises(Fault) as told:
            made.consumer.take(order)
        assert told.value.code == "partner-unreachable", told.value
        had = into.stat().st_size
        assert had < whole
        made.provider.signal(signal.SIGCONT)
        told_all = {"offer_id": offer["@id"], "into": str(into)}
        made.insist("download", lambda it: it["bytes"] == whole, **told_all)
        assert sha256(into.read_bytes()).digest() == sha256(bytes(whole)).digest()
        made.check(offer)
