# SPDX-License-Identifier: Apache-2.0
"""What a peer may repeat, and what it may not say at all (node.md c, the table "Hear")."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.pair.pair import Pair
from tests.pair.puppet import BASE, DID, Puppet, said, stage
from tests.pair.test_negotiation import COR, USE, counted, limit

from corridor.engine.decide import Rest
from corridor.store.unit import Unit

PROFILE = "urn:uuid:c9439823-0be4-5737-8c85-aee4c4640e71"


class Silent:
    """Decides nothing: every process rests where it is."""

    def __init__(self, inner: object) -> None:
        del inner

    def negotiation(self, home: Any, it: Any) -> Rest:
        del home, it
        return Rest()

    transfer = negotiation


def leaves(p: Pair, name: str = "provider") -> int:
    return len(getattr(p, name).store.of(name).ledger.entries(0))


def test_the_same_first_request_is_the_same_negotiation(tmp_path: Path) -> None:
    async def story(p: Pair, puppet: Puppet) -> None:
        offer, other = await p.offer(USE), await p.offer(counted(3))
        first = puppet.first(offer)
        one = await puppet.post("/negotiations/request", first)
        count = leaves(p)
        two = await puppet.post("/negotiations/request", first)
        three = await puppet.post("/negotiations/request", puppet.first(offer))
        assert one.status == two.status == three.status == 201
        assert one.value["providerPid"] == two.value["providerPid"] == three.value["providerPid"]
        assert leaves(p) == count
        reused = await puppet.post("/negotiations/request", puppet.first(other))
        assert (reused.status, reused.code) == (400, "pid-reused")
        assert len(p.provider.store.of("provider").negotiations.page()) == 1

    stage(tmp_path, story, seams={"provider": Silent})


def test_a_pid_reused_for_a_transfer(tmp_path: Path) -> None:
    async def story(p: Pair, puppet: Puppet) -> None:
        first = await puppet.finalize(await p.offer(USE), "pc-1")
        other = await puppet.finalize(await p.offer(USE), "pc-2")

        def asked(agreement: str, **more: str) -> dict[str, Any]:
            told = {"consumerPid": "pc-9", "agreementId": agreement, "format": "HttpData-PULL"}
            return said("TransferRequestMessage", **told, callbackAddress=BASE, **more)

        one = await puppet.post("/transfers/request", asked(first))
        two = await puppet.post("/transfers/request", asked(first))
        assert one.status == two.status == 201
        assert one.value["providerPid"] == two.value["providerPid"]
        reused = await puppet.post("/transfers/request", asked(other))
        assert (reused.status, reused.code) == (400, "pid-reused")

    stage(tmp_path, story)


@pytest.mark.parametrize("named", [True, False])
def test_a_repeated_message_is_harmless(tmp_path: Path, named: bool) -> None:
    """With an `@id` by that; without one by its bytes, where it is not legal now."""

    async def story(p: Pair, puppet: Puppet) -> None:
        offer = await p.offer(USE)
        theirs = await puppet.begin(offer)
        await puppet.hears("ContractAgreementMessage")
        verified = said(
            "ContractAgreementVerificationMessage",
            consumerPid="pc-1", providerPid=theirs, **({} if named else {"id": None}),
        )  # fmt: skip
        path = f"/negotiations/{theirs}/agreement/verification"
        one = await puppet.post(path, verified)
        await puppet.hears("ContractNegotiationEventMessage")
        done = await p.until("provider", "negotiations", theirs, ("FINALIZED",))
        count = leaves(p)
        two = await puppet.post(path, verified)
        assert (one.status, two.status) == (200, 200)
        assert two.value["state"] == "FINALIZED"
        assert leaves(p) == count
        again = said("ContractAgreementVerificationMessage", consumerPid="pc-1", providerPid=theirs)
        third = await puppet.post(path, again)
        assert (third.status, third.code) == (400, "illegal-transition")
        assert p.provider.store.of("provider").negotiations.get(theirs).ver == done.ver
        assert puppet.silent()

    stage(tmp_path, story)


def test_a_repeat_that_was_written_anew_changes_nothing(tmp_path: Path) -> None:
    """Some peers put a message together again for each attempt, under the `@id` that it had."""

    async def story(p: Pair, puppet: Puppet) -> None:
        offer = await p.offer(USE)
        theirs = await puppet.begin(offer)
        end = said(
            "ContractNegotiationTerminationMessage", consumerPid="pc-1", providerPid=theirs,
            code="enough",
        )  # fmt: skip
        assert (await puppet.post(f"/negotiations/{theirs}/termination", end)).status == 200
        answer = await puppet.post(f"/negotiations/{theirs}/termination", {**end, "code": "other"})
        assert answer.status == 200  # the same type, illegal now: a retry written anew
        assert p.provider.store.of("provider").negotiations.get(theirs).reason == "enough"

    stage(tmp_path, story, seams={"provider": Silent})


def test_too_many_rounds(tmp_path: Path) -> None:
    """Eleven counter-offers are one too many; the eleventh changes nothing, an end is taken."""

    class Haggler(Silent):
        """Offers the same again, whatever is asked."""

        def negotiation(self, home: Any, it: Any) -> Any:
            told = self.inner.negotiation(home, it)
            if it.role == "provider" and it.state == "REQUESTED":
                return replace(told, step="OFFER", offer=counted(1) | {"@id": "x"})
            return told

        def __init__(self, inner: object) -> None:
            self.inner: Any = inner

    async def story(p: Pair, puppet: Puppet) -> None:
        offer = await p.offer(counted(2))
        theirs = await puppet.begin(offer, asking=counted(9))
        most = p.provider.config.limits.counter_offers_max
        for _ in range(most):
            await puppet.hears("ContractOfferMessage")
            await p.until("provider", "negotiations", theirs, ("OFFERED",))
            it = p.provider.store.of("provider").negotiations.get(theirs)
            asked = puppet.first(offer, asking=counted(9), providerPid=theirs)
            answer = await puppet.post(f"/negotiations/{theirs}/request", asked)
            if it.rounds >= most:
                assert (answer.status, answer.code) == (400, "too-many-rounds")
                break
            assert answer.status == 200
        else:
            pytest.fail("nobody ever had enough")
        end = said("ContractNegotiationTerminationMessage", consumerPid="pc-1", providerPid=theirs)
        assert (await puppet.post(f"/negotiations/{theirs}/termination", end)).status == 200

    stage(tmp_path, story, seams={"provider": Haggler})


def test_an_end_is_heard_however_much_was_said(tmp_path: Path) -> None:
    async def story(p: Pair, puppet: Puppet) -> None:
        theirs = await puppet.begin(await p.offer(USE))
        pids = {"consumerPid": "pc-1", "providerPid": theirs}
        end = said("ContractNegotiationTerminationMessage", **pids)
        assert (await puppet.post(f"/negotiations/{theirs}/termination", end)).status == 200

    stage(tmp_path, story, seams={"provider": Silent}, **{"limits.negotiation_messages_max": 1})


def unseen(p: Pair) -> dict[str, Any]:
    """An offer's audience that leaves the puppet out."""
    return {"show_to": {"recipient": [p.home("consumer").did]}}


def test_an_offer_that_is_not_there_or_not_for_you(tmp_path: Path) -> None:
    """One answer for all of them, so that nobody learns what there is."""

    async def story(p: Pair, puppet: Puppet) -> None:
        shown = await p.offer(USE)
        hidden = await p.offer(USE, audience=unseen(p))
        spatial = {
            "permission": [
                {"action": "use", "constraint": [limit("odrl:spatial", "isAnyOf", ["RS"])]}
            ]
        }
        abroad = await p.offer(spatial)
        answers = []
        for number, asked in enumerate(
            (
                {**shown, "@id": "urn:uuid:nothing"},
                hidden,
                abroad,
                {**shown, "target": "another"},
            )
        ):
            first = puppet.first(asked, f"pc-{number}")
            answers.append(await puppet.post("/negotiations/request", first))
        assert {(it.status, it.code) for it in answers} == {(400, "unknown-offer")}
        assert (
            answers[0].value["reason"] == answers[1].value["reason"] == answers[2].value["reason"]
        )
        assert not p.provider.store.of("provider").negotiations.page()
        assert (await puppet.post("/negotiations/request", puppet.first(shown))).status == 201

    stage(tmp_path, story)


def test_an_offer_withdrawn_meanwhile(tmp_path: Path) -> None:
    async def story(p: Pair, puppet: Puppet) -> None:
        offer = await p.offer(USE)
        store = p.provider.store.of("provider")
        record = store.offers.get(offer["@id"])
        await p.provider.store.run(Unit((store.offers.update(record, state="hidden"),)))
        answer = await puppet.post("/negotiations/request", puppet.first(offer))
        assert (answer.status, answer.code) == (400, "unknown-offer")

    stage(tmp_path, story)


@pytest.mark.parametrize(
    "rule",
    [
        {"action": "odrl:modify"},
        {"action": "use", "constraint": [limit("odrl:version", "eq", "1")]},
        {"action": "use", "constraint": [limit("odrl:count", "gt", "1")]},
        {"action": "use", "constraint": [limit("odrl:count", "lteq", "many")]},
        {"action": "use", "constraint": [limit(f"{COR}noSuchThing", "eq", "1")]},
        {"action": "use", "duty": [{"action": "odrl:compensate"}]},
        {"action": "use", "target": "another"},
        {"action": "odrl:aggregate"},
    ],
)
def test_terms_that_nobody_here_can_honour(tmp_path: Path, rule: dict[str, Any]) -> None:
    async def story(p: Pair, puppet: Puppet) -> None:
        offer = await p.offer(USE)
        asked = puppet.first(offer, asking={"permission": [rule], "profile": PROFILE})
        answer = await puppet.post("/negotiations/request", asked)
        assert answer.status == 400, answer
        assert answer.code in ("terms-unknown", "malformed")
        assert not p.provider.store.of("provider").negotiations.page()

    stage(tmp_path, story)


def test_who_may_speak_in_a_process(tmp_path: Path) -> None:
    """Unknown pids, another's process, pids that are not its own, the first form where none is."""

    async def story(p: Pair, puppet: Puppet) -> None:
        offer = await p.offer(USE)
        theirs = await puppet.begin(offer)
        begun = await p.ask(offer)
        await p.until("consumer", "negotiations", begun.pid, ("REQUESTED",))
        consumers = p.provider.store.of("provider").negotiations.by_peer_pid(
            "provider", p.home("consumer").did, begun.pid
        )
        pids = {"consumerPid": "pc-1", "providerPid": theirs}
        end = "ContractNegotiationTerminationMessage"
        for pid, message, status, code in (
            ("nothing", said(end, **pids), 404, "not-found"),
            (consumers.pid, said(end, **pids), 404, "not-found"),
            (
                consumers.pid,
                said(end, consumerPid=begun.pid, providerPid=consumers.pid),
                404,
                "not-found",
            ),
            (theirs, said(end, consumerPid="pc-2", providerPid=theirs), 400, "pid-mismatch"),
            (theirs, said(end, consumerPid="pc-1", providerPid="x"), 400, "pid-mismatch"),
        ):
            answer = await puppet.post(f"/negotiations/{pid}/termination", message)
            assert (answer.status, answer.code) == (status, code)
        assert (await puppet.get("/negotiations/nothing")).status == 404
        assert (await puppet.get(f"/negotiations/{consumers.pid}")).status == 404
        assert (await puppet.get(f"/negotiations/{theirs}")).value["state"] == "REQUESTED"
        first = await puppet.post(f"/negotiations/{theirs}/request", puppet.first(offer))
        assert (first.status, first.code) == (400, "pid-mismatch")
        assert p.provider.store.of("provider").negotiations.get(theirs).state == "REQUESTED"

    stage(tmp_path, story, seams={"provider": Silent})


def test_the_first_form_of_an_offer_names_no_process(tmp_path: Path) -> None:
    async def story(p: Pair, puppet: Puppet) -> None:
        home = p.home("consumer")
        begun = await p.consumer.engine.reception.request(
            home, peer=DID, base=BASE, asset="a", offer={**USE, "@id": "o-1"}, wish_sha=None,
            service="files",
        )  # fmt: skip
        await puppet.hears("ContractRequestMessage")
        await p.until("consumer", "negotiations", begun.pid, ("REQUESTED",))
        offer = {"@id": "o-1", "@type": "Offer", "target": "a", **USE}
        first = said("ContractOfferMessage", providerPid="pp-1", callbackAddress=BASE, offer=offer)
        answer = await puppet.post(f"/negotiations/{begun.pid}/offers", first)
        assert (answer.status, answer.code) == (400, "pid-mismatch")

    stage(tmp_path, story, against="consumer")
