# SPDX-License-Identifier: Apache-2.0
"""People decide in negotiations, and deals end after the notice that was agreed."""

from __future__ import annotations

from typing import Any

import pytest
from tests.pair.people import OPEN, PURPOSE, Two, played

from corridor.policy import odrl
from corridor.policy.profile import PURPOSES

WIDE = {"permission": [{"action": "use"}, {"action": "odrl:distribute"}]}


async def countered(two: Two) -> dict[str, Any]:
    """A negotiation in which the provider answered a wider wish with its own offer."""
    offer = await two.offer(PURPOSE)
    await two.know()
    engine = two.pair.consumer.engine
    asked = {**WIDE, "@id": offer["id"], "@type": "Offer"}
    begun = await engine.reception.request(
        two.pair.home("consumer"),
        peer=two.pair.home("provider").did,
        base=two.pair.home("provider").dsp_url,
        asset="population",
        offer=asked,
        wish_sha=odrl.read(asked).terms_hash,
        service="files",
        purpose=PURPOSES["official-statistics"],
    )
    await two.pair.until("consumer", "negotiations", begun.pid, ("OFFERED",))
    shown = (await two.lab.ask("GET", f"negotiations/{begun.pid}")).json
    assert shown["may"] == ["accept", "counter", "terminate"], shown
    assert shown["waiting_for"] == "you"
    assert "Must not pass the data on." in shown["plain"]
    deal = (await two.lab.ask("GET", f"agreements/{begun.pid}")).json
    assert (deal["pending"], deal["state"]) == (True, "OFFERED")
    assert "accept" in deal["what_next"]
    return shown


@played
async def test_their_offer_is_accepted(two: Two) -> None:
    pid = (await countered(two))["pid"]
    said = await two.lab.ask("POST", f"negotiations/{pid}/accept")
    assert said.status == 200, said.body
    await two.pair.until("consumer", "negotiations", pid, ("FINALIZED",))
    deal = (await two.lab.ask("GET", f"agreements/{pid}")).json
    assert (deal["state"], deal["obligations"]) == ("live", ["share"])
    again = await two.lab.ask("POST", f"negotiations/{pid}/accept")
    assert (again.status, again.json["code"]) == (412, "changed")


@played
async def test_less_is_asked_for(two: Two) -> None:
    pid = (await countered(two))["pid"]
    less = {"terms": PURPOSE.replace("day: 5", "day: 2")}
    said = await two.lab.ask("POST", f"negotiations/{pid}/counter", less)
    assert said.status == 200, said.body
    await two.pair.until("consumer", "negotiations", pid, ("FINALIZED",))
    plain = (await two.lab.ask("GET", f"agreements/{pid}")).json["plain"]
    assert any("2 requests" in line for line in plain), plain


@played
async def test_it_is_ended_with_a_reason(two: Two) -> None:
    pid = (await countered(two))["pid"]
    ended = await two.lab.ask("POST", f"negotiations/{pid}/terminate", {"reason": "too dear"})
    assert ended.status == 200, ended.body
    await two.pair.until("consumer", "negotiations", pid, ("TERMINATED",))
    (theirs,) = (await two.stat.ask("GET", "negotiations?state=terminated")).json["items"]
    assert "too dear" in theirs["reason"]
    gone = await two.lab.ask("GET", f"agreements/{pid}/files")
    assert gone.status == 404


@played
async def test_a_withdrawal_keeps_its_notice(two: Two) -> None:
    await two.offer(f"{OPEN}withdraw: {{notice: P7D}}\n")
    await two.know()
    deal = await two.deal()
    path = f"agreements/{deal['id']}/withdraw"
    would = (await two.stat.ask("POST", path, {"dry_run": True})).json
    assert would["words"][0].startswith("It ends after 7 days")
    ended = (await two.stat.ask("POST", path, {"reason": "a new law"})).json
    assert (ended["done"], ended["view"]["state"]) == (True, "live")
    assert ended["view"]["ends"][:10] == would["takes_effect"][:10]
    assert "was withdrawn" in ended["view"]["what_next"]
    assert (await two.lab.ask("GET", f"agreements/{deal['id']}/files")).status == 200
    again = await two.stat.ask("POST", path, {"reason": "again"})
    assert (again.status, again.json["code"]) == (412, "changed")


@pytest.mark.parametrize("verb", ["withdraw", "give-back"])
@played
async def test_only_ones_own_side_can_be_ended(two: Two, verb: str) -> None:
    await two.offer()
    await two.know()
    deal = await two.deal()
    wrong = two.lab if verb == "withdraw" else two.stat
    got = await wrong.ask("POST", f"agreements/{deal['id']}/{verb}", {"reason": "r"})
    assert (got.status, got.json["code"]) == (400, "invalid")
    assert (await two.lab.ask("GET", f"agreements/{deal['id']}")).json["state"] == "live"
