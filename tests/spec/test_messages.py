# SPDX-License-Identifier: Apache-2.0
"""The specification's schemas take what we write; its examples read, and write back equal."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.spec import said, spec

from corridor.errors import MalformedMessage
from corridor.limits import Limits
from corridor.wire import catalog, version
from corridor.wire.codec import encode, read

spec.need()

LIMITS = Limits()
# DID documents are read and written by identity/; we write none of these (dcp.md 1.3)
NOT_MESSAGES = {"catalogservice-did-service", "dataservice-did-service"}
EXAMPLES = [
    each
    for each in spec.examples("catalog", "negotiation", "transfer", "common")
    if str(each) not in NOT_MESSAGES
]


def rewritten(raw: bytes) -> Any:
    """Read a message by its own type and write it again."""
    if spec.kind_of(json.loads(raw)) == "VersionDocument":
        return json.loads(version.encode(version.decode(raw)))
    return json.loads(encode(read(raw, said.KINDS, limits=LIMITS)))


def test_the_folder_is_whole() -> None:
    assert len(EXAMPLES) == 25
    assert {each.kind for each in EXAMPLES} == set(spec.SCHEMAS)


@pytest.mark.parametrize("label", said.MESSAGES)
def test_schemas_take_what_we_write(label: str) -> None:
    value = json.loads(encode(said.MESSAGES[label]))
    assert spec.faults(value, value["@type"]) == []


@pytest.mark.parametrize("label", said.MESSAGES)
def test_what_we_write_reads_and_is_the_same(label: str) -> None:
    raw = encode(said.MESSAGES[label])
    assert rewritten(raw) == json.loads(raw)


def test_each_type_is_written() -> None:
    assert {type(message).__name__ for message in said.MESSAGES.values()} == set(said.KINDS)
    assert set(said.KINDS) | {"VersionDocument"} == set(spec.SCHEMAS)


def test_schema_takes_our_versions() -> None:
    assert spec.faults(json.loads(version.encode(said.VERSIONS)), "VersionDocument") == []


@pytest.mark.parametrize("count", [0, 1, 100])
def test_schemas_take_joined_pages(count: int) -> None:
    one = catalog.dataset_bytes(
        dataset_id=said.T,
        offers=[said.CATALOG_OFFER],
        formats=["HttpData-PULL", "CorridorTables-PULL"],
        service=said.SERVICE,
        title={"en": "Grid load"},
        description={"und": "hourly"},
        detail={"columns": ["a"]},
    )
    page = catalog.catalog_bytes("did:web:p.example", "urn:uuid:c", said.SERVICE, [one] * count)
    assert spec.faults(json.loads(page), "Catalog") == []
    assert len(catalog.decode_catalog(page).dataset) == count
    assert spec.faults(json.loads(catalog.dataset_answer(one)), "Dataset") == []
    assert encode(catalog.decode_dataset(catalog.dataset_answer(one))) == catalog.dataset_answer(
        one
    )


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_reads_and_writes_the_examples(example: spec.Example) -> None:
    assert rewritten(example.raw) == example.json


# --- what the schema refuses, we refuse ---------------------------------------------------------

BROKEN: list[Any] = [None, 7, True, {}, [], "no such word"]
RULES = ("permission", "prohibition", "obligation")


def variations(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[Any, str, Any]]:
    """Every place of an example, left out or replaced; not inside rules: policy/ reads those."""
    items = value.items() if type(value) is dict else enumerate(value)
    for key, inner in items:
        here = (*path, key)
        yield here, "left out", ...
        for broken in BROKEN:
            yield here, repr(broken), broken
        if type(inner) in (dict, list) and key not in RULES:
            yield from variations(inner, here)


def varied(value: Any, path: tuple[str | int, ...], broken: Any) -> Any:
    copied = copy.deepcopy(value)
    place = copied
    for key in path[:-1]:
        place = place[key]
    if broken is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = broken
    return copied


def tolerated(path: tuple[str | int, ...], broken: Any) -> str:
    """Why we read what the schema refuses: dsp.md 2.1, 2.2 and edc.md 3, 4; empty: we do not."""
    name = path[-1]
    if name == "code" and type(broken) is int:
        return "connectors send the status as a number"
    if name == "reason" and broken not in (None, []):
        return "one reason for a list of one; reasons are untyped"
    if name in ("permission", "prohibition") and broken is ...:
        return "EDC's policy that asks for nothing has no rules"
    if name in ("dataset", "catalog", "service", "distribution") and broken == []:
        return "EDC shows an empty list where nothing is registered"
    if broken is ... and path[-2:-1] in [
        ("dataset",),
        ("catalog",),
        ("service",),
        ("distribution",),
    ]:
        return "the list got empty by this"
    if name == "filter" and broken == {}:
        return "one object for a list of one"
    return ""


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_refuses_each_invalid_variation(example: spec.Example) -> None:
    refused, taken = 0, []
    for path, label, broken in variations(example.json):
        value = varied(example.json, path, broken)
        if not spec.faults(value, example.kind) or tolerated(path, broken):
            continue
        try:
            if example.kind == "VersionDocument":
                version.decode(json.dumps(value).encode())
            else:
                read(
                    json.dumps(value).encode(),
                    {example.kind: said.KINDS[example.kind]},
                    limits=LIMITS,
                )
        except MalformedMessage:
            refused += 1
        else:
            taken.append((path, label))
    assert taken == []
    assert refused > 10
