# SPDX-License-Identifier: Apache-2.0
"""The specifications' own files, beside the checkout: schemas that judge, examples to read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft201909Validator
from referencing import Registry, Resource

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
SPEC = SHARED / "spec"
DSP = SPEC / "dsp"
EDC_WIRE = SHARED / "reference" / "edc" / "wire"
DSP_PAGE = SHARED / "reference" / "dsp.md"
REASON = "../shared/spec is not beside the checkout"
BASE = "https://w3id.org/dspace/2025/1/"

# the schema of each @type, and the name of the schema that has none
SCHEMAS = {
    "CatalogRequestMessage": "catalog/catalog-request-message",
    "DatasetRequestMessage": "catalog/dataset-request-message",
    "Catalog": "catalog/catalog",
    "Dataset": "catalog/dataset",
    "CatalogError": "catalog/catalog-error",
    "ContractRequestMessage": "negotiation/contract-request-message",
    "ContractOfferMessage": "negotiation/contract-offer-message",
    "ContractAgreementMessage": "negotiation/contract-agreement-message",
    "ContractAgreementVerificationMessage": "negotiation/contract-agreement-verification-message",
    "ContractNegotiationEventMessage": "negotiation/contract-negotiation-event-message",
    "ContractNegotiationTerminationMessage": "negotiation/contract-negotiation-termination-message",
    "ContractNegotiation": "negotiation/contract-negotiation",
    "ContractNegotiationError": "negotiation/contract-negotiation-error",
    "TransferRequestMessage": "transfer/transfer-request-message",
    "TransferStartMessage": "transfer/transfer-start-message",
    "TransferSuspensionMessage": "transfer/transfer-suspension-message",
    "TransferCompletionMessage": "transfer/transfer-completion-message",
    "TransferTerminationMessage": "transfer/transfer-termination-message",
    "TransferProcess": "transfer/transfer-process",
    "TransferError": "transfer/transfer-error",
    "VersionDocument": "common/protocol-version",
}


def need(folder: Path = DSP, reason: str = REASON) -> None:
    """Skip the whole module, and say why, where the files are not there."""
    if not folder.is_dir():
        pytest.skip(reason, allow_module_level=True)


@cache
def _registry() -> Registry[Any]:
    registry: Registry[Any] = Registry()
    for path in sorted(DSP.rglob("*-schema.json")):
        # three transfer schemas forget the slash after `#`; see the README of the folder
        text = path.read_text().replace("#definitions/", "#/definitions/")
        contents = json.loads(text)
        registry = registry.with_resource(contents["$id"], Resource.from_contents(contents))
    return registry


@cache
def _validator(kind: str) -> Draft201909Validator:
    schema = _registry().contents(f"{BASE}{SCHEMAS[kind]}-schema.json")
    return Draft201909Validator(schema, registry=_registry())


def kind_of(value: Any) -> str:
    """The name under which SCHEMAS knows a message."""
    return value.get("@type", "VersionDocument")


def faults(value: Any, kind: str) -> list[str]:
    """What the schema of this kind says against a value; empty where it is valid."""
    return [error.message for error in _validator(kind).iter_errors(value)]


@dataclass(frozen=True)
class Example:
    """One example of the specification."""

    path: Path

    @property
    def raw(self) -> bytes:
        return self.path.read_bytes()

    @property
    def json(self) -> Any:
        return json.loads(self.raw)

    @property
    def kind(self) -> str:
        return kind_of(self.json)

    def __str__(self) -> str:
        return self.path.stem


def examples(*folders: str) -> list[Example]:
    """The examples of these folders of the protocol, in a fixed order."""
    return [
        Example(path) for each in folders for path in sorted((DSP / each / "example").iterdir())
    ]
