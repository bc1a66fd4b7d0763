# SPDX-License-Identifier: Apache-2.0
"""Two nodes come to an agreement, or part (node.md c; terms.md 4.3)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.pair.pair import Pair, play
from tests.pair.puppet import DID, Puppet, said, stage

from corridor.engine.decide import Speak
from corridor.errors import Changed
from corridor.policy import odrl
from corridor.protocol.negotiation import Step

USE = {"permission": [{"action": "use"}]}
COR = "urn:uuid:c9439823-0be4-5737-8c85-aee4c4640e71#"


def limit(left: str, operator: str, right: Any) -> dict[str, Any]:
    return {"leftOperand": left, "operator": operator, "rightOperand": right}


def counted(most: int, **more: Any) -> dict[str, Any]:
    """Terms that allow so many requests."""
    return {
        "permission": [
            {"action": "use", "constraint": [limit("odrl:count", "lteq", str(most))], **more}
        ]
    }


def entries(p: Pair, name: str) -> list[str]:
    return [it.type for it in getattr(p, name).store.of(name).ledger.entries(0)]


def of_provider(p: Pair, pid: str) -> Any:
    """The provider's record of a negotiation of the consumer."""
    return p.provider.store.of("provider").negotiations.by_peer_pid(
        "provider", p.home("consumer").did, pid
    )


def test_request_to_finalized(tmp_path: Path) -> None:
    async def story(p: Pair) -> None:
        offer = await p.offer(USE)
        done = await p.request(offer)
        assert done.state == "FINALIZED"
        theirs = await p.until(
            "provider", "negotiations", of_provider(p, done.pid).pid, ("FINALIZED",)
        )
        both = [
            getattr(p, name).store.of(name).agreements.get(done.agreement_id)
            for name in ("provider", "consumer")
        ]
        assert {it.state for it in both} == {"live"}
        assert both[0].raw == both[1].raw
        assert both[0].permit_sha == both[1].permit_sha
        assert {it.provider for it in both} == {p.home("provider").did}
        assert theirs.agreement_id == done.agreement_id
        for name in ("provider", "consumer"):
            told = entries(p, name)
            assert told.count("agreement.concluded") == 1
            assert told.count("message.sent") + told.count("message.received") == 4

    play(tmp_path, story)


def test_a_stub_stands_for_the_whole_offer(tmp_path: Path) -> None:
    async def story(p: Pair) -> None:
        offer = await p.offer(counted(7))
        stub = {"@id": offer["@id"], "@type": "Offer", "target": offer["target"], **USE}
        done = await p.request(stub, wish=counted(7))
        assert done.state == "FINALIZED"
        raw = p.consumer.store.of("consumer").agreements.get(done.agreement_id).raw
        assert b'"7"' in raw

    play(tmp_path, story)


def test_an_agreement_on_more_than_the_stub_named_is_refused(tmp_path: Path) -> None:
    """Who sends a stub but means `use` without limits does not sign the offer's limits."""

    async def story(p: Pair) -> None:
        offer = await p.offer(counted(7))
        stub = {"@id": offer["@id"], "@type": "Offer", "target": offer["target"], **USE}
        done = await p.request(stub)
        assert done.state == "TERMINATED"
        assert (done.reason or "").startswith("agreement-differs")
        theirs = of_provider(p, done.pid)
        ended = await p.until("provider", "negotiations", theirs.pid, ("TERMINATED",))
        agreements = p.provider.store.of("provider").agreements
        assert agreements.get(ended.agreement_id).state == "void"

    play(tmp_path, story)


def test_narrower_terms_are_agreed_as_asked(tmp_path: Path) -> None:
    async def story(p: Pair) -> None:
        offer = await p.offer(counted(7))
        done = await p.request({**offer, **counted(3)})
        assert done.state == "FINALIZED"
        for name in ("provider", "consumer"):
            raw = getattr(p, name).store.of(name).agreements.get(done.agreement_id).raw
            assert b'"3"' in raw
            assert b'"7"' not in raw

    play(tmp_path, story)


def test_wider_terms_get_our_offer_once_then_the_end(tmp_path: Path) -> None:
    async def story(p: Pair, puppet: Puppet) -> None:
        offer = await p.offer(counted(7))
        theirs = await puppet.begin(offer, asking=counted(9))
        answered = (await puppet.hears("ContractOfferMessage")).message
        assert answered["offer"]["@id"] != offer["@id"]
        assert answered["offer"]["permission"] == offer["permission"]
        again = puppet.first(offer, asking=counted(8), providerPid=theirs)
        assert (await puppet.post(f"/negotiations/{theirs}/request", again)).status == 200
        ended = (await puppet.hears("ContractNegotiationTerminationMessage")).message
        assert ended["code"] == "terms-wider"
        assert ended["reason"] == ["quota.requests.total"]
        await p.until("provider", "negotiations", theirs, ("TERMINATED",))

    stage(tmp_path, story)


def test_after_our_offer_the_consumer_may_accept_or_ask_for_less(tmp_path: Path) -> None:
    async def story(p: Pair, puppet: Puppet) -> None:
        offer = await p.offer(counted(7))
        theirs = await puppet.begin(offer, "pc-1", asking=counted(9))
        await puppet.hears("ContractOfferMessage")
        await p.until("provider", "negotiations", theirs, ("OFFERED",))
        accepted = said(
            "ContractNegotiationEventMessage",
            consumerPid="pc-1", providerPid=theirs, eventType="ACCEPTED",
        )  # fmt: skip
        assert (await puppet.post(f"/negotiations/{theirs}/events", accepted)).status == 200
        agreed = (await puppet.hears("ContractAgreementMessage")).message
        assert agreed["agreement"]["permission"] == offer["permission"]

        theirs = await puppet.begin(offer, "pc-2", asking=counted(9))
        await puppet.hears("ContractOfferMessage")
        less = puppet.first(offer, "pc-2", asking=counted(2), providerPid=theirs)
        assert (await puppet.post(f"/negotiations/{theirs}/request", less)).status == 200
        agreed = (await puppet.hears("ContractAgreementMessage")).message
        assert agreed["agreement"]["permission"] == counted(2)["permission"]

    stage(tmp_path, story)


def test_accepted_is_no_answer_to_ones_own_offer(tmp_path: Path) -> None:
    async def story(p: Pair, puppet: Puppet) -> None:
        offer = await p.offer(counted(7))
        theirs = await puppet.begin(offer, asking=counted(9))
        await puppet.hears("ContractOfferMessage")
        await p.until("provider", "negotiations", theirs, ("OFFERED",))
        pids = {"consumerPid": "pc-1", "providerPid": theirs}
        final = said("ContractNegotiationEventMessage", **pids, eventType="FINALIZED")
        answer = await puppet.post(f"/negotiations/{theirs}/events", final)
        assert (answer.status, answer.code) == (400, "illegal-transition")
        assert (await puppet.get(f"/negotiations/{theirs}")).value["state"] == "OFFERED"

    stage(tmp_path, story)


def test_a_provider_opens_where_the_consumer_lets_it(tmp_path: Path) -> None:
    async def story(p: Pair) -> None:
        offer = await p.offer(counted(7))
        told = {"peer": p.home("consumer").did, "base": p.home("consumer").dsp_url}
        begin = p.provider.engine.reception.offer
        closed = await begin(p.home("provider"), **told, offer_id=offer["@id"])
        refused = await p.until("provider", "negotiations", closed.pid, ("TERMINATED",))
        assert (refused.reason or "").startswith("unsolicited")
        assert not p.consumer.store.of("consumer").negotiations.page()

    play(tmp_path, story)


def test_an_offer_that_nobody_asked_for_waits_for_a_person(tmp_path: Path) -> None:
    async def story(p: Pair) -> None:
        offer = await p.offer(counted(7))
        told = {"peer": p.home("consumer").did, "base": p.home("consumer").dsp_url}
        homes = p.consumer.engine.ground.homes
        homes["consumer"] = replace(homes["consumer"], unsolicited=True)
        begin = p.provider.engine.reception.offer
        voice, talk = p.consumer.engine.voice, p.consumer.engine.negotiations
        for step, end in ((Step.ACCEPT, "FINALIZED"), (Step.TERMINATE, "TERMINATED")):
            opened = await begin(p.home("provider"), **told, offer_id=offer["@id"])
            await p.until("provider", "negotiations", opened.pid, ("OFFERED",))
            ours = p.consumer.store.of("consumer").negotiations.by_peer_pid(
                "consumer", p.home("provider").did, opened.pid
            )
            assert (ours.state, ours.pending, ours.asset) == ("OFFERED", None, "greeting")
            await voice.wish(p.home("consumer"), talk, ours.pid, Speak(step=step, code="no"))
            await p.until("consumer", "negotiations", ours.pid, (end,))
            await p.until("provider", "negotiations", opened.pid, (end,))

    play(tmp_path, story)


def test_a_counter_offer_of_the_provider_waits_for_a_person(tmp_path: Path) -> None:
    """The consumer asked for more; it gets what is published, and a person takes it or not."""

    async def story(p: Pair) -> None:
        offer = await p.offer(counted(7))
        begun = await p.ask({**offer, **counted(9)})
        waiting = await p.until("consumer", "negotiations", begun.pid, ("OFFERED",))
        assert waiting.pending is None
        assert waiting.offer_id != offer["@id"]
        voice, talk = p.consumer.engine.voice, p.consumer.engine.negotiations
        home = p.home("consumer")
        await voice.wish(home, talk, begun.pid, Speak(step=Step.ACCEPT))
        done = await p.until("consumer", "negotiations", begun.pid, ("FINALIZED",))
        raw = p.consumer.store.of("consumer").agreements.get(done.agreement_id).raw
        assert b'"7"' in raw

        begun = await p.ask({**offer, **counted(9)})
        waiting = await p.until("consumer", "negotiations", begun.pid, ("OFFERED",))
        less = {**counted(4), "@id": waiting.offer_id}
        speech = Speak(step=Step.REQUEST, offer=less)
        await voice.wish(home, talk, begun.pid, speech)
        done = await p.until("consumer", "negotiations", begun.pid, ("FINALIZED",))
        raw = p.consumer.store.of("consumer").agreements.get(done.agreement_id).raw
        assert b'"4"' in raw

    play(tmp_path, story)


@pytest.mark.parametrize("who", ["provider", "consumer"])
@pytest.mark.parametrize("state", ["REQUESTED", "OFFERED", "ACCEPTED", "AGREED", "VERIFIED"])
def test_either_side_ends_it_in_every_state(tmp_path: Path, who: str, state: str) -> None:
    """Both seams say nothing of themselves beyond `state`; then one side ends it."""

    class Until:
        def __init__(self, inner: Any) -> None:
            self.inner = inner

        def negotiation(self, home: Any, it: Any) -> Any:
            told = self.inner.negotiation(home, it)
            return type(told)() if not isinstance(told, Speak) else _rest_at(it.state, told)

        def transfer(self, home: Any, it: Any) -> Any:
            return self.inner.transfer(home, it)

    def _rest_at(now: str, told: Any) -> Any:
        return Speak(step="", code="") if now == state else told

    class Quiet(Until):
        def negotiation(self, home: Any, it: Any) -> Any:
            told = super().negotiation(home, it)
            return None if isinstance(told, Speak) and not told.step else told

    async def story(p: Pair) -> None:
        offer = await p.offer(counted(7))
        haggle = state in ("OFFERED", "ACCEPTED")
        wish = {**offer, **counted(9)} if haggle else offer
        begun = await p.ask(wish)
        home = p.home("consumer")
        voice, talk = p.consumer.engine.voice, p.consumer.engine.negotiations
        if haggle:
            await p.until("consumer", "negotiations", begun.pid, ("OFFERED",))
        if state == "ACCEPTED":
            await voice.wish(home, talk, begun.pid, Speak(step=Step.ACCEPT))
        await p.until("consumer", "negotiations", begun.pid, (state,))
        theirs = of_provider(p, begun.pid)
        await p.until("provider", "negotiations", theirs.pid, (state,))
        engine = getattr(p, who).engine
        pid = begun.pid if who == "consumer" else theirs.pid
        speech = Speak(step=Step.TERMINATE, code="changed-mind", reasons=("no need",))
        await engine.voice.wish(p.home(who), engine.negotiations, pid, speech)
        ours = await p.until("consumer", "negotiations", begun.pid, ("TERMINATED",))
        other = await p.until("provider", "negotiations", theirs.pid, ("TERMINATED",))
        heard = other if who == "consumer" else ours
        assert heard.reason == "changed-mind: no need"
        for name in ("provider", "consumer"):
            found = getattr(p, name).store.of(name).agreements.page()
            assert {it.state for it in found} <= {"void"}
        with pytest.raises(Changed):
            await engine.voice.wish(p.home(who), engine.negotiations, pid, speech)

    play(tmp_path, story, seams={"provider": Quiet, "consumer": Quiet})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("assigner", "did:web:other.example"),
        ("assignee", "did:web:other.example"),
        ("target", "another"),
        ("timestamp", "2026-01-01T00:00:00"),
        ("permission", [{"action": "odrl:read"}]),
        ("prohibition", [{"action": "odrl:distribute"}]),
    ],
)
def test_an_agreement_that_differs_ends_it(tmp_path: Path, field: str, value: Any) -> None:
    async def story(p: Pair, puppet: Puppet) -> None:
        home = p.home("consumer")
        begun = await p.consumer.engine.reception.request(
            home, peer=DID, base="http://localhost:7103/puppet/dsp/2025-1", asset="a",
            offer={**USE, "@id": "o-1"}, wish_sha=odrl.read(USE).terms_hash, service="files",
        )  # fmt: skip
        await puppet.hears("ContractRequestMessage")
        await p.until("consumer", "negotiations", begun.pid, ("REQUESTED",))
        agreement = {
            "@id": "urn:uuid:a-1", "@type": "Agreement", "target": "a", "assigner": DID,
            "assignee": home.did, "timestamp": "2026-01-01T00:00:00Z", **USE, field: value,
        }  # fmt: skip
        pids = {"consumerPid": begun.pid, "providerPid": "pp-1"}
        answer = await puppet.post(
            f"/negotiations/{begun.pid}/agreement",
            said("ContractAgreementMessage", **pids, agreement=agreement),
        )
        assert (answer.status, answer.code) == (400, "agreement-differs")
        ended = (await puppet.hears("ContractNegotiationTerminationMessage")).message
        assert ended["code"] == "agreement-differs"
        assert not p.consumer.store.of("consumer").agreements.page()

    stage(tmp_path, story, against="consumer")
