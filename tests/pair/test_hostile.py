# SPDX-License-Identifier: Apache-2.0
"""Bad input of every kind: a clear error of the right type, and nothing is changed or lost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.pair.pair import Pair, play
from tests.pair.puppet import BASE, Puppet, said, stage
from tests.pair.test_agreement_ends import big
from tests.pair.test_repeats import Silent
from tests.pair.using import USE, acts, eventually, reading
from tests.spec import spec

from corridor.http.server import Listener
from corridor.limits import MiB
from corridor.outside.net import GuardedNet

ERRORS = {
    "catalog": "CatalogError",
    "negotiations": "ContractNegotiationError",
    "transfers": "TransferError",
}


def typed(value: Any, path: str) -> None:
    """An error body as its protocol wants it."""
    kind = ERRORS[path.strip("/").partition("/")[0]]
    assert value["@type"] == kind, value
    if spec.SPEC.is_dir():
        assert spec.faults(value, kind) == []


def nested(levels: int, left: bytes, right: bytes) -> bytes:
    return b'{"@context":' + left * levels + right * levels + b"}"


def hostile(message: dict[str, Any]) -> dict[str, bytes]:
    """A good message, made bad in each way."""
    good = json.dumps(message).encode()
    first = next(iter(message.items()))
    return {
        "empty": b"",
        "no JSON": b"hello",
        "cut": good[:-1],
        "two values": good + good,
        "trailing": good + b"x",
        "a list": b"[" + good + b"]",
        "a string": b'"x"',
        "null": b"null",
        "a number": b"1e999",
        "NaN": good[:-1] + b',"x":NaN}',
        "deep lists": nested(2000, b"[", b"]"),
        "deep objects": nested(2000, b'{"a":', b"}").replace(b":}", b":1}"),
        "deep and open": b"[" * 2000,
        "doubled key": b"{" + json.dumps({first[0]: first[1]})[1:-1].encode() + b"," + good[1:],
        "doubled key inside": good[:-1] + b',"x":{"a":1,"a":2}}',
        "no UTF-8": good[:-1] + b',"x":"\xff\xfe"}',
        "UTF-16": json.dumps(message).encode("utf-16"),
        "byte order mark": b"\xef\xbb\xbf" + good,
        "long string": good[:-1] + b',"x":"' + b"a" * 70_000 + b'"}',
        "many items": good[:-1] + b',"x":[' + b"1," * 10_001 + b"1]}",
        "other type": json.dumps({**message, "@type": "SomethingElse"}).encode(),
        "type list": json.dumps({**message, "@type": [message["@type"]]}).encode(),
        "no type": json.dumps({n: v for n, v in message.items() if n != "@type"}).encode(),
        "no context": json.dumps({n: v for n, v in message.items() if n != "@context"}).encode(),
        "other context": json.dumps({**message, "@context": ["urn:x"]}).encode(),
        "numbers for text": json.dumps(
            {n: 1 if not n.startswith("@") else v for n, v in message.items()}
        ).encode(),
        "all null": json.dumps(dict.fromkeys(message)).encode(),
    }


def conversations(offer: dict[str, Any], puppet: Puppet, theirs: str) -> dict[str, dict[str, Any]]:
    """A good message for each path that takes one."""
    pids = {"consumerPid": "pc-1", "providerPid": theirs}
    agreement = {
        "@id": "urn:uuid:x", "@type": "Agreement", "target": "greeting", "assigner": "did:web:a",
        "assignee": "did:web:b", "timestamp": "2026-01-01T00:00:00Z", **USE,
    }  # fmt: skip
    shown = {"@id": offer["@id"], "@type": "Offer", "target": "greeting", **USE}
    n, t = f"/negotiations/{theirs}", f"/transfers/{theirs}"
    told = {"consumerPid": "pc-8", "agreementId": "x", "format": "HttpData-PULL"}
    return {
        "/catalog/request": said("CatalogRequestMessage", filter=[]),
        "/negotiations/request": puppet.first(offer, "pc-7"),
        "/negotiations/offers": said(
            "ContractOfferMessage", providerPid="pp-7", callbackAddress=BASE, offer=shown
        ),
        f"{n}/request": puppet.first(offer, providerPid=theirs),
        f"{n}/offers": said("ContractOfferMessage", **pids, offer=shown),
        f"{n}/events": said("ContractNegotiationEventMessage", **pids, eventType="ACCEPTED"),
        f"{n}/agreement": said("ContractAgreementMessage", **pids, agreement=agreement),
        f"{n}/agreement/verification": said("ContractAgreementVerificationMessage", **pids),
        f"{n}/termination": said("ContractNegotiationTerminationMessage", **pids, code="x"),
        "/transfers/request": said("TransferRequestMessage", **told, callbackAddress=BASE),
        f"{t}/start": said("TransferStartMessage", **pids),
        f"{t}/suspension": said("TransferSuspensionMessage", **pids, code="x"),
        f"{t}/completion": said("TransferCompletionMessage", **pids),
        f"{t}/termination": said("TransferTerminationMessage", **pids, code="x"),
    }


def test_bodies(tmp_path: Path) -> None:
    async def story(p: Pair, puppet: Puppet) -> None:
        offer = await p.offer(USE)
        theirs = await puppet.begin(offer)
        store = p.provider.store.of("provider")
        before = (store.negotiations.get(theirs), len(store.ledger.entries(0)))
        for path, message in conversations(offer, puppet, theirs).items():
            for name, raw in hostile(message).items():
                answer = await puppet.post(path, raw)
                assert answer.status == 400, (path, name, answer)
                assert answer.code == "malformed", (path, name, answer)
                assert answer.headers["content-type"] == "application/json"
                typed(answer.value, path)
        assert (store.negotiations.get(theirs), len(store.ledger.entries(0))) == before
        assert len(store.negotiations.page()) == 1
        assert not store.transfers.page()

    stage(tmp_path, story, seams={"provider": Silent})


def test_a_message_belongs_to_its_path(tmp_path: Path) -> None:
    async def story(p: Pair, puppet: Puppet) -> None:
        offer = await p.offer(USE)
        theirs = await puppet.begin(offer)
        told = conversations(offer, puppet, theirs)
        for path in told:
            for other, message in told.items():
                same = path.rpartition("/")[2] == other.rpartition("/")[2]
                if same or path == "/catalog/request":
                    continue
                answer = await puppet.post(path, message)
                assert (answer.status, answer.code) == (400, "malformed"), (path, message)
                typed(answer.value, path)
        found = p.provider.store.of("provider").negotiations.get(theirs)
        assert (found.state, found.messages) == ("REQUESTED", 1)

    stage(tmp_path, story, seams={"provider": Silent})


def test_pids_that_nobody_has(tmp_path: Path) -> None:
    odd = [
        "nothing",
        "..",
        "%2e%2e",
        "a" * 1000,
        "x'; DROP TABLE negotiation; --",
        "\u0000",
        "日本",
    ]

    async def story(p: Pair, puppet: Puppet) -> None:
        offer = await p.offer(USE)
        theirs = await puppet.begin(offer)
        for pid in odd:
            for kind, message in (
                ("negotiations", "ContractNegotiationTerminationMessage"),
                ("transfers", "TransferTerminationMessage"),
            ):
                path = f"/{kind}/{pid}"
                ended = said(message, consumerPid="pc-1", providerPid=pid)
                answer = await puppet.post(f"{path}/termination", ended)
                assert (answer.status, answer.code) == (404, "not-found"), pid
                typed(answer.value, path)
                answer = await puppet.get(path)
                assert answer.status == 404, pid
                typed(answer.value, path)
        assert (await puppet.get(f"/negotiations/{theirs}")).status == 200

    stage(tmp_path, story, seams={"provider": Silent})


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1/x", "https://127.0.0.1/x", "https://localhost/x", "https://[::1]/x",
        "https://10.0.0.1/x", "https://192.168.1.1/x", "https://169.254.169.254/latest",
        "https://[fd00:ec2::254]/x", "https://2130706433/x", "https://0x7f000001/x",
        "https://0177.0.0.1/x", "https://127.1/x", "https://[::ffff:127.0.0.1]/x",
        "https://[::ffff:a9fe:a9fe]/x", "https://[64:ff9b::7f00:1]/x", "https://[2002:7f00:1::]/x",
        "https://①②⑦.0.0.1/x", "https://127。0。0。1/x", "https://user@127.0.0.1/x",
        "https://0.0.0.0/x", "ftp://localhost/x", "file:///etc/passwd", "//localhost/x", "x", "",
        "https://localhost:22/x", "https://localhost\\@10.0.0.1/x", "https://local host/x",
        "https://localhost/x#y", "https://localhost%00.example/x", "https://" + "a" * 300 + "/x",
    ],
)  # fmt: skip
def test_addresses_that_are_never_called(tmp_path: Path, address: str) -> None:
    async def story(p: Pair, puppet: Puppet) -> None:
        offer = await p.offer(USE)
        p.net.guard = GuardedNet(limits=p.provider.config.limits, clock=p.clock)
        try:
            sent = len(p.net.sent)
            first = puppet.first(offer, callbackAddress=address)
            answer = await puppet.post("/negotiations/request", first)
            assert answer.status == 400
            assert answer.code in ("callback", "malformed")
            typed(answer.value, "/negotiations")
            assert "127" not in str(answer.value["reason"])
            assert not p.provider.store.of("provider").negotiations.page()
            ours = [it.url for it in p.net.sent[sent:] if it.purpose != "did"]
            assert len(ours) == 1  # the puppet's own request: nobody was called back
        finally:
            await p.net.guard.close()

    stage(tmp_path, story)


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 404, 409, 410, 422])
def test_a_redirect_or_a_refusal_ends_it(tmp_path: Path, status: int) -> None:
    """No address is followed; what is refused for good ends, and the peer is told."""

    async def story(p: Pair, puppet: Puppet) -> None:
        puppet.answers["ContractAgreementMessage"] = (status, {"location": "http://127.0.0.1/x"})
        theirs = await puppet.begin(await p.offer(USE))
        waiting = p.provider.engine.deliver._due
        await puppet.hears("ContractAgreementMessage")
        pauses = (0.4, 1.1, 3.1) if status in (400, 404, 409) else ()
        for tries, seconds in enumerate(pauses, 1):  # its own step may not be finished
            await eventually(lambda n=tries: [it.settled for it in waiting.values()] == [n])
            p.pass_time(seconds)
            await puppet.hears("ContractAgreementMessage")
        ended = (await puppet.hears("ContractNegotiationTerminationMessage")).message
        assert ended["code"] == "peer-refused"
        await p.until("provider", "negotiations", theirs, ("TERMINATED",))
        assert {it.state for it in p.provider.store.of("provider").agreements.page()} == {"void"}

    stage(tmp_path, story)


@asynccontextmanager
async def listening(p: Pair) -> AsyncIterator[int]:
    """The provider's face behind a real listener."""
    listener = Listener(limits=p.provider.config.limits, clock=p.clock)
    await listener.start(p.provider.asgi_peer, "127.0.0.1", 0)
    try:
        yield listener.port
    finally:
        await listener.stop()


async def raw_answer(port: int, *parts: bytes, close: bool = False) -> tuple[int, bytes]:
    """Send bytes, read to the end: (status, body)."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
        if close:
            writer.write_eof()
        async with asyncio.timeout(10):
            answer = await reader.read()
    finally:
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


def head(path: str, length: int, *more: str) -> bytes:
    lines = [f"POST /provider/dsp/2025-1{path} HTTP/1.1", "Host: localhost:7101"]
    lines += [f"Content-Length: {length}", "Connection: close", *more, "", ""]
    return "\r\n".join(lines).encode()


def test_over_a_real_listener(tmp_path: Path) -> None:
    async def story(p: Pair, puppet: Puppet) -> None:
        offer = await p.offer(USE)
        async with listening(p) as port:
            for path in ("/catalog/request", "/negotiations/request", "/transfers/request"):
                big = b"a" * (5 * MiB)
                status, body = await raw_answer(port, head(path, len(big)), big)
                assert status == 413
                typed(json.loads(body), path)
                status, body = await raw_answer(port, head(path, 100), b"{")  # and no more
                assert status == 408
                typed(json.loads(body), path)
                two = ("Authorization: Bearer a", "Authorization: Bearer b")
                status, body = await raw_answer(port, head(path, 2, *two), b"{}")
                assert status == 400
                typed(json.loads(body), path)
                status, _ = await raw_answer(
                    port, head(path, 2, "X: " + "a" * (4 * MiB)), b"{}", close=True
                )
                assert status == 431
            first = json.dumps(puppet.first(offer)).encode()
            right = f"Authorization: {puppet.token(first)}"
            for name in ("Content-Type: application/ld+json", "Content-Type: text/plain", "X: y"):
                raw = json.dumps(puppet.first(offer)).encode()
                right = f"Authorization: {puppet.token(raw)}"
                status, body = await raw_answer(
                    port, head("/negotiations/request", len(raw), right, name), raw
                )
                assert status == 201
            assert json.loads(body)["consumerPid"] == "pc-1"
        assert len(p.provider.store.of("provider").negotiations.page()) == 1

    stage(tmp_path, story, seams={"provider": Silent}, **{"limits.body_read_s": 0.3})


def test_a_full_disk_refuses_and_heals(tmp_path: Path) -> None:
    """Nothing is answered that is not written down; when there is room again all goes on."""

    async def story(p: Pair, puppet: Puppet) -> None:
        offer = await p.offer(USE)
        agreement = await puppet.finalize(offer)
        it = await puppet.started(agreement)
        committer = p.provider.store._backend._committer
        connection = committer._held
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")
        statuses = []
        for number in range(40):
            first = puppet.first(offer, f"pc-full-{number}")
            answer = await puppet.post("/negotiations/request", first)
            statuses.append(answer.status)
            if answer.status == 503:
                assert answer.code == "store-unavailable"
                assert answer.headers["retry-after"].isdecimal()
                typed(answer.value, "/negotiations")
                assert (await it.get()).status == 503
                break
        assert statuses[-1] == 503
        connection.execute("PRAGMA max_page_count = 1000000")
        assert (await puppet.post("/negotiations/request", first)).status == 201
        assert (await it.get()).status == 200

    stage(tmp_path, story, seams={})


def test_a_stop_while_a_stream_runs(tmp_path: Path) -> None:
    """A reader that does not read holds nothing up, and the act has its receipt."""

    async def story(p: Pair) -> None:
        it = await reading(p, await big(p, USE))
        await it.both("STARTED")
        listener = Listener(limits=p.provider.config.limits, clock=p.clock)
        await listener.start(p.provider.asgi_peer, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        path = it.endpoint.partition("localhost:7101")[2]
        asked = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {it.token}\r\n\r\n"
        writer.write(asked.encode())
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        async with asyncio.timeout(5):
            await listener.stop(0.1)
        assert [kind for kind, _ in acts(p)] == ["act.started", "receipt"]
        assert acts(p)[1][1] in ("failed", "broken", "cut")
        writer.close()

    play(tmp_path, story)
