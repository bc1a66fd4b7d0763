# SPDX-License-Identifier: Apache-2.0
"""Whatever bytes come: a message, or MalformedMessage; and what we write, we read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from tests.spec import said

from corridor.errors import CorridorError, LocalProtocolError, MalformedMessage, RemoteProtocolError
from corridor.limits import Limits
from corridor.wire import catalog, negotiation, transfer, version
from corridor.wire.codec import encode, normalise, parse, read
from corridor.wire.spelling import PLAIN

LIMITS = Limits()
READERS = [
    negotiation.decode,
    negotiation.decode_process,
    transfer.decode,
    transfer.decode_process,
    catalog.decode_request,
    catalog.decode_catalog,
    catalog.decode_dataset,
    version.decode,
]
WRITTEN = [encode(message) for message in said.MESSAGES.values()] + [version.encode(said.VERSIONS)]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=8) | st.sampled_from(sorted(PLAIN)), inner, max_size=4)
    ),
    max_leaves=12,
)


def read_all(data: bytes) -> None:
    for reader in READERS:
        try:
            message = reader(data, limits=LIMITS)
        except MalformedMessage:
            continue
        if isinstance(message, catalog.CatalogRequestMessage):
            try:
                catalog.filter_of(message)
            except RemoteProtocolError as error:
                assert error.code == "filter"  # noqa: PT017 - another code is the fault looked for
    code, reasons = version.decode_error(data)
    assert type(code) is str
    assert all(type(reason) is str for reason in reasons)


@given(st.binary(max_size=200))
@example(b'"\\ud800"')
@example(b"1" * 5000)
@example(b"1e999")
def test_any_bytes(data: bytes) -> None:
    read_all(data)


@given(st.text(alphabet='{}[]",:\\u0d8e- \n', max_size=60))
def test_what_looks_like_json(text: str) -> None:
    read_all(text.encode())


@given(VALUES)
def test_any_json(value: Any) -> None:
    read_all(json.dumps(value).encode())


@settings(max_examples=400)
@given(data=st.data(), raw=st.sampled_from(WRITTEN))
def test_mutated_bytes(data: st.DataObject, raw: bytes) -> None:
    at = data.draw(st.integers(0, len(raw)))
    cut = data.draw(st.integers(0, 6))
    new = data.draw(st.binary(max_size=4) | st.sampled_from([b"null", b"[]", b"{}", b'"', b"1e9"]))
    read_all(raw[:at] + new + raw[at + cut :])


def places(value: Any) -> list[tuple[Any, Any]]:
    items = value.items() if type(value) is dict else enumerate(value)
    found = []
    for key, inner in list(items):
        found.append((value, key))
        if type(inner) in (dict, list):
            found += places(inner)
    return found


@settings(max_examples=400)
@given(data=st.data(), raw=st.sampled_from(WRITTEN), new=VALUES)
def test_mutated_messages(data: st.DataObject, raw: bytes, new: Any) -> None:
    value = json.loads(raw)
    place, key = data.draw(st.sampled_from(places(value)))
    place[key] = new
    read_all(json.dumps(value).encode())


@given(VALUES)
def test_parsing_agrees_with_the_standard_library(value: Any) -> None:
    raw = json.dumps(value).encode()
    try:
        parsed = parse(raw, limits=LIMITS)
    except MalformedMessage:
        assume("Infinity" in raw.decode() or "NaN" in raw.decode() or "\\ud" in raw.decode())
        return
    assert parsed == json.loads(raw)


@given(st.dictionaries(st.text(max_size=6), VALUES, min_size=1, max_size=4), st.data(), VALUES)
def test_equal_keys_are_refused_wherever_they_stand(
    value: dict[str, Any], data: st.DataObject, other: Any
) -> None:
    raw = json.dumps(value)
    try:
        parse(raw.encode(), limits=LIMITS)
    except MalformedMessage:
        assume(False)
    key = json.dumps(data.draw(st.sampled_from(sorted(value))))
    doubled = f"{raw[:-1]},{key}:{json.dumps(other)}}}"
    for around in (doubled, f'[{{"a":[{doubled}]}}]', f'{{"a:b,\\"":"}}",\n"x":{doubled}}}'):
        with pytest.raises(MalformedMessage):
            parse(around.encode(), limits=LIMITS)


@given(VALUES)
def test_normalising_twice_is_normalising_once(value: Any) -> None:
    try:
        once = normalise(value)
    except MalformedMessage:
        return
    # reasons that are no texts became texts, which stay; nothing else may change again
    assert normalise(once) == once or value != value


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
PIDS = st.fixed_dictionaries({"provider_pid": TEXT, "consumer_pid": TEXT})
WHY = st.fixed_dictionaries(
    {}, optional={"code": TEXT, "reason": st.lists(TEXT, min_size=1, max_size=3).map(tuple)}
)
ADDRESS = st.builds(
    transfer.DataAddress,
    endpoint_type=TEXT,
    endpoint=st.none() | TEXT,
    endpoint_properties=st.lists(
        st.builds(transfer.EndpointProperty, name=TEXT, value=TEXT), max_size=3
    ).map(tuple),
)
RULE = st.fixed_dictionaries({"action": TEXT}, optional={"constraint": st.just([])})
OFFER = st.fixed_dictionaries(
    {
        "@id": TEXT.filter(bool),
        "@type": st.just("Offer"),
        "target": TEXT,
        "permission": st.lists(RULE, min_size=1, max_size=2),
    },
    optional={"assigner": TEXT, "urn:x": TEXT},
)
MESSAGES = st.one_of(
    st.builds(
        lambda pids, why: negotiation.ContractNegotiationTerminationMessage(**pids, **why),
        PIDS,
        WHY,
    ),
    st.builds(lambda pids, why: transfer.TransferSuspensionMessage(**pids, **why), PIDS, WHY),
    st.builds(
        lambda pids, address: transfer.TransferStartMessage(**pids, data_address=address),
        PIDS,
        st.none() | ADDRESS,
    ),
    st.builds(
        negotiation.ContractRequestMessage,
        id_=st.none() | TEXT,
        consumer_pid=TEXT,
        offer=OFFER,
        callback_address=TEXT,
    ),
    st.builds(negotiation.ContractOfferMessage, provider_pid=TEXT, consumer_pid=TEXT, offer=OFFER),
)


@given(MESSAGES)
def test_what_we_write_we_read(message: Any) -> None:
    raw = encode(message)
    again = read(raw, said.KINDS, limits=LIMITS)
    assert again == message
    assert encode(again) == raw


@given(st.dictionaries(st.text(max_size=5), VALUES, max_size=4))
def test_writing_a_dataset_fails_in_one_way(offer: dict[str, Any]) -> None:
    try:
        raw = catalog.dataset_bytes(
            dataset_id="d", offers=[{**offer, "@id": "o", "permission": [{"action": "use"}]}],
            formats=["F-PULL"], service="s",
        )  # fmt: skip
    except CorridorError as error:
        assert type(error) is LocalProtocolError  # noqa: PT017 - any other is the fault looked for
    else:
        assert catalog.decode_dataset(catalog.dataset_answer(raw)).id_ == "d"
