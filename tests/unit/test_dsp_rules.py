# SPDX-License-Identifier: Apache-2.0
"""The kit's table says only what the protocol lets us say, and counts as the kit does."""

from __future__ import annotations

from typing import Any

import harness
import msgspec
import pytest
import rules

from corridor.engine.decide import Rest, Speak
from corridor.protocol import negotiation, transfer
from corridor.protocol.machine import Machine, Role
from corridor.store.negotiations import Negotiation
from corridor.store.transfers import Transfer


@pytest.mark.parametrize(
    ("table", "machine", "us"),
    [
        (rules.AS_PROVIDER, negotiation.MACHINE, Role.PROVIDER),
        (rules.AS_CONSUMER, negotiation.MACHINE, Role.CONSUMER),
        (rules.SENDING, transfer.MACHINE, Role.PROVIDER),
        (rules.RECEIVING, transfer.MACHINE, Role.CONSUMER),
    ],
    ids=["provider", "consumer", "sending", "receiving"],
)
def test_every_step_of_the_table_is_legal(
    table: dict[str, rules.Rule], machine: Machine, us: Role
) -> None:
    for rule, row in table.items():
        for state, steps in row.items():
            for step in steps:
                assert machine.next_state(state, us, step) is not None, (rule, state, step)


def test_a_rule_is_consumed_once_per_entry_of_one_process() -> None:
    entries = rules.Entries()

    def ask(mark: int, process: str = "a", state: str = "STARTED") -> str | None:
        return entries.step("ATP0104", process=process, state=state, mark=mark)

    assert ask(2) == transfer.Step.SUSPEND
    assert ask(2) == transfer.Step.SUSPEND  # asked again about the same entry
    assert ask(3, state="SUSPENDED") == transfer.Step.START
    assert ask(4) == transfer.Step.COMPLETE
    assert ask(6) is None
    assert ask(2, process="b") == transfer.Step.SUSPEND  # the next run, the same id


def test_the_second_request_of_one_negotiation_ends_it() -> None:
    entries = rules.Entries()
    said = [
        entries.step(rule, process=rule, state="REQUESTED", mark=mark)
        for rule in ("ACN0102", "ACN0304")
        for mark in (1, 3)
    ]
    assert said == ["OFFER", "TERMINATE", "OFFER", None]


def test_an_id_that_is_none_of_the_kits_is_not_guessed() -> None:
    with pytest.raises(KeyError):
        rules.Entries().step("population", process="a", state="REQUESTED", mark=1)


def test_the_kits_inputs_are_named_as_its_methods_are() -> None:
    inputs = rules.inputs()
    assert inputs["CN_01_02_DATASETID"] == "ACN0102"
    assert inputs["CN_01_02_OFFERID"] == "CD123:ACN0102:456"
    assert inputs["CN_C_03_06_DATASETID"] == "ACNC0306"
    assert inputs["TP_01_04_AGREEMENTID"] == "ATP0104"
    assert inputs["TP_C_01_05_AGREEMENTID"] == "ATPC0104"
    assert inputs["CAT_01_03_DATASETID"] == "CAT0103"
    assert len(rules.AS_PROVIDER) == 15
    assert len(rules.AS_CONSUMER) == 16
    assert len(rules.SENDING) == 16
    assert "CAT0103" not in rules.DATASETS


class Production:
    """Answers something that the kit's table never says."""

    said = Speak(step="PRODUCTION")

    def negotiation(self, home: Any, it: Negotiation) -> Speak:
        return self.said

    def transfer(self, home: Any, it: Transfer) -> Speak:
        return self.said


def negotiation_of(dataset: str, state: str, messages: int) -> Negotiation:
    return Negotiation(
        pid="p", role="provider", peer=rules.PEER, asset=dataset, offer_id="o", state=state,
        messages=messages, created=0, changed=0,
    )  # fmt: skip


def test_the_seam_answers_from_the_table() -> None:
    seam, home = harness.ByKit(Production()), None
    first = negotiation_of("ACN0102", "REQUESTED", 1)
    offer = {"permission": [{"action": "use"}], "@id": "o"}
    assert seam.negotiation(home, first) == Speak(step="OFFER", offer=offer)
    # The store found the row changed: the same entry is decided again, whatever its version.
    again = msgspec.structs.replace(first, ver=2)
    assert seam.negotiation(home, again) == Speak(step="OFFER", offer=offer)
    assert seam.negotiation(home, negotiation_of("ACN0102", "REQUESTED", 3)) == Speak(
        step="TERMINATE"
    )
    assert seam.negotiation(home, negotiation_of("ACN0102", "OFFERED", 2)) == Rest()


def test_what_is_not_the_kits_is_left_to_production() -> None:
    seam, home = harness.ByKit(Production()), None
    assert seam.negotiation(home, negotiation_of("population", "REQUESTED", 1)) == Production.said
    transfer_ = Transfer(
        pid="t", role="provider", peer=rules.PEER, agreement_id="urn:uuid:1", format="x",
        state="REQUESTED", created=0, changed=0,
    )  # fmt: skip
    assert seam.transfer(home, transfer_) == Production.said
    kit = msgspec.structs.replace(transfer_, agreement_id="ATP0105", messages=1)
    assert seam.transfer(home, kit) == Speak(step="TERMINATE")
