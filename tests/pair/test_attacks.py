# SPDX-License-Identifier: Apache-2.0
"""Attacks by peers, by partners that serve us, and by people of our own who hold some token."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest
from tests.pair.pair import Pair
from tests.pair.people import Person, Two, played
from tests.pair.puppet import BASE, HOST, Puppet, said, stage
from tests.pair.using import COR, USE, Reading, entries, eventually, limit, limited, reading

from corridor.http.roles import ROLES
from corridor.policy import odrl
from corridor.wire.home import OPERATIONS
from corridor.world import Request

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


def test_a_catalogue_page_costs_what_was_looked_at_for_it(tmp_path: Path) -> None:
    async def story(p: Pair, puppet: Puppet) -> None:
        for at in range(100):
            nobody = {"show_to": {"recipient": ["did:web:friend.example"]}}
            await p.offer(USE, asset=f"a{at}", audience=nobody)
        asked = said("CatalogRequestMessage")
        got = [(await puppet.post("/catalog/request", asked)).status for _ in range(8)]
        assert got[:2] == [200, 200]
        assert got[-1] == 503

    limits = {"limits.peer_requests_burst": 10, "limits.peer_requests_per_s": 1}
    stage(tmp_path, story, **limits)


def test_a_long_listing_is_counted(tmp_path: Path) -> None:
    async def story(p: Pair, _: Puppet) -> None:
        folder = p.folder / "provider" / "assets" / "many"
        deep = folder.joinpath(*["d" * 240] * 3)
        deep.mkdir(parents=True)
        for at in range(1300):
            (deep / f"{at:04}").touch()
        terms = limited(limit(f"{COR}bytesPerDay", "lteq", "3000000"))
        it = await reading(p, await p.agree(terms, source={"path": str(folder)}))
        got = [await it.get() for _ in range(3)]
        assert [answer.status for answer in got] == [200, 200, 429]
        size = len(got[0].body)
        assert 1 << 20 < size < 1_500_000
        await p.net.settle()
        told = [each["counts"]["bytes_out"] for each in entries(p) if each["type"] == "receipt"]
        assert told == [size, size]

    stage(tmp_path, story)


@pytest.mark.parametrize("code", ["agreement-withdrawn", "agreement-ended", "AGREEMENT-RETURNED"])
def test_only_the_provider_withdraws(tmp_path: Path, code: str) -> None:
    async def story(p: Pair, puppet: Puppet) -> None:
        agreement = await puppet.finalize(await p.offer(USE))
        plane = await puppet.started(agreement)
        pids = {"consumerPid": "pc-9", "providerPid": plane.theirs}
        ended = said("TransferTerminationMessage", **pids, code=code, reason=[code])
        assert (await puppet.post(f"/transfers/{plane.theirs}/termination", ended)).status == 200
        store = p.provider.store.of("provider")
        assert store.agreements.get(agreement, "provider").state == "live"
        assert (await plane.get()).status == 401

    stage(tmp_path, story)


def test_an_agreement_of_ours_is_not_given_to_us(tmp_path: Path) -> None:
    """With one id in both roles, the end of the one would touch what belongs to the other."""

    async def story(p: Pair, puppet: Puppet) -> None:
        agreement = await puppet.finalize(await p.offer(USE))
        meant = {"@id": "urn:x", "@type": "Offer", **USE}
        begun = await p.provider.engine.reception.request(
            p.home("provider"), peer=puppet.did, base=BASE, asset="a", offer=meant,
            wish_sha=odrl.read(meant).terms_hash, service="files",
        )  # fmt: skip
        heard = await puppet.hears("ContractRequestMessage")
        pids = {"consumerPid": heard.message["consumerPid"], "providerPid": "pp-1"}
        told = {
            "@id": agreement, "@type": "Agreement", "target": "a", "assigner": puppet.did,
            "assignee": p.home("provider").did, "timestamp": "2026-01-01T00:00:00Z", **USE,
        }  # fmt: skip
        answer = await puppet.post(
            f"/negotiations/{begun.pid}/agreement",
            said("ContractAgreementMessage", **pids, agreement=told),
        )
        assert (answer.status, answer.code) == (400, "agreement-differs")
        assert p.provider.store.of("provider").agreements.get(agreement, "consumer") is None

    stage(tmp_path, story)


@pytest.mark.parametrize("method", ["DELETE", "GET", "PUT\r\nX: y", "post"])
def test_a_push_is_nothing_but_a_push(tmp_path: Path, method: str) -> None:
    async def story(p: Pair, puppet: Puppet) -> None:
        agreement = await puppet.finalize(await p.offer(USE))
        properties = {"endpoint": f"http://{HOST}/sink/1", "method": method}
        address = {
            "@type": "DataAddress", "endpointType": "x", "endpointProperties": [
                {"@type": "EndpointProperty", "name": name, "value": value}
                for name, value in properties.items()
            ],
        }  # fmt: skip
        told = {"agreementId": agreement, "format": "HttpData-PUSH", "callbackAddress": BASE}
        asked = said("TransferRequestMessage", consumerPid="pc-1", dataAddress=address, **told)
        answer = await puppet.post("/transfers/request", asked)
        assert (answer.status, answer.code) == (400, "callback")
        assert not puppet.pushed

    stage(tmp_path, story)


@pytest.mark.parametrize(
    "path",
    [
        "..", "../greeting.txt", "a/../../greeting.txt", "/etc/passwd", "//etc/passwd", ".hidden",
        "a\\..\\..\\x", "a\0.txt", "in/../secret", "link", "outside/secret.txt", "x" * 2000,
        "in/" * 500, "in/./one.txt", "in//one.txt", "\ud83d", "%2e%2e/secret.txt",
    ],
)  # fmt: skip
def test_no_path_leads_out_of_the_folder(tmp_path: Path, path: str) -> None:
    async def story(p: Pair, _: Puppet) -> None:
        p.file("shown/in/one.txt", b"one")
        p.file("shown/.hidden", b"hidden")
        secret = p.file("secret.txt", b"secret")
        folder = p.folder / "provider" / "assets" / "shown"
        (folder / "link").symlink_to(secret)
        (folder / "outside").symlink_to(secret.parent)
        it = await reading(p, await p.agree(USE, source={"path": str(folder)}))
        assert (await it.get("in/one.txt")).body == b"one"
        status = await _status(p, it, path)
        assert status in (400, 404), status

    stage(tmp_path, story)


async def _status(p: Pair, it: Reading, path: str) -> int:
    """Asked as a listener would ask: the path decoded already."""
    told: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        told.append(message)

    scope = {
        "type": "http", "method": "GET", "query_string": b"", "client": ("127.0.0.1", 1),
        "path": it.endpoint.partition("7101")[2] + path,
        "headers": [(b"authorization", f"Bearer {it.token}".encode())],
    }  # fmt: skip
    await p.provider.asgi_peer(scope, receive, send)
    assert b"secret" not in told[-1]["body"]
    return int(told[0]["status"])


def test_renewing_again_and_again_gives_the_same_token(tmp_path: Path) -> None:
    async def story(p: Pair, puppet: Puppet) -> None:
        plane = await puppet.started(await puppet.finalize(await p.offer(USE)))
        base = plane.endpoint.rstrip("/")
        got = [await puppet.post("/renew", {}, base=base) for _ in range(5)]
        assert [it.status for it in got] == [200] * 5, got
        assert len({it.value["authorization"] for it in got}) == 1
        assert [it.get("outcome") for it in entries(p)].count("renewed") == 1
        token = puppet.token(b"{}")
        again = [
            (await puppet.post("/renew", {}, base=base, authorization=token)).status
            for _ in range(2)
        ]
        assert again == [200, 401]

    stage(tmp_path, story)
