# SPDX-License-Identifier: Apache-2.0
"""The contract negotiation: its table (DSP #contract-negotiation-states).

States: REQUESTED and OFFERED are the two sides of the haggling, each entered by the word of one
side and left by the word of the other. ACCEPTED, AGREED, VERIFIED are the steps of signing, which
alternate. FINALIZED and TERMINATED are final.

Figure and text differ in three arrows. The text lets either side terminate in every state that is
not final. The figure lacks the consumer's termination in ACCEPTED and VERIFIED and the provider's
in AGREED, which would chain each side to a partner that has gone silent. We hear along the text,
and speak along the figure with the same exception, TERMINATE (`house-style.md` 16).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import assert_never

from corridor.protocol.machine import Arrow, Machine, Role, Wait
from corridor.wire.negotiation import (
    AnyNegotiationMessage,
    ContractAgreementMessage,
    ContractAgreementVerificationMessage,
    ContractNegotiationEventMessage,
    ContractNegotiationTerminationMessage,
    ContractOfferMessage,
    ContractRequestMessage,
)


class State(StrEnum):
    """The seven states of the specification."""

    REQUESTED = "REQUESTED"
    OFFERED = "OFFERED"
    ACCEPTED = "ACCEPTED"
    AGREED = "AGREED"
    VERIFIED = "VERIFIED"
    FINALIZED = "FINALIZED"
    TERMINATED = "TERMINATED"


class Step(StrEnum):
    """What a message does; the event message does one of two things."""

    REQUEST = "REQUEST"
    OFFER = "OFFER"
    ACCEPT = "ACCEPT"
    AGREE = "AGREE"
    VERIFY = "VERIFY"
    FINALIZE = "FINALIZE"
    TERMINATE = "TERMINATE"


C, P = Role.CONSUMER, Role.PROVIDER

FIGURE: Mapping[Arrow, str] = MappingProxyType(
    {
        (None, C, Step.REQUEST): State.REQUESTED,
        (None, P, Step.OFFER): State.OFFERED,
        (State.REQUESTED, P, Step.OFFER): State.OFFERED,
        (State.REQUESTED, P, Step.AGREE): State.AGREED,
        (State.REQUESTED, C, Step.TERMINATE): State.TERMINATED,
        (State.REQUESTED, P, Step.TERMINATE): State.TERMINATED,
        (State.OFFERED, C, Step.REQUEST): State.REQUESTED,
        (State.OFFERED, C, Step.ACCEPT): State.ACCEPTED,
        (State.OFFERED, C, Step.TERMINATE): State.TERMINATED,
        (State.OFFERED, P, Step.TERMINATE): State.TERMINATED,
        (State.ACCEPTED, P, Step.AGREE): State.AGREED,
        (State.ACCEPTED, P, Step.TERMINATE): State.TERMINATED,
        (State.AGREED, C, Step.VERIFY): State.VERIFIED,
        (State.AGREED, C, Step.TERMINATE): State.TERMINATED,
        (State.VERIFIED, P, Step.FINALIZE): State.FINALIZED,
        (State.VERIFIED, P, Step.TERMINATE): State.TERMINATED,
    }
)

TEXT_ONLY: Mapping[Arrow, str] = MappingProxyType(
    {
        (State.ACCEPTED, C, Step.TERMINATE): State.TERMINATED,
        (State.AGREED, P, Step.TERMINATE): State.TERMINATED,
        (State.VERIFIED, C, Step.TERMINATE): State.TERMINATED,
    }
)

ARROWS: Mapping[Arrow, str] = MappingProxyType({**FIGURE, **TEXT_ONLY})

_SILENT = Wait("step_wait_s", "timeout")

MACHINE = Machine(
    arrows=ARROWS,
    ranks=MappingProxyType({Step.TERMINATE: 3}),
    same_is_one_wish=frozenset(Step),
    final=frozenset({State.FINALIZED, State.TERMINATED}),
    waits=MappingProxyType(
        {
            (State.REQUESTED, C): Wait("requested_wait_s", "timeout"),  # a person may be thinking
            (State.OFFERED, P): Wait("offered_wait_s", "timeout"),
            (State.ACCEPTED, C): _SILENT,
            (State.AGREED, P): _SILENT,
            (State.VERIFIED, C): _SILENT,
        }
    ),
)

_EVENT_STEPS: Mapping[str, Step] = MappingProxyType(
    {"ACCEPTED": Step.ACCEPT, "FINALIZED": Step.FINALIZE}
)


def step_of(message: AnyNegotiationMessage) -> Step:
    """Return the step that a message takes, whoever sent it."""
    match message:
        case ContractRequestMessage():
            return Step.REQUEST
        case ContractOfferMessage():
            return Step.OFFER
        case ContractAgreementMessage():
            return Step.AGREE
        case ContractAgreementVerificationMessage():
            return Step.VERIFY
        case ContractNegotiationEventMessage():
            return _EVENT_STEPS[message.event_type]
        case ContractNegotiationTerminationMessage():
            return Step.TERMINATE
        case _ as never:
            assert_never(never)
