# SPDX-License-Identifier: Apache-2.0
"""The SDK against real nodes: the same story with and without an event loop, and its refusals."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path

import pytest

import corridor
from corridor.cli.demo_nodes import Pair
from corridor.cli.root import run
from corridor.client import AsyncHome, Home
from corridor.errors import (
    Ended,
    Invalid,
    NotFound,
    NotReachable,
    NotSignedIn,
    QueryRefused,
    Refused,
)

PURPOSE = "official-statistics"


def test_find_request_read_and_prove(home: Home, tmp_path: Path) -> None:
    found = {it.id: it for it in home.find(partner="stat")}
    assert found.keys() == {"three", "big"}
    assert (found["three"].licence, found["three"].service) == ("CC0", "tables")
    deal = found["three"].request(PURPOSE, wait_s=15).wait(timeout_s=15)
    assert deal.state == "live"
    answer = deal.read(["country", "persons"], where=[("year", ">=", 2005)], order=["-persons"])
    assert answer.to_dicts() == [
        {"country": "Kenya", "persons": 3},
        {"country": "China", "persons": 2},
    ]
    receipt = answer.receipt
    verified = receipt.verify()
    assert (verified.request, verified.response) == (True, True)
    assert (receipt.act, receipt.by) == ("query", found["three"].view.partner_did)
    assert corridor.verify(receipt.save(tmp_path / "r.json")).response
    assert receipt.id in [it.id for it in deal.receipts]
    assert all(it.verify() for it in deal.receipts)


def test_a_cell_may_run_twice(home: Home) -> None:
    asset = home.partner("stat").asset("three")
    assert asset.request(PURPOSE).id == asset.request(PURPOSE).id


def test_a_file_comes_whole(home: Home, tmp_path: Path, content: bytes) -> None:
    deal = home.partner("stat").asset("big").request(PURPOSE, wait_s=15)
    assert [(it.name, it.size) for it in deal.files()] == [("", len(content))]
    seen: list[int] = []
    got = deal.fetched(to=tmp_path, progress=lambda done, _: seen.append(done))
    assert got.path.read_bytes() == content
    assert seen[-1] == len(content)
    assert deal.receipt_for(got).verify().response


def test_a_broken_download_goes_on(home: Home, tmp_path: Path, content: bytes) -> None:
    deal = home.partner("stat").asset("big").request(PURPOSE, wait_s=15)

    class Stop(Exception):
        pass

    def stop(done: int, _: int | None) -> None:
        if done >= 1 << 20:
            raise Stop

    with pytest.raises(Stop):
        deal.fetch(to=tmp_path, progress=stop)
    (part,) = tmp_path.glob("*.part")
    before = part.stat().st_size
    assert 0 < before < len(content)
    got = deal.fetched(to=tmp_path)
    assert got.resumed_at == before
    assert got.path.read_bytes() == content
    assert deal.receipt_for(got).verify().response


def test_refusals_say_their_rule(home: Home) -> None:
    deal = home.partner("stat").asset("three").request(PURPOSE)
    with pytest.raises(QueryRefused) as column:
        deal.read(["country", "year"])
    assert column.value.rule == "columns"
    assert "country" in column.value.would_pass
    with pytest.raises(Refused) as purpose:
        deal.read(["country"], purpose="hosting")
    assert purpose.value.rule == "purpose"
    with pytest.raises(QueryRefused) as sql:
        deal.sql("SELECT 1")
    assert "select" in sql.value.would_pass
    assert deal.explain(["country"])["outcome"] == "allowed"
    assert deal.explain(["year"])["rule"] == "columns"


def test_what_is_withdrawn_or_given_back_answers_nothing(home: Home, stat: Home) -> None:
    asset = home.partner("stat").asset("three")
    deal = asset.request(PURPOSE, reuse=False, wait_s=15)
    assert stat.deal(deal.id).withdraw("over", dry_run=True).done is False
    assert deal.read(["country"]).rows == 3
    assert stat.deal(deal.id).withdraw("over").done
    with pytest.raises((Ended, Refused)):
        deal.read(["country"])
    other = asset.request(PURPOSE, reuse=False, wait_s=15)
    assert other.give_back("done").done
    with pytest.raises((Ended, Refused)):
        other.read(["country"])


def test_without_a_token(offered: Pair) -> None:
    stranger = corridor.connect(offered.institute.home_url, token="cor_x_y")
    with stranger, pytest.raises(NotSignedIn):
        stranger.me()


def test_what_is_not_there(home: Home) -> None:
    with pytest.raises(NotFound):
        home.partner("nobody")
    with pytest.raises(NotFound):
        home.partner("stat").asset("nothing")
    with pytest.raises(NotFound):
        home.deal("01999999-0000")


def test_a_node_that_is_away() -> None:
    with (
        corridor.connect("http://127.0.0.1:9", token="x") as home,
        pytest.raises(NotReachable) as caught,
    ):
        home.node()
    assert caught.value.side == "home"


def test_events_are_seen(home: Home) -> None:
    deal = home.partner("stat").asset("three").request(PURPOSE, reuse=False, wait_s=15)
    signal.alarm(20)  # an event that never comes would wait for ever
    try:
        for event in home.watch(since="0"):
            if deal.id in event.subject or deal.view.negotiation in event.subject:
                assert event.at
                break
    finally:
        signal.alarm(0)


def test_the_same_with_an_event_loop(offered: Pair, tmp_path: Path, content: bytes) -> None:
    async def story() -> None:
        async with AsyncHome(offered.institute.place()) as home:
            names = [it.id async for it in home.find(partner="stat")]
            assert sorted(names) == ["big", "three"]
            partner = await home.partner("stat")
            three, big = [await partner.asset(name) for name in ("three", "big")]
            deals = await asyncio.gather(three.request(PURPOSE), big.request(PURPOSE))
            for deal in deals:
                await deal.wait(timeout_s=15)
            answers = await asyncio.gather(*(deals[0].read(["country"]) for _ in range(4)))
            assert [it.rows for it in answers] == [3] * 4
            receipt = await answers[0].receipt
            assert receipt.verify().response
            path = await deals[1].fetch(to=tmp_path)
            assert path.read_bytes() == content
            assert len(await deals[0].receipts) >= 4
            with pytest.raises(QueryRefused):
                await deals[0].read(["year"])
            assert len(await home.deals(state="live").first(1)) == 1

    asyncio.run(story())


def test_nothing_of_the_environment_is_needed(offered: Pair) -> None:
    assert "CORRIDOR_URL" not in os.environ
    with offered.institute.home() as home:
        assert home.node().ready


def test_a_wrong_service_names_the_command_that_fits(home: Home, tmp_path: Path) -> None:
    table = home.partner("stat").asset("three").request(PURPOSE, wait_s=15)
    file = home.partner("stat").asset("big").request(PURPOSE, wait_s=15)
    with pytest.raises(Invalid) as wrong:
        table.fetch(to=tmp_path)
    assert wrong.value.mend == "corridor query three"
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(Invalid) as wrong:
        file.read()
    assert wrong.value.mend == "corridor fetch big"


def test_sql_is_refused_by_its_own_code(home: Home) -> None:
    deal = home.partner("stat").asset("three").request(PURPOSE, wait_s=15)
    with pytest.raises(QueryRefused) as refused:
        deal.sql("SELECT country FROM three")
    assert refused.value.code == "unsupported"


def test_what_was_published_just_now_can_be_asked_for(
    home: Home, stat: Home, tmp_path: Path
) -> None:
    assert [it.id for it in home.find("late")] == []
    (tmp_path / "late.bin").write_bytes(b"x")
    terms = "title: Late\nasset: late\nallow:\n  - action: use\n"
    offer = stat.offers.add(terms, tmp_path / "late.bin", service="files", publish=True)
    assert home.partner("stat").asset("late").id == "late"
    offer.hide()
    assert [it.id for it in home.find("late", fresh=True)] == []


def test_a_purpose_is_told_by_its_word(home: Home) -> None:
    deal = home.partner("stat").asset("three").request(PURPOSE, wait_s=15)
    with pytest.raises(Refused) as refused:
        deal.read(["country"], purpose="policy-making")
    assert refused.value.cause == "allowed: official-statistics"


def test_a_token_for_a_notebook_needs_no_more_words(
    offered: Pair, home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    del home
    config = ["--config", str(offered.institute.config), "--json"]
    assert run(["token", "add", "notebook", *config], {}) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["participant"], told["roles"]) == ("institute", ["analyst"])
    with corridor.connect(offered.institute.home_url, token=told["secret"]) as notebook:
        assert {it.id for it in notebook.find(partner="stat")} >= {"three", "big"}
