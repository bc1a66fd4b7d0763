# SPDX-License-Identifier: Apache-2.0
"""The transfer process: its table (DSP #transfer-process-states).

The consumer asks, the provider alone starts. From then on the two sides are equal: each may
pause, complete or end, and each may go on after a pause, whoever made it. So here, other than in
a negotiation, words cross freely, and the ranks decide (`machine`). COMPLETED and TERMINATED are
final.

A consumer that goes on after a pause has no address any more: the provider sends a START of its
own in STARTED, which the figure does not have. It is legal only after such a resume (`RESUMED`).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import assert_never

from corridor.protocol.machine import Arrow, Machine, Role, Wait
from corridor.wire.transfer import (
    AnyTransferMessage,
    TransferCompletionMessage,
    TransferRequestMessage,
    TransferStartMessage,
    TransferSuspensionMessage,
    TransferTerminationMessage,
)


class State(StrEnum):
    """The five states of the specification."""

    REQUESTED = "REQUESTED"
    STARTED = "STARTED"
    SUSPENDED = "SUSPENDED"
    COMPLETED = "COMPLETED"
    TERMINATED = "TERMINATED"


class Step(StrEnum):
    """What a message does."""

    REQUEST = "REQUEST"
    START = "START"
    SUSPEND = "SUSPEND"
    COMPLETE = "COMPLETE"
    TERMINATE = "TERMINATE"


C, P = Role.CONSUMER, Role.PROVIDER

ARROWS: Mapping[Arrow, str] = MappingProxyType(
    {
        (None, C, Step.REQUEST): State.REQUESTED,
        (State.REQUESTED, P, Step.START): State.STARTED,
        (State.REQUESTED, C, Step.TERMINATE): State.TERMINATED,
        (State.REQUESTED, P, Step.TERMINATE): State.TERMINATED,
        (State.STARTED, C, Step.COMPLETE): State.COMPLETED,
        (State.STARTED, P, Step.COMPLETE): State.COMPLETED,
        (State.STARTED, C, Step.SUSPEND): State.SUSPENDED,
        (State.STARTED, P, Step.SUSPEND): State.SUSPENDED,
        (State.STARTED, C, Step.TERMINATE): State.TERMINATED,
        (State.STARTED, P, Step.TERMINATE): State.TERMINATED,
        (State.SUSPENDED, C, Step.START): State.STARTED,
        (State.SUSPENDED, P, Step.START): State.STARTED,
        (State.SUSPENDED, C, Step.TERMINATE): State.TERMINATED,
        (State.SUSPENDED, P, Step.TERMINATE): State.TERMINATED,
    }
)

RESUMED: Mapping[Arrow, str] = MappingProxyType({(State.STARTED, P, Step.START): State.STARTED})

_PAUSED = Wait("suspended_wait_s", "timeout")

MACHINE = Machine(
    arrows=ARROWS,
    ranks=MappingProxyType({Step.TERMINATE: 3, Step.COMPLETE: 2, Step.SUSPEND: 1}),
    same_is_one_wish=frozenset(Step) - {Step.START},
    final=frozenset({State.COMPLETED, State.TERMINATED}),
    waits=MappingProxyType(
        {
            (State.REQUESTED, P): Wait("transfer_open_wait_s", "not-opened"),
            (State.SUSPENDED, C): _PAUSED,
            (State.SUSPENDED, P): _PAUSED,
        }
    ),
    resumed=RESUMED,
)


def step_of(message: AnyTransferMessage) -> Step:
    """Return the step that a message takes, whoever sent it."""
    match message:
        case TransferRequestMessage():
            return Step.REQUEST
        case TransferStartMessage():
            return Step.START
        case TransferSuspensionMessage():
            return Step.SUSPEND
        case TransferCompletionMessage():
            return Step.COMPLETE
        case TransferTerminationMessage():
            return Step.TERMINATE
        case _ as never:
            assert_never(never)
