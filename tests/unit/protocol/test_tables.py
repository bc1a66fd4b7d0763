# SPDX-License-Identifier: Apache-2.0
"""The tables against the figures: every state, sender and step, one by one."""

from __future__ import annotations

import itertools

import pytest
from tests.spec import said

from corridor.limits import Limits
from corridor.protocol import negotiation, transfer
from corridor.protocol.machine import Machine, Process, Role

# copied from dsp.md 4 and 5: from, to, sent by, step. A star marks what the figure leaves out.
NEGOTIATION = """
-          REQUESTED   C   REQUEST
-          OFFERED     P   OFFER
REQUESTED  OFFERED     P   OFFER
REQUESTED  AGREED      P   AGREE
REQUESTED  TERMINATED  CP  TERMINATE
OFFERED    REQUESTED   C   REQUEST
OFFERED    ACCEPTED    C   ACCEPT
OFFERED    TERMINATED  CP  TERMINATE
ACCEPTED   AGREED      P   AGREE
ACCEPTED   TERMINATED  P   TERMINATE
ACCEPTED   TERMINATED  C   TERMINATE  *
AGREED     VERIFIED    C   VERIFY
AGREED     TERMINATED  C   TERMINATE
AGREED     TERMINATED  P   TERMINATE  *
VERIFIED   FINALIZED   P   FINALIZE
VERIFIED   TERMINATED  P   TERMINATE
VERIFIED   TERMINATED  C   TERMINATE  *
"""
TRANSFER = """
-          REQUESTED   C   REQUEST
REQUESTED  STARTED     P   START
REQUESTED  TERMINATED  CP  TERMINATE
STARTED    COMPLETED   CP  COMPLETE
STARTED    SUSPENDED   CP  SUSPEND
STARTED    TERMINATED  CP  TERMINATE
SUSPENDED  STARTED     CP  START
SUSPENDED  TERMINATED  CP  TERMINATE
"""
ROLES = {"C": Role.CONSUMER, "P": Role.PROVIDER}

Arrows = dict[tuple[str | None, Role, str], str]


def drawn(text: str) -> Arrows:
    arrows: Arrows = {}
    for line in text.strip().splitlines():
        source, target, senders, step, *_ = line.split()
        for sender in senders:
            arrows[None if source == "-" else source, ROLES[sender], step] = target
    return arrows


PROTOCOLS = {"negotiation": (negotiation, NEGOTIATION), "transfer": (transfer, TRANSFER)}
TRIPLES = [
    (name, state, role, step)
    for name, (module, _) in PROTOCOLS.items()
    for state, role, step in itertools.product([None, *module.State], Role, module.Step)
]


@pytest.mark.parametrize(("name", "state", "role", "step"), TRIPLES)
def test_each_triple_is_as_drawn(name: str, state: str | None, role: Role, step: str) -> None:
    module, figure = PROTOCOLS[name]
    assert module.MACHINE.next_state(state, role, step) == drawn(figure).get((state, role, step))


def test_there_are_as_many_as_there_should_be() -> None:
    assert len(TRIPLES) == 8 * 2 * 7 + 6 * 2 * 5
    assert len(negotiation.ARROWS) == 19
    assert len(transfer.ARROWS) == 14


def test_figure_and_text_differ_in_three_terminations() -> None:
    starred = drawn("\n".join(line for line in NEGOTIATION.splitlines() if line.endswith("*")))
    assert dict(negotiation.TEXT_ONLY) == starred
    assert {step for _, _, step in negotiation.TEXT_ONLY} == {"TERMINATE"}
    assert len(negotiation.TEXT_ONLY) == 3


@pytest.mark.parametrize("module", [negotiation, transfer])
def test_final_states_are_those_that_nothing_leaves(module) -> None:
    left = {state for state, _, _ in module.ARROWS}
    assert module.MACHINE.final == set(module.State) - left


@pytest.mark.parametrize("module", [negotiation, transfer])
def test_an_end_may_be_said_and_heard_in_each_state_that_is_not_final(module) -> None:
    for state in module.State:
        for role in Role:
            may = module.MACHINE.may_say(Process(role, state), "TERMINATE")
            assert may == (state not in module.MACHINE.final)


@pytest.mark.parametrize("module", [negotiation, transfer])
def test_plain_text_finds_the_arrows(module) -> None:
    for (state, role, step), target in module.ARROWS.items():
        text = None if state is None else str(state)
        assert module.MACHINE.next_state(text, Role(str(role)), str(step)) == str(target)


def test_each_message_takes_its_step() -> None:
    steps = {
        "request, first": "REQUEST",
        "request, counter": "REQUEST",
        "offer, first": "OFFER",
        "offer, counter": "OFFER",
        "agreement": "AGREE",
        "verification": "VERIFY",
        "accepted": "ACCEPT",
        "finalized": "FINALIZE",
        "negotiation end": "TERMINATE",
    }
    for label, step in steps.items():
        assert negotiation.step_of(said.MESSAGES[label]) == step  # type: ignore[arg-type]
    steps = {
        "transfer request, pull": "REQUEST",
        "start": "START",
        "resume": "START",
        "suspension": "SUSPEND",
        "completion": "COMPLETE",
        "transfer end": "TERMINATE",
    }
    for label, step in steps.items():
        assert transfer.step_of(said.MESSAGES[label]) == step  # type: ignore[arg-type]


WAITS = {
    ("negotiation", "REQUESTED", Role.CONSUMER): ("requested_wait_s", "timeout"),
    ("negotiation", "OFFERED", Role.PROVIDER): ("offered_wait_s", "timeout"),
    ("negotiation", "ACCEPTED", Role.CONSUMER): ("step_wait_s", "timeout"),
    ("negotiation", "AGREED", Role.PROVIDER): ("step_wait_s", "timeout"),
    ("negotiation", "VERIFIED", Role.CONSUMER): ("step_wait_s", "timeout"),
    ("transfer", "REQUESTED", Role.PROVIDER): ("transfer_open_wait_s", "not-opened"),
    ("transfer", "SUSPENDED", Role.CONSUMER): ("suspended_wait_s", "timeout"),
    ("transfer", "SUSPENDED", Role.PROVIDER): ("suspended_wait_s", "timeout"),
}


@pytest.mark.parametrize("name", PROTOCOLS)
def test_waits_are_those_of_the_node(name: str) -> None:
    limits = Limits()
    machine: Machine = PROTOCOLS[name][0].MACHINE
    for state, role in itertools.product([None, *PROTOCOLS[name][0].State], Role):
        wait = WAITS.get((name, state, role))  # type: ignore[arg-type]
        process = Process(role, state)
        assert machine.wait_s(process, limits) == (getattr(limits, wait[0]) if wait else None)
        assert machine.wait_code(process) == (wait[1] if wait else None)
        assert machine.wait_s(Process(role, state, pending="TERMINATE"), limits) is None


@pytest.mark.parametrize("name", PROTOCOLS)
def test_who_waits_is_not_whose_turn_it_is(name: str) -> None:
    """Where only one side has a next step other than the end, the other one waits."""
    module, _ = PROTOCOLS[name]
    for state, role in module.MACHINE.waits:
        if (name, state) == ("transfer", "REQUESTED"):
            continue  # the provider waits for its own service
        steps = {
            sender for (at, sender, step) in module.ARROWS if at == state and step != "TERMINATE"
        }
        assert role.other in steps
