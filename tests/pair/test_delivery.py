# SPDX-License-Identifier: Apache-2.0
"""What is said arrives, once, whatever the peer does meanwhile (node.md c, "Deliver")."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.pair.pair import Pair
from tests.pair.puppet import BASE, HOST, Puppet, said, stage
from tests.pair.using import USE, entries, eventually

from corridor.engine.decide import Speak
from corridor.errors import Changed
from corridor.store.boxes import Queued


def test_a_peer_that_is_away(tmp_path: Path) -> None:
    """The same bytes under a fresh token each time, and then the state moves."""

    async def story(p: Pair, puppet: Puppet) -> None:
        puppet.answers["ContractAgreementMessage"] = (503, b"")
        theirs = await puppet.begin(await p.offer(USE))
        deliver = p.provider.engine.deliver
        raws = []
        for tries in (1, 2, 3):
            raws.append((await puppet.hears("ContractAgreementMessage")).raw)
            await eventually(
                lambda n=tries: [it.row.attempts for it in deliver._due.values()] == [n]
            )
            record = p.provider.store.of("provider").negotiations.get(theirs)
            assert (record.state, record.pending) == ("REQUESTED", "AGREE")
            p.pass_time(10)
        del puppet.answers["ContractAgreementMessage"]
        await eventually(lambda: len(puppet.spoken) >= 4)
        p.pass_time(20)
        await p.until("provider", "negotiations", theirs, ("AGREED",))
        assert len(set(raws)) == 1
        tokens = [
            it.headers["authorization"] for it in p.net.sent
            if HOST in it.url and it.purpose == "dsp"
        ]  # fmt: skip
        assert len(set(tokens)) == len(tokens) >= 4
        sent = [it for it in entries(p) if it["type"] == "message.sent"]
        acknowledged = [it for it in entries(p) if it["type"] == "message.acknowledged"]
        assert [it["sent"] for it in acknowledged] == [it["id"] for it in sent]

    stage(tmp_path, story)


def test_a_peer_that_is_away_for_ever(tmp_path: Path) -> None:
    """A dead letter: the process keeps its state, and somebody can try again."""

    async def story(p: Pair, puppet: Puppet) -> None:
        theirs_down = p.net.down
        offer = await p.offer(USE)
        puppet.answers["ContractAgreementMessage"] = (500, b"")
        theirs = await puppet.begin(offer)
        await puppet.hears("ContractAgreementMessage")
        theirs_down.add(HOST)
        store = p.provider.store.of("provider")
        p.pass_time(25 * 3600)
        await eventually(store.outbox.dead)
        record = store.negotiations.get(theirs)
        assert (record.state, record.pending) == ("REQUESTED", "AGREE")
        assert not p.provider.engine.deliver._due
        last = entries(p)[-1]
        assert (last["type"], last["outcome"]) == ("decision", "unreachable")
        assert store.events.after(0, 100)[-1].kind == "peer.unreachable"

    stage(tmp_path, story)


def test_a_peer_that_finds_out_first(tmp_path: Path) -> None:
    """Our AGREE got no answer, but the verification shows that it was heard."""

    async def story(p: Pair, puppet: Puppet) -> None:
        puppet.answers["ContractAgreementMessage"] = (503, b"")
        theirs = await puppet.begin(await p.offer(USE))
        await puppet.hears("ContractAgreementMessage")
        pids = {"consumerPid": "pc-1", "providerPid": theirs}
        verified = said("ContractAgreementVerificationMessage", **pids)
        answer = await puppet.post(f"/negotiations/{theirs}/agreement/verification", verified)
        assert (answer.status, answer.value["state"]) == (200, "VERIFIED")
        await puppet.hears("ContractNegotiationEventMessage")
        await p.until("provider", "negotiations", theirs, ("FINALIZED",))
        p.pass_time(10)
        assert puppet.silent()

    stage(tmp_path, story)


@pytest.mark.parametrize(("shows", "end"), [("AGREED", "AGREED"), ("TERMINATED", "TERMINATED")])
def test_a_refusal_is_checked_against_what_the_peer_shows(
    tmp_path: Path, shows: str, end: str
) -> None:
    async def story(p: Pair, puppet: Puppet) -> None:
        puppet.answers["ContractAgreementMessage"] = (422, b"")
        puppet.shows["pc-1"] = shows
        theirs = await puppet.begin(await p.offer(USE))
        await puppet.hears("ContractAgreementMessage")
        await p.until("provider", "negotiations", theirs, (end,))
        assert puppet.silent()

    stage(tmp_path, story)


def test_a_peer_that_never_told_its_pid(tmp_path: Path) -> None:
    """It took our request without a word: we can end it, and have nobody to tell."""

    async def story(p: Pair, puppet: Puppet) -> None:
        puppet.answers["ContractRequestMessage"] = (200, b"")
        engine, home = p.consumer.engine, p.home("consumer")
        told = {"peer": puppet.did, "base": BASE, "asset": "a", "service": "files"}
        pids = []
        for _ in range(2):
            begun = await engine.reception.request(
                home, **told, offer={**USE, "@id": "o-1"}, wish_sha=None
            )
            await puppet.hears("ContractRequestMessage")
            await p.until("consumer", "negotiations", begun.pid, ("REQUESTED",))
            pids.append(begun.pid)
        again = Speak(step="REQUEST", offer=USE)
        with pytest.raises(Changed):
            await engine.voice.wish(home, engine.negotiations, pids[0], again)
        speech = Speak(step="TERMINATE", code="changed-mind")
        ended = await engine.voice.wish(home, engine.negotiations, pids[0], speech)
        assert (ended.state, ended.pending, ended.reason) == ("TERMINATED", None, "changed-mind")
        await p.net.settle()
        assert puppet.silent()
        # The other one hears from the peer, and learns its pid by that.
        offer = {"@id": "o-2", "@type": "Offer", "target": "a", **USE}
        offered = said("ContractOfferMessage", providerPid="pp-9", consumerPid=pids[1], offer=offer)
        assert (await puppet.post(f"/negotiations/{pids[1]}/offers", offered)).status == 200
        await engine.voice.wish(home, engine.negotiations, pids[1], speech)
        heard = await puppet.hears("ContractNegotiationTerminationMessage")
        assert heard.path == "/negotiations/pp-9/termination"

    stage(tmp_path, story, against="consumer")


def test_our_answer_goes_first(tmp_path: Path) -> None:
    """The message that follows from a request leaves when its answer was handed over; once."""

    async def story(p: Pair, puppet: Puppet) -> None:
        deliver = p.provider.engine.deliver
        now = 0
        row = Queued(
            participant="provider", process="none", peer=puppet.did, message_id="m-1",
            type="ContractAgreementMessage", url=f"http://{HOST}/puppet/dsp/2025-1/x",
            body=json.dumps(said("ContractAgreementMessage", consumerPid="a", providerPid="b")).encode(),
            sha256="", next_at=now, give_up_at=1 << 62, created=now,
        )  # fmt: skip
        release = deliver.after_answer(row)
        await puppet.hears("ContractAgreementMessage")  # nobody waits for an answer for ever
        await eventually(lambda: not deliver._due)
        release()
        release()
        await p.net.settle()
        assert not deliver._due
        assert puppet.silent()

    stage(tmp_path, story, **{"limits.answer_first_s": 0.02})
