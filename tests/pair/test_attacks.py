# SPDX-License-Identifier: Apache-2.0
"""Attacks by peers, by partners that serve us, and by people of our own who hold some token."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.pair.pair import Pair, PairNet
from tests.pair.people import Person, Two, played
from tests.pair.puppet import BASE, HOST, Puppet, said, stage
from tests.pair.using import USE, entries, eventually, reading

from corridor.errors import NotReachable
from corridor.http.roles import ROLES
from corridor.limits import Limits
from corridor.outside.net import GuardedNet
from corridor.policy import odrl
from corridor.wire.home import OPERATIONS
from corridor.world import Request, Response

TWO_OF_THEM = {
    "participant": [
        {"id": "provider", "title": {"en": "One"}, "country": "RS"},
        {"id": "consumer", "title": {"en": "Two"}, "country": "RS"},
    ]
}


def of(who: Person, **changes: Any) -> Person:
    return Person(**{**vars(who), **changes})


async def token(who: Person, *roles: str, participant: str = "") -> Person:
    """Somebody with a token of these roles, for one participant or for all."""
    asked = {"name": "Mallory", "roles": roles, "participant": participant}
    made = await who.ask("POST", "/api/v1/tokens", asked)
    assert made.status == 201, made.body
    return of(who, token=made.json["secret"])


# two participants on one node


@pytest.mark.parametrize("role", ["operator", "steward", "analyst", "auditor"])
def test_a_token_of_one_participant_is_nothing_elsewhere(tmp_path: Path, role: str) -> None:
    async def story(two: Two) -> None:
        other = await token(two.stat, "auditor", participant="consumer")
        mallory = await token(two.stat, role, participant="provider")
        (theirs,) = [
            it
            for it in (await two.stat.ask("GET", "/api/v1/tokens")).json["items"]
            if it["participant"] == "consumer"
        ]
        assert (await mallory.ask("GET", "/api/v1/p/consumer/agreements")).status == 404
        assert (await mallory.ask("GET", "/api/v1/p/consumer/ledger/entries")).status == 404
        assert (await mallory.ask("GET", "/api/v1/tokens")).status == 403
        assert (await mallory.ask("DELETE", f"/api/v1/tokens/{theirs['id']}")).status == 403
        asked = {"name": "x", "roles": [role], "participant": "consumer"}
        assert (await mallory.ask("POST", "/api/v1/tokens", asked)).status == 403
        assert (await other.ask("GET", "/api/v1/me")).status == 200

    played(story, **TWO_OF_THEM)(tmp_path=tmp_path)


# what a peer sends


LONG = "x" * 30_000
MEANT = {"@id": "urn:x", "@type": "Offer", **USE}


@pytest.mark.parametrize("where", ["pid", "slashes"])
def test_a_long_name_is_refused_and_nothing_is_left(tmp_path: Path, where: str) -> None:
    async def story(p: Pair, puppet: Puppet) -> None:
        offer = await p.offer(USE)
        path = "/negotiations/request" + ("/" * 20_000 if where == "slashes" else "")
        changes = {"asking": {"@id": "urn:uuid:nobody"}} if where == "slashes" else {}
        pid = LONG if where == "pid" else "pc-1"
        answer = await puppet.post(path, puppet.first(offer, pid, **changes))
        assert answer.status in (400, 404), answer
        assert not p.provider.store.of("provider").negotiations.page()

    stage(tmp_path, story)


def test_a_long_pid_in_an_acknowledgement(tmp_path: Path) -> None:
    async def story(p: Pair, puppet: Puppet) -> None:
        told = said("ContractNegotiation", providerPid=LONG, consumerPid="x", state="REQUESTED")
        puppet.answers["ContractRequestMessage"] = (200, told)
        begun = await p.consumer.engine.reception.request(
            p.home("consumer"), peer=puppet.did, base=BASE, asset="a",
            offer={"@id": "urn:x", "@type": "Offer", **USE}, wish_sha=None, service="files",
        )  # fmt: skip
        await puppet.hears("ContractRequestMessage")
        store = p.consumer.store.of("consumer").negotiations
        found = await eventually(lambda: (it := store.get(begun.pid)).state and it)
        assert len(found.peer_pid or "") < 2000

    stage(tmp_path, story, against="consumer")


def test_a_long_agreement_id(tmp_path: Path) -> None:
    async def story(p: Pair, puppet: Puppet) -> None:
        begun = await p.consumer.engine.reception.request(
            p.home("consumer"), peer=puppet.did, base=BASE, asset="a",
            offer={"@id": "urn:x", "@type": "Offer", **USE},
            wish_sha=odrl.read(MEANT).terms_hash, service="files",
        )  # fmt: skip
        heard = await puppet.hears("ContractRequestMessage")
        agreement = {
            "@id": LONG, "@type": "Agreement", "target": "a", "assigner": puppet.did,
            "assignee": p.home("consumer").did, "timestamp": "2026-01-01T00:00:00Z", **USE,
        }  # fmt: skip
        pids = {"consumerPid": heard.message["consumerPid"], "providerPid": "pp-1"}
        answer = await puppet.post(
            f"/negotiations/{begun.pid}/agreement",
            said("ContractAgreementMessage", **pids, agreement=agreement),
        )
        assert answer.status == 400, answer

    stage(tmp_path, story, against="consumer")


@pytest.mark.parametrize("actor", ["a" * 20_000, "\x80\xff", "a\tb", "x" * 300])
def test_an_actor_that_is_no_pseudonym(tmp_path: Path, actor: str) -> None:
    async def story(p: Pair, _: Puppet) -> None:
        it = await reading(p, await p.agree(USE))
        answer = await it.get(corridor_actor=actor)
        assert answer.status in (200, 400), answer
        assert all(len(str(each.get("actor", ""))) <= 128 for each in entries(p))

    stage(tmp_path, story)


def test_somebody_elses_agreement_is_not_settled_by_who_knows_its_id(tmp_path: Path) -> None:
    async def story(p: Pair, puppet: Puppet) -> None:
        puppet.answers["ContractNegotiationEventMessage"] = (503, {})
        agreement = await puppet.finalize(await p.offer(USE))
        store = p.provider.store.of("provider")
        before = store.negotiations.page()[0]
        assert before.pending == "FINALIZE"
        begun = await p.consumer.engine.reception.transfer(
            p.home("consumer"), agreement_id=agreement, peer=p.home("provider").did,
            base=p.home("provider").dsp_url, format_="HttpData-PULL",
        )  # fmt: skip
        ended = await p.until("consumer", "transfers", begun.pid, ("TERMINATED",))
        assert ended.reason.startswith("unknown-agreement")
        assert store.negotiations.page()[0].pending == "FINALIZE"
        assert store.agreements.get(agreement, "provider").state == "draft"

    stage(tmp_path, story)


# at the limit, and one above


def test_parallel_beginnings_stay_within_the_limit(tmp_path: Path) -> None:
    async def story(p: Pair, puppet: Puppet) -> None:
        offer = await p.offer(USE)

        async def check(url: str, purpose: str) -> None:
            await asyncio.sleep(0.01)

        p.net.check = check  # type: ignore[method-assign]  # a slow name server
        asked = [puppet.first(offer, f"pc-{at}") for at in range(12)]
        got = await asyncio.gather(*(puppet.post("/negotiations/request", each) for each in asked))
        made = sorted(it.status for it in got).count(201)
        assert 1 <= made <= 5
        assert len(p.provider.store.of("provider").negotiations.page()) == made

    stage(tmp_path, story, **{"limits.processes_per_peer_max": 5})


def test_parallel_streams_stay_within_the_limit(tmp_path: Path) -> None:
    async def story(p: Pair, _: Puppet) -> None:
        p.file("big.bin", b"x" * (4 << 20))
        source = {"path": str(p.folder / "provider" / "assets" / "big.bin")}
        it = await reading(p, await p.agree(USE, source=source))
        request = Request(
            purpose="plane", method="GET", url=it.endpoint,
            headers={"authorization": f"Bearer {it.token}"},
        )  # fmt: skip
        gate = asyncio.Event()
        found: list[int] = []

        async def one() -> None:
            async with p.net.stream(request) as answer:
                found.append(answer.status)
                await gate.wait()

        tasks = [asyncio.create_task(one()) for _ in range(9)]
        await eventually(lambda: len(found) == 9)
        gate.set()
        await asyncio.gather(*tasks)
        assert sorted(found) == [200] * 3 + [503] * 6
        await p.net.settle()
        assert (await it.get()).status == 200

    stage(tmp_path, story, **{"limits.streams_per_session_max": 3})


# a partner that serves us


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


@pytest.mark.parametrize("purpose", ["p" * 20_000, "urn:x:" + "\x80" * 4000, "a\tb"])
def test_a_purpose_that_is_none(tmp_path: Path, purpose: str) -> None:
    async def story(p: Pair, _: Puppet) -> None:
        it = await reading(p, await p.agree(USE))
        answer = await it.get(corridor_purpose=purpose)
        assert answer.status in (200, 400, 403), answer

    stage(tmp_path, story)


@pytest.mark.parametrize("role", ["operator", "steward", "analyst", "auditor"])
def test_each_role_may_what_its_table_says_and_no_more(tmp_path: Path, role: str) -> None:
    async def story(two: Two) -> None:
        mallory = await token(two.stat, role)
        for name, operation in OPERATIONS.items():
            if name == "events":
                continue
            path = operation.path.replace("{participant}", "provider")
            path = re.sub(r"\{[a-z]+\*?\}", "nobody", path)
            got = await mallory.ask(operation.method, path, b"" if operation.ask else None)
            allowed = not ROLES[name].roles or role in ROLES[name].roles
            assert (got.status == 403) != allowed, (name, got)
            assert got.status < 500, (name, got)

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


def test_a_hidden_offer_is_as_an_unknown_one(tmp_path: Path) -> None:
    async def story(p: Pair, puppet: Puppet) -> None:
        hidden = await p.offer(USE, audience={"show_to": {"recipient": ["did:web:friend.example"]}})
        unknown = {**hidden, "@id": "urn:uuid:nothing", "target": "nothing"}
        got = []
        for at, it in enumerate((hidden, unknown)):
            one = await puppet.post("/negotiations/request", puppet.first(it, f"pc-{at}"))
            two = await puppet.get(f"/catalog/datasets/{it['target']}")
            told = (json.dumps(each.value).replace(f"pc-{at}", "pc") for each in (one, two))
            got.append((one.status, two.status, *told))
        assert got[0] == got[1]
        assert (got[0][0], got[0][1]) == (400, 404)

    stage(tmp_path, story)


def test_nothing_of_one_participant_opens_another(tmp_path: Path) -> None:
    async def story(p: Pair, puppet: Puppet) -> None:
        agreement = await puppet.finalize(await p.offer(USE))
        plane = await puppet.started(agreement)
        assert (await plane.get()).status == 200
        (receipt,) = [it["id"] for it in entries(p) if it["type"] == "receipt"]
        other = p.provider.engine.ground.homes["consumer"]

        def elsewhere(text: str) -> str:
            return text.replace("/provider/", "/consumer/")

        bearer = {"authorization": f"Bearer {plane.token}"}
        for path in ("", f"/receipts/{receipt}"):
            url = elsewhere(plane.endpoint) + path
            request = Request(purpose="plane", method="GET", url=url, headers=bearer)
            assert (await p.net.fetch(request)).status == 401, path
        negotiation = p.provider.store.of("provider").negotiations.page()[0].pid
        puppet.to = other
        assert (await puppet.get(f"/negotiations/{negotiation}")).status == 404
        assert (await puppet.get(f"/transfers/{plane.theirs}")).status == 404
        told = {"agreementId": agreement, "format": "HttpData-PULL", "callbackAddress": BASE}
        answer = await puppet.post(
            "/transfers/request", said("TransferRequestMessage", consumerPid="pc-77", **told)
        )
        assert (answer.status, answer.code) == (400, "unknown-agreement")
        puppet.to = p.home("provider")
        of_provider = puppet.token(None)
        puppet.to = other
        assert (await puppet.get("/catalog/datasets/x", authorization=of_provider)).status == 401

    stage(tmp_path, story, **TWO_OF_THEM)


def test_no_secret_is_logged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    secrets: list[str] = []

    async def story(p: Pair, puppet: Puppet) -> None:
        plane = await puppet.started(await puppet.finalize(await p.offer(USE)))
        assert (await plane.get()).status == 200
        secrets.append(plane.token.rpartition(".")[2])
        for authorization in ("Bearer hello", f"Bearer {plane.token}x", plane.token):
            request = Request(
                purpose="plane", method="GET", url=plane.endpoint + "/nothing",
                headers={"authorization": authorization},
            )  # fmt: skip
            await p.net.fetch(request)
        token = puppet.token(None)
        secrets.append(token.rpartition(".")[2])
        for path in ("/negotiations/x", "/catalog/datasets/nothing"):
            await puppet.get(path, authorization=token)
        secrets.extend(
            it.headers["authorization"].rpartition(".")[2]
            for it in p.net.sent
            if "authorization" in it.headers
        )
        secrets.append("Good morning.")

    stage(tmp_path, story)
    out, err = capsys.readouterr()
    assert "session.opened" in out
    assert len(secrets) > 5
    assert not [it for it in secrets if len(it) > 8 and it in out + err]
