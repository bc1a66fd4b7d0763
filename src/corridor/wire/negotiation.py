# SPDX-License-Identifier: Apache-2.0
"""The messages of a contract negotiation (DSP #contract-negotiation-message-types)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from corridor.limits import Limits
from corridor.wire import head
from corridor.wire.codec import LIMITS, Message, read

EventType: TypeAlias = Literal["ACCEPTED", "FINALIZED"]
NegotiationState: TypeAlias = Literal[
    "REQUESTED", "OFFERED", "ACCEPTED", "AGREED", "VERIFIED", "FINALIZED", "TERMINATED"
]


class ContractRequestMessage(Message, frozen=True, kw_only=True):
    """The consumer asks for an agreement, or makes a counter-offer (#contract-request-message)."""

    consumer_pid: str
    provider_pid: str | None = None
    offer: dict[str, Any]
    callback_address: str | None = None

    def __post_init__(self) -> None:
        """Hold the schema's `oneOf`: a first request names a callback, a later one the provider."""
        if (self.provider_pid is None) == (self.callback_address is None):
            raise ValueError("exactly one of providerPid and callbackAddress is required")
        head.message_offer(self.offer)

    def policies(self) -> tuple[Mapping[str, Any], ...]:
        """The offer asked for."""
        return (self.offer,)


class ContractOfferMessage(Message, frozen=True, kw_only=True):
    """The provider makes an offer, first or counter (#contract-offer-message)."""

    provider_pid: str
    consumer_pid: str | None = None
    offer: dict[str, Any]
    callback_address: str | None = None

    def __post_init__(self) -> None:
        """Hold the schema's `oneOf`: a first offer names a callback, a later one the consumer."""
        if (self.consumer_pid is None) == (self.callback_address is None):
            raise ValueError("exactly one of consumerPid and callbackAddress is required")
        head.message_offer(self.offer)

    def policies(self) -> tuple[Mapping[str, Any], ...]:
        """The offer made."""
        return (self.offer,)


class ContractAgreementMessage(Message, frozen=True, kw_only=True):
    """The provider agrees and sends the agreement (#contract-agreement-message)."""

    provider_pid: str
    consumer_pid: str
    agreement: dict[str, Any]

    def __post_init__(self) -> None:
        """Hold what the schema says of an Agreement."""
        head.agreement(self.agreement)

    def policies(self) -> tuple[Mapping[str, Any], ...]:
        """The agreement."""
        return (self.agreement,)


class ContractAgreementVerificationMessage(Message, frozen=True, kw_only=True):
    """The consumer verifies the agreement (#contract-agreement-verification-message)."""

    provider_pid: str
    consumer_pid: str


class ContractNegotiationEventMessage(Message, frozen=True, kw_only=True):
    """The consumer accepts an offer, or the provider finalizes (…-negotiation-event-message)."""

    provider_pid: str
    consumer_pid: str
    event_type: EventType


class ContractNegotiationTerminationMessage(Message, frozen=True, kw_only=True):
    """Either side ends the negotiation (#contract-negotiation-termination-message)."""

    provider_pid: str
    consumer_pid: str
    code: str | None = None
    reason: tuple[str, ...] = ()


class ContractNegotiation(Message, frozen=True, kw_only=True):
    """How a negotiation stands, as an answer (#ack-contract-negotiation)."""

    provider_pid: str
    consumer_pid: str
    state: NegotiationState


class ContractNegotiationError(Message, frozen=True, kw_only=True):
    """Why a negotiation message was refused (#error-contract-negotiation-error)."""

    provider_pid: str
    consumer_pid: str
    code: str | None = None
    reason: tuple[str, ...] = ()


AnyNegotiationMessage: TypeAlias = (
    ContractRequestMessage
    | ContractOfferMessage
    | ContractAgreementMessage
    | ContractAgreementVerificationMessage
    | ContractNegotiationEventMessage
    | ContractNegotiationTerminationMessage
)

_KINDS: dict[str, type[AnyNegotiationMessage]] = {
    "ContractRequestMessage": ContractRequestMessage,
    "ContractOfferMessage": ContractOfferMessage,
    "ContractAgreementMessage": ContractAgreementMessage,
    "ContractAgreementVerificationMessage": ContractAgreementVerificationMessage,
    "ContractNegotiationEventMessage": ContractNegotiationEventMessage,
    "ContractNegotiationTerminationMessage": ContractNegotiationTerminationMessage,
}


def decode(data: bytes, *, limits: Limits) -> AnyNegotiationMessage:
    """Read a message that moves a negotiation. Raises MalformedMessage and nothing else."""
    return read(data, _KINDS, limits=limits)


def decode_process(data: bytes, *, limits: Limits = LIMITS) -> ContractNegotiation:
    """Read the answer of a peer that shows a negotiation; `@context` may be missing.

    Raises MalformedMessage, also for the empty body that many connectors answer: any 2xx is an
    acknowledgement, whatever its body.
    """
    kinds = {"ContractNegotiation": ContractNegotiation}
    return read(data, kinds, limits=limits, context=False)
