# SPDX-License-Identifier: Apache-2.0
"""A partner that serves us means harm: addresses, headers, refusals, pids, catalogues."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.pair.pair import Pair, PairNet
from tests.pair.people import Two, played
from tests.pair.puppet import BASE, HOST, Puppet, said, stage
from tests.pair.using import USE, eventually

from corridor.errors import NotReachable
from corridor.limits import Limits
from corridor.outside.net import GuardedNet
from corridor.policy import odrl
from corridor.world import Request, Response

MEANT = {"@id": "urn:x", "@type": "Offer", **USE}


class Plane:
    """A partner's plane that answers what a test wants."""

    def __init__(self, status: int, headers: dict[str, bytes], body: bytes) -> None:
        self.told = (status, headers, body)

    async def asgi_peer(self, scope: Any, receive: Any, send: Any) -> None:
        status, headers, body = self.told
        told = [(name.encode(), value) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": told})
        await send({"type": "http.response.body", "body": body})


DEEP = b'{"a":' + b"[" * 30_000


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (403, DEEP),
        (400, b'{"code":"\xff"}'),
        (429, b"[]"),
        (500, b'{"code":[1]}'),
        (418, b"x" * 99),
    ],
)
def test_a_refusal_that_cannot_be_read(tmp_path: Path, status: int, body: bytes) -> None:
    async def story(two: Two) -> None:
        await two.offer()
        await two.know()
        deal = await two.deal()
        assert (await two.lab.ask("GET", f"agreements/{deal['id']}/files/")).status == 200
        two.pair.net.apps["localhost:7101"] = Plane(status, {}, body)
        got = await two.lab.ask("GET", f"agreements/{deal['id']}/files/")
        assert got.status in range(400, 600), got
        assert got.status != 500, got
        assert got.json["code"] != "internal"

    played(story)(tmp_path=tmp_path)


def test_a_header_that_no_header_can_be(tmp_path: Path) -> None:
    async def story(two: Two) -> None:
        await two.offer()
        await two.know()
        path = f"agreements/{(await two.deal())['id']}/files/"
        assert (await two.lab.ask("GET", path)).status == 200
        odd = {"content-disposition": 'attachment; filename="Дунав.txt"', "etag": "\udcff"}
        for name, value in odd.items():
            fake = Streaming({name: value}, [b"content"])
            two.pair.net.stream = fake.stream  # type: ignore[method-assign]  # a partner's words
            got = await two.lab.ask("GET", path)
            assert (got.status, got.body, got.torn) == (200, b"content", False), got
            assert name not in got.headers

    played(story)(tmp_path=tmp_path)


def test_the_length_of_packed_bytes_is_not_that_of_the_plain(tmp_path: Path) -> None:
    async def story(two: Two) -> None:
        await two.offer()
        await two.know()
        path = f"agreements/{(await two.deal())['id']}/files/"
        assert (await two.lab.ask("GET", path)).status == 200
        fake = Streaming({"content-encoding": "gzip", "content-length": "3"}, [b"all of it"])
        two.pair.net.stream = fake.stream  # type: ignore[method-assign]  # a partner's words
        got = await two.lab.ask("GET", path)
        assert (got.status, got.body) == (200, b"all of it")
        assert "content-length" not in got.headers

    played(story)(tmp_path=tmp_path)


class Streaming:
    """Answers as the fetcher gives them: inflated, names in lower case."""

    def __init__(self, headers: dict[str, str], parts: list[bytes]) -> None:
        self.status = 200
        self.headers = headers
        self._parts = parts

    @asynccontextmanager
    async def stream(self, _: Request) -> AsyncIterator[Streaming]:
        yield self

    async def blocks(self) -> AsyncIterator[bytes]:
        for part in self._parts:
            yield part


INSIDE = (
    "http://169.254.169.254/latest/meta-data",
    "http://127.0.0.1:7201/api/v1/me",
    "http://localhost:7201/api/v1/me",
    "http://[::ffff:127.0.0.1]:7201/",
    "file:///etc/passwd",
    "http://user@localhost:7103/",
    "https://10.0.0.1/",
    "",
)


def test_a_start_that_points_inside(tmp_path: Path) -> None:
    async def story(p: Pair, puppet: Puppet) -> None:
        begun = await p.consumer.engine.reception.request(
            p.home("consumer"), peer=puppet.did, base=BASE, asset="a", offer=MEANT,
            wish_sha=odrl.read(MEANT).terms_hash, service="files",
        )  # fmt: skip
        heard = await puppet.hears("ContractRequestMessage")
        pids = {"consumerPid": heard.message["consumerPid"], "providerPid": "pp-1"}
        agreement = {
            "@id": "urn:uuid:1", "@type": "Agreement", "target": "a", "assigner": puppet.did,
            "assignee": p.home("consumer").did, "timestamp": "2026-01-01T00:00:00Z", **USE,
        }  # fmt: skip
        told = said("ContractAgreementMessage", **pids, agreement=agreement)
        assert (await puppet.post(f"/negotiations/{begun.pid}/agreement", told)).status == 200
        await puppet.hears("ContractAgreementVerificationMessage")
        told = said("ContractNegotiationEventMessage", **pids, eventType="FINALIZED")
        assert (await puppet.post(f"/negotiations/{begun.pid}/events", told)).status == 200
        record = p.consumer.store.of("consumer").agreements.get("urn:uuid:1", "consumer")
        assert record.state == "live"
        guard = GuardedNet(limits=Limits(), clock=p.clock, http_hosts=frozenset({HOST}))
        stream = p.net.stream

        async def refused(endpoint: str, theirs: str) -> None:
            told = said("TransferProcess", providerPid=theirs, consumerPid="", state="REQUESTED")
            puppet.answers["TransferRequestMessage"] = (200, told)
            asking = asyncio.create_task(_ask(p, record))
            asked = await puppet.hears("TransferRequestMessage")
            mine = asked.message["consumerPid"]
            address = {
                "@type": "DataAddress", "endpointType": "x", "endpointProperties": [
                    {"@type": "EndpointProperty", "name": "endpoint", "value": endpoint},
                    {"@type": "EndpointProperty", "name": "authorization", "value": "a\r\nb: c"},
                ],
            }  # fmt: skip
            start = said(
                "TransferStartMessage", consumerPid=mine, providerPid=theirs, dataAddress=address
            )
            p.net.stream = guard.stream  # type: ignore[method-assign]  # the real fetcher
            p.net.fetch = PairNet.fetch.__get__(_Only(stream))  # type: ignore[method-assign]
            answer = await puppet.post(f"/transfers/{mine}/start", start)
            if endpoint:
                assert answer.status == 200, answer
                with pytest.raises(NotReachable):
                    await asking
                ended = said("TransferTerminationMessage", consumerPid=mine, providerPid=theirs)
                await puppet.post(f"/transfers/{mine}/termination", ended)
            else:
                assert answer.status == 400
                asking.cancel()
            p.net.stream = stream  # type: ignore[method-assign]  # back

        try:
            for at, endpoint in enumerate((*INSIDE, BASE)):
                await refused(endpoint, f"pp-{at}")
        finally:
            await guard.close()

    stage(tmp_path, story, against="consumer")


class _Only:
    def __init__(self, stream: Any) -> None:
        self.stream = stream


async def _ask(p: Pair, record: Any) -> None:
    asked = p.consumer.engine.reach.request(
        p.home("consumer"), record, method="GET", path="/", headers={}
    )
    async with asked as answer:
        raise AssertionError(answer.status)


def test_a_pid_that_names_two_processes(tmp_path: Path) -> None:
    """The second ends: its row would be acknowledged, and never settled, for ever."""

    async def story(p: Pair, puppet: Puppet) -> None:
        store = p.consumer.store.of("consumer")
        for ends in (("REQUESTED",), ("TERMINATED",)):
            begun = await p.consumer.engine.reception.request(
                p.home("consumer"), peer=puppet.did, base=BASE, asset="a", offer=MEANT,
                wish_sha=None, service="files",
            )  # fmt: skip
            found = await p.until("consumer", "negotiations", begun.pid, ends)
        assert found.reason == "pid-reused"
        await eventually(lambda: not store.outbox.count(puppet.did))

    stage(tmp_path, story, against="consumer")


def test_a_pid_of_another_process_is_not_learned(tmp_path: Path) -> None:
    async def story(p: Pair, puppet: Puppet) -> None:
        puppet.answers["ContractRequestMessage"] = (503, {})
        begun = []
        for _ in range(2):
            it = await p.consumer.engine.reception.request(
                p.home("consumer"), peer=puppet.did, base=BASE, asset="a", offer=MEANT,
                wish_sha=None, service="files",
            )  # fmt: skip
            begun.append(it.pid)
        got = []
        for pid in begun:
            pids = {"consumerPid": pid, "providerPid": "pp-7"}
            told = said("ContractOfferMessage", **pids, offer={**MEANT, "target": "a"})
            got.append(await puppet.post(f"/negotiations/{pid}/offers", told))
        assert [(it.status, it.code) for it in got[1:]] == [(400, "pid-reused")]
        assert got[0].status == 200

    stage(tmp_path, story, against="consumer")


@pytest.mark.parametrize("date", ["Mon, 01 Jan 99999999999999999999 00:00:00 GMT", "x", ""])
def test_a_date_that_is_none(tmp_path: Path, date: str) -> None:
    async def story(two: Two) -> None:
        await two.know()
        fetch = two.pair.net.fetch

        async def dated(request: Request) -> Response:
            answer = await fetch(request)
            return replace(answer, headers={**answer.headers, "date": date})

        two.pair.net.fetch = dated  # type: ignore[method-assign]  # a partner's words
        got = await two.lab.ask("POST", "peers/stat/test")
        assert got.status == 200, got.body
        (clock,) = [it for it in got.json["checks"] if it["name"] == "clock"]
        assert clock["state"] == "warning"

    played(story)(tmp_path=tmp_path)


@pytest.mark.parametrize("most", [20_000, 1000])
def test_a_catalogue_without_end(tmp_path: Path, most: int) -> None:
    async def story(two: Two) -> None:
        await two.offer()
        await two.know()
        fetch = two.pair.net.fetch
        asked = []

        async def endless(request: Request) -> Response:
            answer = await fetch(request)
            if "catalog" not in request.url:
                return answer
            asked.append(request.url)
            return replace(answer, headers={"link": f'<{request.url}>; rel="next"'})

        two.pair.net.fetch = endless  # type: ignore[method-assign]  # a partner's words
        got = await two.lab.ask("POST", "catalogs", {"text": ""})
        assert (got.status, got.json["items"]) == (200, [])
        assert got.json["silent"][0]["why"] == "their catalogue is longer than we read"
        assert len(asked) < 30

    played(story, **{"limits.catalog_read_bytes_max": most})(tmp_path=tmp_path)
