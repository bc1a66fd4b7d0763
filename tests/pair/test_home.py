# SPDX-License-Identifier: Apache-2.0
"""The home face itself: doors, lists, repeated requests, events, health, what an operator does."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from tests.pair.people import Person, Two, played


@played
async def test_doors(two: Two) -> None:
    lab = two.lab
    assert (await lab.ask("GET", "peers", headers={"host": "evil.example"})).status == 421
    got = await lab.ask("GET", "peers", headers={"authorization": ""})
    assert (got.status, got.json["code"]) == (401, "not-signed-in")
    assert got.headers["www-authenticate"] == "Bearer"
    assert (
        await lab.ask("GET", "peers", headers={"authorization": "Bearer cor_a_b"})
    ).status == 401
    assert (await lab.ask("GET", "/api/v1/p/nobody/peers")).status == 404
    assert (await lab.ask("GET", "peers?colour=red")).json["errors"][0]["path"] == "colour"
    assert (await lab.ask("GET", "peers?limit=201")).status == 400
    assert (await lab.ask("GET", "peers?after=MTIz")).status == 400
    bad = await lab.ask("POST", "peers", {"did": 5})
    assert bad.json["errors"][0]["path"] == "$.did"
    assert (await lab.ask("POST", "peers", b'{"did": "a", "did": "b"}')).status == 400

    made = await lab.ask(
        "POST", "/api/v1/tokens", {"name": "Noor", "roles": ["auditor"], "participant": "consumer"}
    )
    assert made.status == 201
    noor = Person(**{**vars(lab), "token": made.json["secret"]})
    assert (await noor.ask("GET", "/api/v1/me")).json["roles"] == {"consumer": ["auditor"]}
    assert (await noor.ask("GET", "ledger/entries")).status == 200
    refused = await noor.ask("POST", "negotiations", {"partner": "stat", "asset": "a"})
    assert (refused.status, refused.json["code"]) == (403, "not-allowed")
    assert (await noor.ask("GET", "/api/v1/tokens")).status == 403
    (kept,) = (await lab.ask("GET", "/api/v1/tokens")).json["items"]
    assert (kept["name"], kept["secret"]) == ("Noor", "")
    assert (await lab.ask("DELETE", f"/api/v1/tokens/{kept['id']}")).status == 204
    assert (await noor.ask("GET", "/api/v1/me")).status == 401


@played
async def test_the_same_key_is_the_same_request(two: Two) -> None:
    await two.offer()
    await two.know()
    asked = {"partner": "stat", "asset": "population", "reuse": False, "wait_s": 5.0}
    key = {"idempotency-key": "k-1"}
    first = await two.lab.ask("POST", "negotiations", asked, headers=key)
    again = await two.lab.ask("POST", "negotiations", asked, headers=key)
    assert (again.status, again.body) == (200, first.body)
    assert len((await two.lab.ask("GET", "agreements")).json["items"]) == 1
    other = await two.lab.ask("POST", "negotiations", {**asked, "note": "x"}, headers=key)
    assert (other.status, other.json["code"]) == (422, "key-reused")
    failed = {"idempotency-key": "k-2"}
    for _ in range(2):  # what failed may come again
        got = await two.lab.ask("POST", "negotiations", {**asked, "asset": "no"}, headers=failed)
        assert got.status == 404


@played
async def test_lists_go_on_where_they_stopped(two: Two) -> None:
    await two.offer()
    await two.know()
    made = [(await two.deal(reuse=False))["id"] for _ in range(3)]
    found, path = [], "agreements?limit=2&role=consumer&partner=stat"
    page = (await two.lab.ask("GET", path)).json
    found += [it["id"] for it in page["items"]]
    assert page["next"]
    page = (await two.lab.ask("GET", f"{path}&after={page['next']}")).json
    assert found + [it["id"] for it in page["items"]] == made
    stolen = await two.lab.ask("GET", f"peers?after={page['next'] or 'AAAA'}")
    assert stolen.status == 400
    begun = made[0].removeprefix("urn:uuid:")
    assert (await two.lab.ask("GET", f"agreements/{begun}")).json["id"] == made[0]
    ambiguous = await two.lab.ask("GET", f"agreements/{begun[:8]}")
    assert ambiguous.status == 400
    assert (await two.lab.ask("GET", "agreements/population")).json["id"] == made[2]


@played
async def test_events_come_as_they_happen_and_resume(two: Two) -> None:
    await two.offer()
    await two.know()
    stream = two.lab.talk("GET", "events?kind=negotiation", [b""], {})
    assert (await anext(stream))["status"] == 200
    assert (await anext(stream))["body"] == b": here\n\n"
    await two.deal()
    first = (await anext(stream))["body"].decode()
    assert first.startswith("id: ")
    assert "event: negotiation.requested" in first
    await stream.aclose()
    last = first.split("\n")[0].removeprefix("id: ")
    stream = two.lab.talk("GET", "events", [b""], {"last-event-id": last})
    await anext(stream)
    await anext(stream)
    assert "event: negotiation." in (await anext(stream))["body"].decode()
    two.lab.management.drain()
    rest = [message["body"] async for message in stream]
    assert rest[-1].startswith(b"event: bye")


@played
async def test_a_broken_answer_is_never_taken_for_the_whole(two: Two) -> None:
    await two.offer()
    await two.know()
    deal = await two.deal()
    await two.lab.ask("POST", "transfers", {"deal": deal["id"], "wait_s": 5.0})
    path = two.pair.folder / "provider" / "assets" / "provider" / "population" / "population.csv"
    path.write_bytes(b"x" * (24 << 20))  # more than lies between a sender and its reader
    assert (await two.lab.ask("GET", f"agreements/{deal['id']}/files")).status == 200
    stream = two.lab.talk("GET", f"agreements/{deal['id']}/files", [b""], {})
    assert (await anext(stream))["status"] == 200
    await anext(stream)
    ended = await two.stat.ask("POST", f"agreements/{deal['id']}/withdraw", {"reason": "at once"})
    assert ended.json["streams"] == 1
    rest = [message async for message in stream]
    assert rest[-1] == {"type": "torn"}
    seen = (await two.lab.ask("GET", f"agreements/{deal['id']}/receipts")).json["items"]
    assert [it["whole"] for it in seen] == [True, False]


@played
async def test_keys_health_and_numbers(two: Two) -> None:
    rotated = (await two.stat.ask("POST", "keys/rotate", {})).json
    assert (rotated["use"], rotated["state"]) == ("dsp", "next")
    keys = (await two.stat.ask("GET", "keys")).json["items"]
    assert all(it["public"] == "" for it in keys if it["alg"] == "HMAC")
    node = (await two.stat.ask("GET", "/api/v1/node")).json
    assert node["ready"]
    assert (await two.stat.ask("GET", "/healthz", headers={"authorization": ""})).body == b"ok\n"
    ready = await two.stat.ask("GET", "/readyz?verbose", headers={"authorization": ""})
    assert ready.json["ready"]
    assert [it["name"] for it in ready.json["checks"]] == [
        "store",
        "keys",
        "disk",
        "clock",
        "serving",
    ]
    text = (await two.stat.ask("GET", "/metrics")).body.decode()
    assert 'corridor_http_requests_total{surface="home",route="keys",status="200"} 1' in text
    assert "corridor_ready 1" in text


at_once_dead = partial(played, **{"limits.deliver_dead_after_s": 0.0})


async def dead_letter(two: Two) -> tuple[str, dict[str, Any]]:
    """A request that could not be delivered: (its id, the letter)."""
    await two.offer()
    await two.know()
    await two.lab.ask("POST", "catalogs", {})
    two.pair.net.down.add("localhost:7101")
    asked = {"partner": "stat", "asset": "population", "wait_s": 0.0}
    got = await two.lab.ask("POST", "negotiations", asked)
    assert (got.status, got.json["pending"]) == (202, True)
    assert got.json["waiting_for"] in ("the node of stat", "an operator here")
    while not (letters := (await two.lab.ask("GET", "outbox")).json["items"]):
        await asyncio.sleep(0)
    two.pair.net.down.clear()
    return got.json["id"], letters[0]


@at_once_dead
async def test_a_dead_letter_waits_for_a_person(two: Two) -> None:
    pid, letter = await dead_letter(two)
    assert letter["state"] == "dead"
    shown = (await two.lab.ask("GET", f"agreements/{pid}")).json
    assert shown["waiting_for"] == "an operator here"
    assert (await two.lab.ask("POST", f"outbox/{letter['id']}/retry")).status == 200
    await two.pair.until("consumer", "negotiations", pid, ("FINALIZED",))
    assert (await two.lab.ask("POST", f"outbox/{letter['id']}/retry")).status == 412


@at_once_dead
async def test_an_abandoned_letter_ends_its_process(two: Two) -> None:
    pid, letter = await dead_letter(two)
    assert (await two.lab.ask("POST", f"outbox/{letter['id']}/abandon")).status == 200
    shown = (await two.lab.ask("GET", f"negotiations/{pid}")).json
    assert (shown["state"], shown["reason"], shown["may"]) == ("TERMINATED", "abandoned", [])
