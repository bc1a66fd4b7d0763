# SPDX-License-Identifier: Apache-2.0
"""SIGTERM: a stop that ends in time, leaves nothing behind, and loses nothing."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.fault.test_hanging_peer import peer, silent
from tests.fault.town import Cold, town

LEFT = {"assets", "corridor.db", "high-water", "lock", "master.key", "operator.token"}
BOUND_S = 10.0


@pytest.fixture
def cold() -> Iterator[Cold]:
    made = Cold()
    yield made
    made.close()


def drain(stream: socket.socket) -> None:
    while stream.recv(1 << 20):
        pass


def test_a_stop_while_a_download_streams(cold: Cold, tmp_path: Path) -> None:
    with town(tmp_path, cold) as made:
        big = made.file.with_name("big.bin")
        with big.open("wb") as file:
            file.truncate(256 << 20)
        offer = made.provider.ask(
            "offer", policy={"permission": [{"action": "use"}]}, path=str(big), asset="big"
        )
        made.agree(offer)
        plane = made.consumer.ask("plane", offer_id=offer["@id"])
        made.rest(offer)
        place = urlsplit(plane["endpoint"])
        with socket.create_connection((place.hostname, place.port)) as stream:
            head = f"GET {place.path} HTTP/1.1\r\nhost: {place.netloc}\r\n"
            stream.sendall(f"{head}authorization: {plane['authorization']}\r\n\r\n".encode())
            assert stream.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
            begun = time.monotonic()
            made.provider.signal(signal.SIGTERM)
            assert made.provider.ended() == 0
            assert time.monotonic() - begun < BOUND_S
            with pytest.raises(ConnectionError):  # cut, not closed as if that were all
                drain(stream)
        names = {path.name for path in made.provider.folder.iterdir()}
        assert names <= LEFT, names - LEFT
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind(("127.0.0.1", made.provider.port))
        made.provider.start()
        made.rest(offer)
        made.check_books()
        outcomes = [it["outcome"] for it in made.books["provider"].of("receipt")]
        assert outcomes, "the broken download has its receipt"
        assert outcomes[-1] in ("cut", "broken", "failed")


def test_the_second_signal_does_not_wait(cold: Cold, tmp_path: Path) -> None:
    """A call to somebody who does not answer holds a stop for some seconds; not this one."""
    with peer(silent) as port, town(tmp_path, cold, known=[port]) as made:
        lost = {"@id": "urn:uuid:0199a000-0000-7000-8000-000000000001", "target": "x"}
        lost |= {"permission": [{"action": "use"}], "@type": "Offer"}
        did, base = f"did:web:localhost%3A{port}:bad", f"http://localhost:{port}/bad/dsp/2025-1"
        made.consumer.ask("request", offer=lost, peer=did, base=base, wait_s=0.3)
        made.consumer.signal(signal.SIGTERM)
        time.sleep(0.5)
        begun = time.monotonic()
        made.consumer.signal(signal.SIGTERM)
        assert made.consumer.ended() == 130
        assert time.monotonic() - begun < 1.0
        made.consumer.start()
        assert made.consumer.ask("state", offer_id=lost["@id"])["outbox"] == 1
