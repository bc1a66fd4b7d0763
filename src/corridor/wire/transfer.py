# SPDX-License-Identifier: Apache-2.0
"""The messages of a transfer process, and the address that they carry (DSP #message-types)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

import msgspec

from corridor.limits import Limits
from corridor.wire.codec import LIMITS, Message, read
from corridor.wire.spelling import EDC, last_segment

HTTP_ENDPOINT = "https://w3id.org/idsa/v4.1/HTTP"
TransferState: TypeAlias = Literal["REQUESTED", "STARTED", "SUSPENDED", "COMPLETED", "TERMINATED"]


class EndpointProperty(
    msgspec.Struct, frozen=True, kw_only=True, tag=True, tag_field="@type", omit_defaults=True
):
    """One name and value of a data address."""

    name: str
    value: str


class DataAddress(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    rename="camel",
    tag=True,
    tag_field="@type",
    omit_defaults=True,
):
    """Where data is read from or written to (#data-address). Values may be secrets."""

    endpoint_type: str
    endpoint: str | None = None
    endpoint_properties: tuple[EndpointProperty, ...] = ()

    def property(self, name: str) -> str | None:
        """Find a property by the last segment of its name; `endpoint` also at the top level.

        The plain spelling wins over another that ends alike (`dsp.md` 8.5).
        """
        found = None
        for each in self.endpoint_properties:
            if each.name == name:
                return each.value
            if found is None and last_segment(each.name) == name:
                found = each.value
        if found is None and name == "endpoint":
            return self.endpoint
        return found

    @classmethod
    def build(cls, endpoint_type: str, endpoint: str, properties: Mapping[str, str]) -> DataAddress:
        """Build an address that every connector reads: each property plain and as EDC's IRI.

        EDC reads only the properties, so `endpoint` and `endpointType` stand there too.
        """
        told = {"endpoint": endpoint, "endpointType": endpoint_type, **properties}
        return cls(
            endpoint_type=endpoint_type,
            endpoint=endpoint,
            endpoint_properties=tuple(
                EndpointProperty(name=spelled, value=value)
                for name, value in told.items()
                for spelled in (name, EDC + name)
            ),
        )

    def __repr__(self) -> str:
        """Hide the values: one of them is a token."""
        names = ", ".join(each.name for each in self.endpoint_properties)
        return f"DataAddress({self.endpoint_type}, properties: {names})"


class TransferRequestMessage(Message, frozen=True, kw_only=True):
    """The consumer asks for the data of an agreement (#transfer-request-message)."""

    consumer_pid: str
    agreement_id: str
    format: str
    data_address: DataAddress | None = None
    callback_address: str


class TransferStartMessage(Message, frozen=True, kw_only=True):
    """Data may flow; from a consumer: go on after a suspension (#transfer-start-message)."""

    provider_pid: str
    consumer_pid: str
    data_address: DataAddress | None = None


class TransferSuspensionMessage(Message, frozen=True, kw_only=True):
    """Either side pauses the transfer (#transfer-suspension-message)."""

    provider_pid: str
    consumer_pid: str
    code: str | None = None
    reason: tuple[str, ...] = ()


class TransferCompletionMessage(Message, frozen=True, kw_only=True):
    """Either side says that all is done (#transfer-completion-message)."""

    provider_pid: str
    consumer_pid: str


class TransferTerminationMessage(Message, frozen=True, kw_only=True):
    """Either side ends the transfer before it is done (#transfer-termination-message)."""

    provider_pid: str
    consumer_pid: str
    code: str | None = None
    reason: tuple[str, ...] = ()


class TransferProcess(Message, frozen=True, kw_only=True):
    """How a transfer stands, as an answer (#ack-transfer-process)."""

    provider_pid: str
    consumer_pid: str
    state: TransferState


class TransferError(Message, frozen=True, kw_only=True):
    """Why a transfer message was refused (#error-transfer-error)."""

    provider_pid: str
    consumer_pid: str
    code: str | None = None
    reason: tuple[str, ...] = ()


AnyTransferMessage: TypeAlias = (
    TransferRequestMessage
    | TransferStartMessage
    | TransferSuspensionMessage
    | TransferCompletionMessage
    | TransferTerminationMessage
)

_KINDS: dict[str, type[AnyTransferMessage]] = {
    "TransferRequestMessage": TransferRequestMessage,
    "TransferStartMessage": TransferStartMessage,
    "TransferSuspensionMessage": TransferSuspensionMessage,
    "TransferCompletionMessage": TransferCompletionMessage,
    "TransferTerminationMessage": TransferTerminationMessage,
}


def decode(data: bytes, *, limits: Limits) -> AnyTransferMessage:
    """Read a message that moves a transfer. Raises MalformedMessage and nothing else."""
    return read(data, _KINDS, limits=limits)


def decode_process(data: bytes, *, limits: Limits = LIMITS) -> TransferProcess:
    """Read the answer of a peer that shows a transfer; `@context` may be missing.

    Raises MalformedMessage, also for an empty body (see `negotiation.decode_process`).
    """
    return read(data, {"TransferProcess": TransferProcess}, limits=limits, context=False)
