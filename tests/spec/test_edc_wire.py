# SPDX-License-Identifier: Apache-2.0
"""What Eclipse EDC really sends, recorded: each body is read, or refused for a known reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.spec import spec

from corridor.errors import MalformedMessage
from corridor.limits import Limits
from corridor.wire import catalog, negotiation, transfer, version

spec.need(spec.EDC_WIRE, "../shared/reference/edc/wire is not beside the checkout")

LIMITS = Limits()
RECORDED = sorted(spec.EDC_WIRE.glob("*.json"))
# bodies that the recorder itself made wrong, to see what EDC answers
REFUSED = {
    "45": "a ContractRequestMessage without pid and offer",
    "46": "no @context",
    "47": "no JSON object",
    "54": "neither callbackAddress nor providerPid",
}


def reader(kind: str) -> Callable[..., Any]:
    if kind in ("ContractNegotiation", "TransferProcess"):
        module = negotiation if kind == "ContractNegotiation" else transfer
        return module.decode_process
    if kind.startswith("Contract"):
        return negotiation.decode
    if kind.startswith("Transfer"):
        return transfer.decode
    return {
        "CatalogRequestMessage": catalog.decode_request,
        "Catalog": catalog.decode_catalog,
        "Dataset": catalog.decode_dataset,
        "VersionDocument": version.decode,
    }[kind]


def number(path: Path) -> str:
    return path.name[:2]


def test_all_are_there() -> None:
    assert len(RECORDED) == 60


@pytest.mark.parametrize("path", RECORDED, ids=number)
def test_requests_are_read(path: Path) -> None:
    body = json.loads(path.read_text())["request"]["body"]
    if body is None:
        return
    raw = json.dumps(body).encode()
    kind = body.get("@type", "") if type(body) is dict else "CatalogRequestMessage"
    if number(path) in REFUSED:
        with pytest.raises(MalformedMessage):
            reader(kind)(raw, limits=LIMITS)
        return
    message = reader(kind)(raw, limits=LIMITS)
    assert type(message).__name__ == kind
    assert message.id_ == body.get("@id")
    if kind == "CatalogRequestMessage" and number(path) != "02":
        assert catalog.filter_of(message).ids == ()


@pytest.mark.parametrize("path", RECORDED, ids=number)
def test_answers_are_read(path: Path) -> None:
    answer = json.loads(path.read_text())["response"]
    body = answer["body"]
    raw = b"" if body is None else json.dumps(body).encode()
    if type(body) is not dict:
        assert version.decode_error(raw) == ("", ())
        return
    kind = spec.kind_of(body)
    if answer["status"] >= 400:
        code, reasons = version.decode_error(raw)
        assert (code, list(reasons)) == (body["code"], body["reason"])
        return
    assert reader(kind)(raw, limits=LIMITS) is not None


def test_an_address_of_edc_is_found_by_last_segments() -> None:
    path = next(each for each in RECORDED if number(each) == "09")
    body = json.loads(path.read_text())["request"]["body"]
    message = transfer.decode(json.dumps(body).encode(), limits=LIMITS)
    assert isinstance(message, transfer.TransferStartMessage)
    assert message.data_address is not None
    assert message.data_address.endpoint is None
    assert message.data_address.property("endpoint") == "http://localhost:19291/public"
    assert message.data_address.property("authType") == "bearer"
    assert str(message.data_address.property("authorization")).startswith("eyJ")
