# SPDX-License-Identifier: Apache-2.0
"""Saying, hearing, acknowledging; and every pair of words that cross."""

from __future__ import annotations

import itertools

import pytest

from corridor.errors import LocalProtocolError, PeerMustWait, RemoteProtocolError
from corridor.protocol import negotiation, transfer
from corridor.protocol.machine import Heard, Process, Role

C, P = Role.CONSUMER, Role.PROVIDER
N, T = negotiation.MACHINE, transfer.MACHINE


def test_a_state_moves_on_acknowledgement() -> None:
    asked = N.say(Process(C, None), "REQUEST")
    assert asked == Process(C, None, pending="REQUEST")
    assert N.shown(asked) == "REQUESTED"
    assert N.acked(asked) == Process(C, "REQUESTED")
    agreeing = N.say(Process(P, "REQUESTED"), "AGREE")
    assert N.shown(agreeing) == "REQUESTED"
    assert N.acked(agreeing) == Process(P, "AGREED")


def test_a_late_acknowledgement_changes_nothing() -> None:
    assert N.acked(Process(P, "VERIFIED")) == Process(P, "VERIFIED")
    assert N.lost(Process(P, "VERIFIED")) == Process(P, "VERIFIED")


def test_hearing_creates() -> None:
    assert N.hear(Process(P, None), "REQUEST") == Heard(Process(P, "REQUESTED"))
    assert N.hear(Process(C, None), "OFFER") == Heard(Process(C, "OFFERED"))
    assert T.hear(Process(P, None), "REQUEST") == Heard(Process(P, "REQUESTED"))


def test_nobody_shows_what_nobody_began() -> None:
    with pytest.raises(LocalProtocolError):
        N.shown(Process(C, None))


@pytest.mark.parametrize(
    ("step", "state"), [("OFFER", "OFFERED"), ("AGREE", "AGREED"), ("TERMINATE", "TERMINATED")]
)
def test_any_word_acknowledges_a_creation(step: str, state: str) -> None:
    asked = Process(C, None, pending="REQUEST")
    assert N.hear(asked, step) == Heard(Process(C, state), acknowledged="REQUEST")


def test_an_overtaking_offer_is_no_unsolicited_one() -> None:
    """Then our counter-offer is legal; had none → OFFERED been taken, REQUEST would be ours still."""
    heard = N.hear(Process(C, None, pending="REQUEST"), "OFFER")
    assert heard.acknowledged == "REQUEST"
    assert N.may_say(heard.process, "REQUEST")


def test_an_illegal_word_on_a_creation_is_refused() -> None:
    for step in ("FINALIZE", "VERIFY", "REQUEST"):
        with pytest.raises(RemoteProtocolError) as caught:
            N.hear(Process(C, None, pending="REQUEST"), step)
        assert caught.value.code == "illegal-transition"


@pytest.mark.parametrize(
    ("machine", "ours", "step", "state"),
    [
        (N, Process(P, "REQUESTED", "OFFER"), "ACCEPT", "ACCEPTED"),
        (N, Process(P, "REQUESTED", "OFFER"), "REQUEST", "REQUESTED"),
        (N, Process(C, "OFFERED", "ACCEPT"), "AGREE", "AGREED"),
        (N, Process(C, "OFFERED", "REQUEST"), "AGREE", "AGREED"),
        (N, Process(P, "REQUESTED", "AGREE"), "VERIFY", "VERIFIED"),
        (N, Process(C, "AGREED", "VERIFY"), "FINALIZE", "FINALIZED"),
        (T, Process(P, "REQUESTED", "START"), "SUSPEND", "SUSPENDED"),
        (T, Process(P, "REQUESTED", "START"), "COMPLETE", "COMPLETED"),
        (T, Process(C, "STARTED", "SUSPEND"), "START", "STARTED"),
    ],
)
def test_a_word_that_ours_made_legal_acknowledges_ours(machine, ours, step, state) -> None:
    assert machine.hear(ours, step) == Heard(Process(ours.us, state), acknowledged=ours.pending)


def expected(module, us: Role, state: str | None, pending: str, step: str) -> str:
    """What node.md c says of a heard step while ours is pending, worked out from the arrows alone."""
    arrow, them = module.ARROWS.get, us.other
    ranks = {"TERMINATE": 3, "COMPLETE": 2, "SUSPEND": 1}
    target = arrow((state, us, pending))
    after = arrow((target, them, step))
    if state is None:
        return "illegal" if after is None else "acknowledged"
    before = arrow((state, them, step))
    if before is None:
        return "illegal" if after is None else "acknowledged"
    if after is not None:
        return "superseded"
    ours, theirs = ranks.get(pending, 0), ranks.get(step, 0)
    if theirs != ours:
        return "superseded" if theirs > ours else "wait"
    if step == pending != "START":
        return "acknowledged"
    return "wait" if us is P else "yielded"


CROSSINGS = [
    (module, us, state, pending, step)
    for module in (negotiation, transfer)
    for (state, us, pending) in module.ARROWS
    for step in module.Step
]


@pytest.mark.parametrize(("module", "us", "state", "pending", "step"), CROSSINGS)
def test_each_pair_of_words(module, us, state, pending, step) -> None:
    said = module.MACHINE.say(Process(us, state), pending)
    kind = expected(module, us, state, pending, step)
    if kind == "illegal":
        with pytest.raises(RemoteProtocolError):
            module.MACHINE.hear(said, step)
        return
    if kind == "wait":
        with pytest.raises(PeerMustWait):
            module.MACHINE.hear(said, step)
        return
    heard = module.MACHINE.hear(said, step)
    what = {name: getattr(heard, name) for name in ("acknowledged", "superseded", "yielded")}
    assert what == {**dict.fromkeys(what), kind: pending}
    assert heard.process.pending is None
    before = module.ARROWS.get((state, us.other, step))
    after = module.ARROWS.get((module.ARROWS[state, us, pending], us.other, step))
    assert heard.process.state in {before, after}


def test_the_only_tie_is_two_resumes() -> None:
    ties = [case for case in CROSSINGS if expected(*case) == "yielded"]
    assert ties == [(transfer, C, "SUSPENDED", "START", "START")]


def test_in_negotiations_only_the_end_crosses() -> None:
    for module, us, state, pending, step in CROSSINGS:
        if module is negotiation and expected(module, us, state, pending, step) == "wait":
            assert pending == "TERMINATE"


def test_both_sides_of_a_crossing_decide_alike() -> None:
    """Of two crossing words exactly one is taken, or both are one wish."""
    for module in (negotiation, transfer):
        for state, step, pending in itertools.product(module.State, module.Step, module.Step):
            if module.ARROWS.get((state, C, pending)) and module.ARROWS.get((state, P, step)):
                consumer = expected(module, C, state, pending, step)
                provider = expected(module, P, state, step, pending)
                if "acknowledged" in (consumer, provider):
                    assert step == pending or "superseded" in (consumer, provider)
                elif {consumer, provider} != {"superseded"}:
                    assert {consumer, provider} in (
                        {"wait", "superseded"},
                        {"wait", "yielded"},
                    )


# --- intents ------------------------------------------------------------------------------------


def test_a_wish_waits_for_the_pending_word() -> None:
    process = T.say(Process(P, "REQUESTED", "START"), "COMPLETE")
    assert process == Process(P, "REQUESTED", "START", "COMPLETE")
    process = T.acked(process)
    assert process == Process(P, "STARTED", None, "COMPLETE")
    assert T.say(process, "COMPLETE") == Process(P, "STARTED", "COMPLETE")


def test_of_two_wishes_the_higher_stays() -> None:
    process = T.say(Process(P, "REQUESTED", "START", "SUSPEND"), "TERMINATE")
    assert process.intent == "TERMINATE"
    assert T.say(process, "SUSPEND").intent == "TERMINATE"


def test_only_what_has_a_rank_can_be_a_wish() -> None:
    with pytest.raises(LocalProtocolError):
        N.say(Process(P, "REQUESTED", "OFFER"), "AGREE")
    with pytest.raises(LocalProtocolError):
        T.say(Process(P, "STARTED", "COMPLETE"), "SUSPEND")
    assert T.say(Process(P, "STARTED", "COMPLETE"), "TERMINATE").intent == "TERMINATE"


def test_a_wish_that_became_illegal_is_dropped() -> None:
    process = Process(P, "STARTED", "SUSPEND", "COMPLETE")
    assert T.acked(process) == Process(P, "SUSPENDED")
    assert T.hear(Process(P, "STARTED", None, "SUSPEND"), "COMPLETE").process.intent is None


def test_saying_something_else_first_keeps_the_wish() -> None:
    process = T.say(Process(P, "SUSPENDED", None, "TERMINATE"), "START")
    assert process == Process(P, "SUSPENDED", "START", "TERMINATE")


def test_a_lost_word_leaves_the_state_and_a_lost_creation_ends() -> None:
    assert T.lost(Process(P, "REQUESTED", "START", "TERMINATE")) == Process(
        P, "REQUESTED", None, "TERMINATE"
    )
    assert N.lost(Process(C, None, "REQUEST", "TERMINATE")) == Process(C, "TERMINATED")


@pytest.mark.parametrize("us", Role)
@pytest.mark.parametrize("module", [negotiation, transfer])
def test_we_say_nothing_that_has_no_arrow(module, us: Role) -> None:
    for state, step in itertools.product([None, *module.State], module.Step):
        legal = (state, us, step) in module.ARROWS
        assert module.MACHINE.may_say(Process(us, state), step) == legal
        if not legal:
            with pytest.raises(LocalProtocolError):
                module.MACHINE.say(Process(us, state), step)


# --- after a resume -----------------------------------------------------------------------------


def test_a_second_start_only_after_a_resume() -> None:
    with pytest.raises(RemoteProtocolError):
        T.hear(Process(C, "STARTED"), "START")
    assert T.hear(Process(C, "STARTED"), "START", after_resume=True) == Heard(Process(C, "STARTED"))


@pytest.mark.parametrize("step", transfer.Step)
@pytest.mark.parametrize("state", [None, *transfer.State])
@pytest.mark.parametrize("us", Role)
def test_a_resume_opens_nothing_else(us: Role, state: str | None, step: str) -> None:
    more = T.may_say(Process(us, state), step, after_resume=True)
    assert more == (
        T.may_say(Process(us, state), step) or (us, state, step) == (P, "STARTED", "START")
    )


def test_the_provider_answers_a_resume_with_an_address() -> None:
    heard = T.hear(Process(P, "SUSPENDED"), "START").process
    with pytest.raises(LocalProtocolError):
        T.say(heard, "START")
    said = T.say(heard, "START", after_resume=True)
    assert T.acked(said) == Process(P, "STARTED")
    assert T.lost(said) == Process(P, "STARTED")
    assert T.hear(said, "COMPLETE") == Heard(Process(P, "COMPLETED"), superseded="START")
    with pytest.raises(PeerMustWait):
        T.hear(said, "SUSPEND")
    with pytest.raises(RemoteProtocolError):
        T.hear(said, "START")


@pytest.mark.parametrize("pending", ["SUSPEND", "COMPLETE", "TERMINATE"])
def test_the_address_makes_our_word_a_wish_again(pending: str) -> None:
    heard = T.hear(Process(C, "STARTED", pending), "START", after_resume=True)
    assert heard == Heard(Process(C, "STARTED", None, pending), yielded=pending)


def test_of_a_yielded_word_and_a_wish_the_higher_stays() -> None:
    process = Process(C, "STARTED", "SUSPEND", "TERMINATE")
    assert T.hear(process, "START", after_resume=True).process.intent == "TERMINATE"
