# SPDX-License-Identifier: Apache-2.0
"""Strict JSON, its limits, and the JSON-LD spellings."""

from __future__ import annotations

import json

import pytest
from tests.spec import said

from corridor.errors import LocalProtocolError, MalformedMessage
from corridor.limits import Limits
from corridor.wire import catalog, negotiation, transfer, version
from corridor.wire.codec import CONTEXT, encode, normalise, parse, rooted
from corridor.wire.digest import content_digest
from corridor.wire.head import head
from corridor.wire.spelling import last_segment

LIMITS = Limits()
SMALL = Limits(
    message_bytes_max=4096, json_depth_max=4, json_string_bytes_max=64, json_items_max=20
)


@pytest.mark.parametrize(
    "data",
    [
        b"", b"{", b"{} x", b"NaN", b"[Infinity]", b"1e999", b"01", b'"\xff"', b'"\xed\xa0\x80"',
        b'"\\ud800"', b'"\\udc00\\ud800"', b"\xef\xbb\xbf{}", b'{"a":1,"a":1}', b'{"a":1,"\\u0061":2}',
        b'[{"x":{"b":[{"a":1,"a":2}]}}]', b"9" * 5000, b"'a'", b"[1,]", b'"\x00"', b"\x00",
    ],
)  # fmt: skip
def test_refused(data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        parse(data, limits=LIMITS)


@pytest.mark.parametrize(
    "data",
    [
        b'{"a:b":"c:d","e":{"a:b":1}}', b'{"a\\"":1,"b":"\\\\"}', b'"\\ud83d\\ude00"', b"{}",
        b'[{"a":1},{"a":1}]', b'{"a":"{\\"a\\":1,\\"a\\":2}"}', b'"[[[[[[[[[[["', b"-0", b"1.5",
        b'{"\\\\":"\\\\\\"]}:,"}', b' \n{"a"\t:\r1} ',
    ],
)  # fmt: skip
def test_taken(data: bytes) -> None:
    assert parse(data, limits=LIMITS) == json.loads(data)


def test_limits_hold_at_their_edge() -> None:
    parse(b"[[[[]]]]", limits=SMALL)
    parse(b'"' + b"x" * 64 + b'"', limits=SMALL)
    parse(json.dumps(list(range(20))).encode(), limits=SMALL)
    for over in (
        b"[[[[[]]]]]",
        b'"' + b"x" * 65 + b'"',
        b'"' + b'\\"' * 33 + b'"',
        json.dumps(list(range(30))).encode(),
        b'["","' + b'","' * 100 + b'"]',
        b" " * 4097,
    ):
        with pytest.raises(MalformedMessage):
            parse(over, limits=SMALL)
    parse(b" " * 5000 + b"1", limits=SMALL, bytes_max=8192)


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b"[[{"])
@pytest.mark.parametrize("levels", [33, 2_000, 100_000])
def test_deep_nesting_does_not_recurse(opening: bytes, levels: int) -> None:
    with pytest.raises(MalformedMessage):
        parse(opening * levels, limits=LIMITS)


def test_five_megabytes() -> None:
    with pytest.raises(MalformedMessage):
        parse(b'"' + b"x" * 5_000_000 + b'"', limits=LIMITS)


def test_an_error_repeats_little_of_what_was_sent() -> None:
    secret = "x" * 4000
    with pytest.raises(MalformedMessage) as caught:
        negotiation.decode(
            json.dumps({"@context": CONTEXT, "@type": secret}).encode(), limits=LIMITS
        )
    assert secret not in str(caught.value)


COMPACTED = {
    "@context": CONTEXT,
    "@type": "dspace:TransferStartMessage",
    "dspace:providerPid": {"@id": "p"},
    "https://w3id.org/dspace/2025/1/consumerPid": "c",
    "dspace:dataAddress": {
        "@type": "https://w3id.org/dspace/2025/1/DataAddress",
        "dspace:endpointType": {"@id": "https://w3id.org/idsa/v4.1/HTTP"},
        "dspace:endpointProperties": {
            "@type": "dspace:EndpointProperty",
            "dspace:name": "authorization",
            "dspace:value": {"@value": "t"},
        },
    },
}


def test_spellings_of_json_ld() -> None:
    message = transfer.decode(json.dumps(COMPACTED).encode(), limits=LIMITS)
    assert isinstance(message, transfer.TransferStartMessage)
    assert (message.provider_pid, message.consumer_pid) == ("p", "c")
    assert message.data_address is not None
    assert message.data_address.property("authorization") == "t"
    assert message.data_address.endpoint_type == "https://w3id.org/idsa/v4.1/HTTP"


def test_spellings_of_states_events_and_catalogues() -> None:
    process = {"@type": "ContractNegotiation", "providerPid": "p", "consumerPid": "c",
               "state": {"@id": "dspace:AGREED"}}  # fmt: skip
    assert negotiation.decode_process(json.dumps(process).encode()).state == "AGREED"
    body = {
        "@context": [CONTEXT],
        "@id": "c",
        "@type": "dcat:Catalog",
        "dspace:participantId": {"@id": "did:web:p"},
        "dcat:dataset": {
            "@id": "d",
            "@type": "dcat:Dataset",
            "odrl:hasPolicy": {"@id": "o", "@type": "odrl:Offer", "odrl:permission": {"odrl:action": "odrl:use"}},
            "dcat:distribution": {"dct:format": "X-PULL", "dcat:accessService": {"@id": "s"}},
            "http://purl.org/dc/terms/title": "Grid",
            "dct:description": {"@language": "de", "@value": "Netz"},
        },
    }  # fmt: skip
    read = catalog.decode_catalog(json.dumps(body).encode())
    (dataset,) = read.dataset
    assert dataset.distribution[0].access_service == "s"
    assert catalog.words(dataset.title) == {"und": "Grid"}
    assert catalog.words(dataset.description) == {"de": "Netz"}
    assert dataset.has_policy[0]["odrl:permission"] == {"odrl:action": "odrl:use"}


def test_one_name_in_two_spellings_is_refused() -> None:
    value = {**COMPACTED, "providerPid": "q"}
    with pytest.raises(MalformedMessage):
        transfer.decode(json.dumps(value).encode(), limits=LIMITS)
    with pytest.raises(ValueError, match="twice"):
        head({"@id": "o", "permission": [{"action": "a"}], "odrl:permission": [{"action": "b"}]})


def test_policies_stay_as_they_came() -> None:
    offer = {"@id": "o", "@type": "odrl:Offer", "odrl:target": {"@id": "t"}, "odrl:permission": {"odrl:action": {"@id": "odrl:use"}, "x": None}}  # fmt: skip
    body = {"@context": CONTEXT, "@type": "ContractRequestMessage", "consumerPid": "c", "callbackAddress": "u", "offer": offer}  # fmt: skip
    message = negotiation.decode(json.dumps(body).encode(), limits=LIMITS)
    assert isinstance(message, negotiation.ContractRequestMessage)
    assert message.offer == offer
    assert head(message.offer).target == "t"


def test_words_of_other_vocabularies_stay_unknown() -> None:
    assert normalise({"dcat:providerPid": 1, "odrl:state": 2}) == {
        "dcat:providerPid": 1,
        "odrl:state": 2,
    }


def test_a_message_for_another_protocol_is_refused() -> None:
    for label in ("start", "negotiation REQUESTED", "catalog request"):
        with pytest.raises(MalformedMessage):
            negotiation.decode(encode(said.MESSAGES[label]), limits=LIMITS)
    for label in ("verification", "transfer REQUESTED"):
        with pytest.raises(MalformedMessage):
            transfer.decode(encode(said.MESSAGES[label]), limits=LIMITS)


def test_what_is_no_json_is_not_written() -> None:
    message = negotiation.ContractAgreementVerificationMessage(
        provider_pid="\ud800", consumer_pid="c"
    )
    with pytest.raises(LocalProtocolError):
        encode(message)
    with pytest.raises(LocalProtocolError):
        rooted(b"[]")


def test_a_message_of_ours_is_checked_when_it_is_built() -> None:
    with pytest.raises(ValueError, match="exactly one"):
        negotiation.ContractRequestMessage(consumer_pid="c", offer=said.OFFER)
    with pytest.raises(ValueError, match="target"):
        negotiation.ContractRequestMessage(
            consumer_pid="c", callback_address="u", offer=said.CATALOG_OFFER
        )


def test_data_addresses() -> None:
    address = said.ADDRESS
    assert address.property("endpoint") == address.endpoint == "https://p.example/data/1/"
    names = [each.name for each in address.endpoint_properties]
    assert names[:2] == ["endpoint", "https://w3id.org/edc/v0.0.1/ns/endpoint"]
    assert {"authorization", "https://w3id.org/edc/v0.0.1/ns/authorization"} <= set(names)
    assert address.property("nothing") is None
    assert transfer.DataAddress(endpoint_type="x", endpoint="e").property("endpoint") == "e"
    one = transfer.EndpointProperty(name="urn:a:b#token", value="1")
    two = transfer.EndpointProperty(name="token", value="2")
    both = transfer.DataAddress(endpoint_type="x", endpoint_properties=(one, two))
    assert both.property("token") == "2"
    assert "https://p.example" not in repr(address)


def test_filters_of_edc() -> None:
    query = {
        "@type": "edc:QuerySpec", "edc:offset": 50, "https://w3id.org/edc/v0.0.1/ns/limit": 10,
        "sortOrder": "ASC",
        "filterExpression": {"@type": "Criterion", "operator": "=", "operandRight": "d",
                             "operandLeft": {"@id": "https://w3id.org/edc/v0.0.1/ns/id"}},
    }  # fmt: skip
    found = catalog.filter_of(catalog.CatalogRequestMessage(filter=[query]))
    assert found == catalog.Filter(offset=50, limit=10, ids=("d",))
    assert found.takes("d")
    assert not found.takes("e")
    for wrong in ({"offset": -1}, {"limit": "5"}, {"offset": True}, {"edc:limit": 1, "limit": 2}):
        with pytest.raises(Exception, match="filter"):
            catalog.filter_of(catalog.CatalogRequestMessage(filter=[wrong]))


def test_versions() -> None:
    read = version.decode(version.encode(said.VERSIONS))
    assert read == said.VERSIONS
    assert len(read.speaks()) == 2
    assert read.speaks("0.8") == ()


def test_errors_never_raise() -> None:
    for body in (b"", b"<html>", b"[]", b'{"code":7}', b'{"code":[],"reason":null}', b'"x"'):
        code, reasons = version.decode_error(body)
        assert (type(code), type(reasons)) == (str, tuple)
    assert version.decode_error(b'{"code":409,"reason":"no"}') == ("409", ("no",))


def test_content_digest() -> None:
    # RFC 9530, appendix B.1
    assert (
        content_digest(b'{"hello": "world"}\n')
        == "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:"
    )


@pytest.mark.parametrize(
    ("name", "last"), [("a", "a"), ("urn:x:b", "b"), ("https://h/p/c", "c"), ("https://h#d", "d")]
)
def test_last_segments(name: str, last: str) -> None:
    assert last_segment(name) == last
