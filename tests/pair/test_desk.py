# SPDX-License-Identifier: Apache-2.0
"""What people of two nodes do with each other, through their management APIs alone."""

from __future__ import annotations

from functools import partial
from hashlib import sha256
from typing import Any

import pyarrow as pa
import pyarrow.ipc
import pytest
from tests.pair.people import CSV, OPEN, PURPOSE, Two, played

from corridor.wire.home import ARROW


@played
async def test_from_nothing_to_proof_and_the_end(two: Two) -> None:
    offer = await two.offer()
    partner = await two.know()
    assert partner["did"] == two.pair.home("provider").did
    assert partner["address"] == two.pair.home("provider").dsp_url

    found = (await two.lab.ask("POST", "catalogs", {"text": "POPULA"})).json
    (asset,) = found["items"]
    assert (asset["partner"], asset["id"], asset["service"]) == ("stat", "population", "files")
    assert asset["offers"][0]["id"] == offer["id"]
    assert asset["offers"][0]["requestable"]
    assert asset["offers"][0]["plain"] == ["May use the asset."]

    deal = await two.deal(note="a study")
    assert (deal["state"], deal["role"], deal["pending"]) == ("live", "consumer", False)
    assert deal["terms_sha"] == offer["terms_sha"] == asset["offers"][0]["terms_sha"]
    assert "corridor fetch" in deal["what_next"]

    got = await two.lab.ask("GET", f"agreements/{deal['id']}/files")
    assert (got.status, got.body) == (200, CSV)
    assert got.headers["content-length"] == str(len(CSV))
    part = await two.lab.ask("GET", "agreements/population/files", headers={"range": "bytes=5-9"})
    assert (part.status, part.body) == (206, CSV[5:10])
    assert part.headers["content-range"] == f"bytes 5-9/{len(CSV)}"

    seen = (await two.lab.ask("GET", "agreements/population/receipts")).json["items"]
    assert [(it["bytes"], it["whole"]) for it in seen] == [(len(CSV), True), (5, True)]
    assert seen[0]["sha256"] == sha256(CSV).hexdigest()
    for it, compared in zip(seen, ("ok", "skipped"), strict=True):
        path = f"agreements/{deal['id']}/receipts/{it['id']}/verify"
        checked = (await two.lab.ask("POST", path)).json
        assert checked["ok"], checked
        assert checked["act"] == "file"
        assert checked["steps"][6]["state"] == compared
    given = (await two.stat.ask("GET", f"agreements/{deal['id']}/receipts")).json["items"]
    assert [it["id"] for it in given] == [it["id"] for it in seen]

    shown = (await two.lab.ask("GET", f"agreements/{deal['id']}")).json
    lines = [(it["who"], it["what"]) for it in shown["timeline"]]
    assert ("this node", "asked for an agreement") in lines
    assert ("stat", "agreed") in lines
    assert shown["note"] == "a study"

    path = f"agreements/{deal['id']}/withdraw"
    would = (await two.stat.ask("POST", path, {"dry_run": True})).json
    assert (would["done"], would["sessions"], would["transfers"]) == (False, 1, 1)
    assert (await two.stat.ask("POST", path, {})).json["code"] == "invalid"
    ended = (await two.stat.ask("POST", path, {"reason": "the legal basis ended"})).json
    assert ended["done"]
    assert ended["view"]["state"] == "withdrawn"
    assert ended["entry"]
    await two.pair.until("consumer", "transfers", (await _transfer(two))["pid"], ("TERMINATED",))
    refused = await two.lab.ask("GET", f"agreements/{deal['id']}/files")
    assert (refused.status, refused.json["code"]) == (403, "agreement-withdrawn"), refused.json
    assert "the legal basis ended" in refused.json["why"]


async def _transfer(two: Two) -> dict[str, Any]:
    (it,) = (await two.lab.ask("GET", "transfers")).json["items"]
    return it


@played
async def test_a_request_is_repeatable_and_names_its_purpose(two: Two) -> None:
    await two.offer(PURPOSE)
    await two.know()
    asked = {"partner": "stat", "asset": "population"}
    got = await two.lab.ask("POST", "negotiations", asked)
    assert (got.status, got.json["code"]) == (400, "purpose-missing")
    assert got.json["cause"] == "it allows: official-statistics"
    assert got.json["mend"] == "--purpose official-statistics"
    other = await two.lab.ask("POST", "negotiations", {**asked, "purpose": "hosting"})
    assert other.json["code"] == "purpose-missing"

    first = await two.deal(purpose="official-statistics")
    assert first["purpose"] == "official-statistics"
    assert first["obligations"] == ["share"]
    again = await two.deal(purpose="official-statistics")
    assert again["id"] == first["id"]
    anew = await two.deal(purpose="official-statistics", reuse=False)
    assert anew["id"] != first["id"]

    narrow = PURPOSE.replace("day: 5", "day: 1")
    less = await two.deal(purpose="official-statistics", terms=narrow)
    assert less["terms_sha"] != first["terms_sha"]
    wide = await two.lab.ask(
        "POST",
        "negotiations",
        {**asked, "purpose": "official-statistics", "terms": PURPOSE.replace("day: 5", "day: 9")},
    )
    assert (wide.status, wide.json["code"]) == (403, "terms-wider"), wide.json

    path = f"agreements/{less['id']}/files"
    assert (await two.lab.ask("GET", path)).status == 200
    spent = await two.lab.ask("GET", path)
    assert (spent.status, spent.json["code"]) == (429, "budget-spent"), spent.json
    usage = (await two.stat.ask("GET", f"agreements/{less['id']}")).json["usage"]
    assert [(it["quota"], it["used"], it["cap"]) for it in usage] == [("requests.day", "1", "1")]

    reference = spent.json["reference"]
    told = (await two.stat.ask("GET", f"explain/{reference}")).json
    assert (told["outcome"], told["rule"]) == ("denied", "quota.requests.day")
    would = {"deal": first["id"], "action": "read", "purpose": "official-statistics"}
    assert (await two.stat.ask("POST", "explain", would)).json["outcome"] == "allowed"
    would["purpose"] = "hosting"
    told = (await two.lab.ask("POST", "explain", would)).json
    assert (told["outcome"], told["rule"]) == ("denied", "purpose")


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ("require: {approval: director}", "require"),
        ("duties: [{delete: {after: P9D}}]", "duties"),
        ("negotiate: {wider: ask}", "negotiate"),
    ],
)
@played
async def test_what_nobody_would_hold_is_not_published(two: Two, line: str, path: str) -> None:
    offer = {"terms": f"{OPEN}{line}\n", "source": {"path": "assets/provider/population/a.csv"}}
    await two.stat.ask("PUT", "assets/population/content/a.csv", CSV)
    got = await two.stat.ask("POST", "offers", {**offer, "service": "files"})
    assert got.status == 400
    assert [(it["path"], it["code"], it["line"]) for it in got.json["errors"]] == [
        (path, "terms-unenforced", 4)
    ]
    checked = await two.stat.ask("POST", "terms:check", {**offer, "service": "files"})
    assert checked.status == 200
    assert [it["code"] for it in checked.json["problems"]] == ["terms-unenforced"]
    assert (await two.stat.ask("GET", "offers")).json["items"] == []


@played
async def test_offers_are_looked_at_checked_published_once_and_hidden(two: Two) -> None:
    await two.stat.ask("PUT", "assets/population/content/a.csv", CSV)
    source = {"path": "assets/provider/population/a.csv"}
    for pattern in ("open", "official-statistics", "research"):
        ask = {"source": source, "asset": "population", "service": "files", "pattern": pattern}
        looked = (await two.stat.ask("POST", "assets:look", ask)).json
        assert looked["detail"]["size"] == len(CSV)
        checked = await two.stat.ask(
            "POST", "terms:check", {"terms": looked["terms"], "source": source, "service": "files"}
        )
        assert checked.json["problems"] == [], checked.json
        assert checked.json["plain"]
    first, again = await two.offer(), await two.offer()
    assert first["id"] == again["id"]
    other = await two.offer(PURPOSE)
    assert [it["code"] for it in other["warnings"]] == ["offer-beside"]
    hidden = await two.stat.ask("POST", f"offers/{first['id']}/hide")
    assert hidden.json["state"] == "hidden"
    await two.know()
    (asset,) = (await two.lab.ask("POST", "catalogs", {"partner": "stat"})).json["items"]
    assert [it["id"] for it in asset["offers"]] == [other["id"]]
    back = await two.stat.ask("POST", f"offers/{first['id']}/publish")
    assert back.json["state"] == "published"
    assert (await two.stat.ask("GET", "assets/population")).json["offers"] == [
        first["id"],
        other["id"],
    ]


@played
async def test_an_upload_stays_in_its_folder(two: Two) -> None:
    put = await two.stat.ask("PUT", "assets/p/content/a.bin", blocks=[b"ab", b"", b"cd"])
    assert put.json["sha256"] == sha256(b"abcd").hexdigest()
    assert (
        two.pair.folder / "provider" / "assets" / "provider" / "p" / "a.bin"
    ).read_bytes() == b"abcd"
    for asset, name in (("p", ".hidden"), ("..", "a"), ("p", "a\\b")):
        got = await two.stat.ask("PUT", f"assets/{asset}/content/{name}", b"x")
        assert got.status == 400, (asset, name)
    folder = two.pair.folder / "provider" / "assets"
    (folder / "another").mkdir()
    (folder / "another" / "secret").write_bytes(b"theirs")
    for path in ("assets/another/secret", str(folder / "another" / "secret"), str(folder)):
        got = await two.stat.ask(
            "POST", "assets:look", {"source": {"path": path}, "asset": "p", "service": "files"}
        )
        assert (got.status, got.json["code"]) == (400, "source-outside"), path
    assert [it.name for it in folder.iterdir() if it.name.startswith(".")] == []


@played
async def test_a_connection_has_six_checks(two: Two) -> None:
    await two.know()
    tested = (await two.lab.ask("POST", "peers/stat/test")).json
    assert tested["ok"], tested
    assert [it["name"] for it in tested["checks"]] == [
        "address",
        "did",
        "version",
        "clock",
        "catalogue",
        "ourselves",
    ]
    assert {it["name"]: it["state"] for it in tested["checks"]}["clock"] == "warning"
    del two.pair.net.apps["localhost:7101"]
    tested = (await two.lab.ask("POST", "peers/stat/test")).json
    assert not tested["ok"]
    states = {it["name"]: it["state"] for it in tested["checks"]}
    assert states["address"] == "failed"
    assert states["catalogue"] == "skipped"
    assert states["ourselves"] == "ok"
    found = (await two.lab.ask("POST", "catalogs", {})).json
    assert [it["partner"] for it in found["silent"]] == ["stat"]
    gone = await two.lab.ask("POST", "catalogs", {"partner": "stat"})
    assert (gone.status, gone.json["side"]) == (502, "partner")
    assert (await two.lab.ask("DELETE", "peers/stat")).status == 204
    assert (await two.lab.ask("GET", "peers/stat")).status == 404


@played
async def test_transfers_by_hand(two: Two) -> None:
    await two.offer()
    await two.know()
    deal = await two.deal()
    begun = await two.lab.ask("POST", "transfers", {"deal": deal["id"], "wait_s": 5.0})
    assert (begun.status, begun.json["state"]) == (200, "STARTED")
    pid = begun.json["pid"]
    address = (await two.lab.ask("GET", f"transfers/{pid}/address")).json
    assert address["authorization"].startswith("c1.")
    assert "/data/" in address["endpoint"]
    theirs = (await two.stat.ask("GET", "transfers")).json["items"][0]
    assert (theirs["peer_pid"], theirs["session_state"]) == (pid, "open")
    paused = await two.stat.ask("POST", f"transfers/{theirs['pid']}/suspend", {"reason": "a pause"})
    assert paused.status == 200, paused.body
    await two.pair.until("consumer", "transfers", pid, ("SUSPENDED",))
    await two.pair.until("provider", "transfers", theirs["pid"], ("SUSPENDED",))
    assert (await two.lab.ask("GET", f"transfers/{pid}/address")).status == 412
    resumed = await two.stat.ask("POST", f"transfers/{theirs['pid']}/resume")
    assert resumed.status == 200, resumed.body
    await two.pair.until("consumer", "transfers", pid, ("STARTED",))
    assert (await two.lab.ask("GET", f"agreements/{deal['id']}/files")).body == CSV
    done = await two.lab.ask("POST", f"transfers/{pid}/complete")
    assert done.status == 200, done.body
    await two.pair.until("provider", "transfers", theirs["pid"], ("COMPLETED",))
    back = await two.lab.ask(
        "POST", f"agreements/{deal['id']}/give-back", {"reason": "not needed any more"}
    )
    assert back.json["view"]["state"] == "returned"


@played
async def test_the_ledger_is_shown_and_verified(two: Two) -> None:
    await two.offer()
    await two.know()
    deal = await two.deal()
    every = (await two.stat.ask("GET", "ledger/entries?limit=200")).json["items"]
    assert [it["index"] for it in every] == list(range(len(every)))
    found: list[Any] = []
    path = "ledger/entries?limit=3&order=newest"
    after = ""
    while True:
        page = (await two.stat.ask("GET", f"{path}{after}")).json
        found += page["items"]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    seen = [it["index"] for it in found]
    assert sorted(seen, reverse=True) == seen
    assert set(range(len(every))) <= set(seen)
    of_deal = (await two.stat.ask("GET", f"ledger/entries?deal={deal['id']}")).json["items"]
    assert {"message.received", "agreement.concluded"} <= {it["type"] for it in of_deal}
    checked = (await two.stat.ask("POST", "ledger/verify")).json
    assert checked["ok"], checked
    assert checked["checkpoint_size"] == checked["size"]
    entry = (await two.stat.ask("GET", f"ledger/entries/{every[0]['id']}")).json
    assert entry == every[0]


TABLE = """title: {en: Population}
asset: population
allow:
  - action: read
    purpose: [official-statistics]
    columns: {year: dimension}
    rows: [year >= 1960]
"""


@partial(played, rooms=True)
async def test_a_table_is_asked_through_our_node(two: Two) -> None:
    put = (await two.stat.ask("PUT", "assets/population/content/p.csv", CSV)).json
    source = {"path": put["path"]}
    ask = {"source": source, "asset": "population"}
    looked = (await two.stat.ask("POST", "assets:look", ask)).json
    assert (looked["service"], looked["columns"]) == ("tables", ["year", "persons"])
    for terms in (looked["terms"], TABLE):
        checked = (
            await two.stat.ask("POST", "terms:check", {"terms": terms, "source": source})
        ).json
        assert checked["problems"] == [], checked
    wrong = TABLE.replace("year:", "yaer:")
    checked = (await two.stat.ask("POST", "terms:check", {"terms": wrong, "source": source})).json
    assert [(it["code"], it["line"]) for it in checked["problems"]] == [("terms-column", 6)]
    secret = TABLE.replace("read", "aggregate")
    checked = (await two.stat.ask("POST", "terms:check", {"terms": secret, "source": source})).json
    assert checked["problems"]
    offered = await two.stat.ask(
        "POST", "offers", {"terms": TABLE, "source": source, "synthetic": True, "licence": "CC0"}
    )
    assert offered.status == 201, offered.body

    await two.know()
    (asset,) = (await two.lab.ask("POST", "catalogs", {"service": "tables"})).json["items"]
    assert (asset["columns"], asset["synthetic"], asset["licence"]) == (["year"], True, "CC0")
    deal = await two.deal(purpose="official-statistics")
    assert deal["columns"] == ["year"]

    path = f"agreements/{deal['id']}/query"
    got = await two.lab.ask("POST", path, {"select": ["year"], "order": ["year"], "limit": 3})
    assert (got.status, got.headers["content-type"]) == (200, ARROW), got.body
    with pa.ipc.open_stream(got.body) as stream:
        assert stream.read_all().to_pydict() == {"year": [1960, 1961, 1962]}
    (seen,) = (await two.lab.ask("GET", f"agreements/{deal['id']}/receipts")).json["items"]
    assert got.headers["corridor-receipt"].startswith(f'"{seen["id"]}"')
    checked = (
        await two.lab.ask("POST", f"agreements/{deal['id']}/receipts/{seen['id']}/verify")
    ).json
    assert (checked["ok"], checked["act"]) == (True, "query")
    assert [it["state"] for it in checked["steps"]].count("skipped") == 1

    refused = await two.lab.ask("POST", path, {"select": ["persons"]})
    assert (refused.status, refused.json["code"]) == (403, "query-refused"), refused.json
    assert (refused.json["rule"], "year" in refused.json["would_pass"]) == ("columns", True)
    why = await two.stat.ask("GET", f"explain/{refused.json['reference']}")
    assert why.json["rule"] == "columns", why.json
    ask = {"select": ["persons"]}
    told = (await two.lab.ask("POST", f"agreements/{deal['id']}/explain", ask)).json
    assert (told["outcome"], told["rule"]) == ("denied", "columns")
    assert (await two.lab.ask("POST", path, b"not json")).status == 400
