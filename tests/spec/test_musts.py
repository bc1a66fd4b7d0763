# SPDX-License-Identifier: Apache-2.0
"""What the protocol demands, as far as words and tables can decide it: one test a MUST."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

import pytest
from tests.spec import said, spec
from tests.spec.musts import MUSTS, must

from corridor.errors import LocalProtocolError, MalformedMessage, PeerMustWait, RemoteProtocolError
from corridor.limits import Limits
from corridor.protocol import negotiation as n
from corridor.protocol import transfer as t
from corridor.protocol.machine import Process, Role
from corridor.wire import catalog, transfer, version
from corridor.wire.codec import CONTEXT, encode, read

LIMITS = Limits()
C, P = Role.CONSUMER, Role.PROVIDER


def written(label: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(encode(said.MESSAGES[label]))
    return value


def reads(value: Any) -> Any:
    return read(json.dumps(value).encode(), said.KINDS, limits=LIMITS)


def refused(value: Any) -> None:
    with pytest.raises(MalformedMessage):
        reads(value)


def without(label: str, *names: str) -> dict[str, Any]:
    value = written(label)
    for name in names:
        del value[name]
    return value


def illegal(machine: Any, us: Role, state: str | None, step: str) -> None:
    with pytest.raises(RemoteProtocolError):
        machine.hear(Process(us, state), step)


def every(label_has: str) -> list[str]:
    return [label for label in said.MESSAGES if label_has in label]


# --- every message ------------------------------------------------------------------------------


@must("dsp.md 2.1", "@context is an array that holds the DSP context")
@pytest.mark.parametrize("label", said.MESSAGES)
def test_context_is_an_array(label: str) -> None:
    assert written(label)["@context"] == [CONTEXT]


@must("dsp.md 2.1", "a message without the DSP context is refused")
@pytest.mark.parametrize(
    "context", [None, [], "https://w3id.org/edc/dspace/v0.0.1", {}, [[CONTEXT]]]
)
def test_context_is_demanded(context: Any) -> None:
    refused({**written("verification"), "@context": context})
    refused(without("verification", "@context"))


@must("dsp.md 2.1", "further contexts are allowed")
def test_further_contexts() -> None:
    reads({**written("verification"), "@context": [CONTEXT, "https://w3id.org/edc/dspace/v0.0.1"]})
    reads({**written("verification"), "@context": CONTEXT})


@must("dsp.md 2.1", "@type is a plain string equal to the type name")
@pytest.mark.parametrize("label", said.MESSAGES)
def test_type_is_a_string(label: str) -> None:
    assert written(label)["@type"] == type(said.MESSAGES[label]).__name__
    refused({**written(label), "@type": [written(label)["@type"]]})
    refused(without(label, "@type"))


@must("dsp.md 2.1", "unknown properties are allowed everywhere")
@pytest.mark.parametrize("label", said.MESSAGES)
def test_unknown_properties(label: str) -> None:
    more = {"urn:unknown": {"a": [None, 1]}, "note": "x"}
    assert reads({**written(label), **more}) == reads(written(label))


@must("dsp.md 2.1", "nested objects carry their @type")
def test_nested_types() -> None:
    found = set()

    def look(value: Any) -> None:
        if type(value) is dict:
            found.add(value.get("@type"))
            for key, inner in value.items():
                if key not in ("permission", "prohibition", "obligation", "dct:title"):
                    look(inner)
        elif type(value) is list:
            for each in value:
                look(each)

    for label in said.MESSAGES:
        look(written(label))
    assert None not in found
    assert found >= {
        "Catalog", "Dataset", "Distribution", "DataService", "Offer", "Agreement", "DataAddress",
        "EndpointProperty",
    }  # fmt: skip


@must("dsp.md 2.2", "null is never a value")
@pytest.mark.parametrize("label", said.MESSAGES)
def test_no_null(label: str) -> None:
    assert b"null" not in encode(said.MESSAGES[label])
    for key in written(label):
        refused({**written(label), key: None})


@must("dsp.md 2.2", "empty lists are left out")
def test_no_empty_lists() -> None:
    for label in said.MESSAGES:
        assert {key for key, value in written(label).items() if value == []} <= {"filter"}
    empty = transfer.DataAddress(endpoint_type="x")
    assert b"endpointProperties" not in encode(
        transfer.TransferStartMessage(**said.BOTH, data_address=empty)
    )


@must("dsp.md 2.2", "each message names the pids that its table row requires")
@pytest.mark.parametrize(
    "label",
    ["agreement", "verification", "accepted", "negotiation end", "negotiation REQUESTED", "start",
     "suspension", "completion", "transfer end", "transfer REQUESTED", "negotiation error",
     "transfer error"],
)  # fmt: skip
def test_both_pids(label: str) -> None:
    refused(without(label, "providerPid"))
    refused(without(label, "consumerPid"))
    refused({**written(label), "consumerPid": 7})


@must("dsp.md 2.1", "a pid is an opaque string, whatever it looks like")
@pytest.mark.parametrize(
    "pid", ["urn:uuid:1", "f60a5f02-2220-436d-98d9-58c811edb9e2", "x y/z", "ü"]
)
def test_opaque_pids(pid: str) -> None:
    assert reads({**written("verification"), "consumerPid": pid}).consumer_pid == pid


# --- negotiation messages -----------------------------------------------------------------------


@must("dsp.md 2.2", "a ContractRequestMessage names exactly one of callbackAddress and providerPid")
def test_request_one_of() -> None:
    refused({**written("request, first"), "providerPid": "p"})
    refused(without("request, first", "callbackAddress"))


@must("dsp.md 2.2", "a ContractOfferMessage names exactly one of callbackAddress and consumerPid")
def test_offer_one_of() -> None:
    refused({**written("offer, first"), "consumerPid": "c"})
    refused(without("offer, first", "callbackAddress"))


@must("dsp.md 2.2", "an offer in a message has @id, @type and target")
@pytest.mark.parametrize("label", every("offer, ") + every("request, first"))
@pytest.mark.parametrize("name", ["@id", "@type", "target"])
def test_offer_is_whole(label: str, name: str) -> None:
    value = written(label)
    del value["offer"][name]
    refused(value)


@must("dsp.md 2.2", "an agreement has @id, @type, target, assigner and assignee")
@pytest.mark.parametrize("name", ["@id", "@type", "target", "assigner", "assignee"])
def test_agreement_is_whole(name: str) -> None:
    value = written("agreement")
    del value["agreement"][name]
    refused(value)


@must("dsp.md 2.2", "a timestamp is an XSD dateTime")
@pytest.mark.parametrize(
    "text", ["2026-03-01", "2026-03-01 09:30:00Z", "now", "2026-13-01T00:00:00Z"]
)
def test_timestamp(text: str) -> None:
    value = written("agreement")
    value["agreement"]["timestamp"] = text
    refused(value)
    value["agreement"]["timestamp"] = "2026-03-01T09:30:00.123456789Z"
    reads(value)


@must("dsp.md 6", "a policy has a permission or a prohibition; an obligation alone is not enough")
def test_policy_has_a_rule() -> None:
    value = written("request, first")
    value["offer"] = {
        key: each
        for key, each in value["offer"].items()
        if key not in ("permission", "prohibition")
    }
    refused(value)
    del value["offer"]["obligation"]
    bare = reads(value)  # EDC's spelling of a policy that asks for nothing: read, never written
    with pytest.raises(LocalProtocolError):
        encode(bare)


@must("dsp.md 6", "each rule has an action")
def test_rule_has_an_action() -> None:
    value = written("request, first")
    value["offer"]["permission"] = [{"constraint": []}]
    refused(value)


@must("dsp.md 2.2", "an event is ACCEPTED or FINALIZED")
@pytest.mark.parametrize("event", ["AGREED", "accepted", "", 1, None])
def test_event_types(event: Any) -> None:
    refused({**written("accepted"), "eventType": event})


@must("dsp.md 4", "a negotiation shows one of the seven states")
@pytest.mark.parametrize("state", ["STARTED", "REQUESTING", "", None])
def test_negotiation_states(state: Any) -> None:
    refused({**written("negotiation REQUESTED"), "state": state})


@must("dsp.md 1.5", "code is a string")
@pytest.mark.parametrize("label", ["negotiation end, why", "transfer end, why", "suspension, why"])
def test_code_is_a_string(label: str) -> None:
    assert type(written(label)["code"]) is str
    assert reads({**written(label), "code": 409}).code == "409"


@must("dsp.md 1.5", "reason items are untyped")
def test_reasons_are_untyped() -> None:
    value = {**written("transfer end"), "reason": ["a", {"b": 1, "a": [2]}, 7, {"@value": "v"}]}
    assert reads(value).reason == ("a", '{"a":[2],"b":1}', "7", "v")


@must("dsp.md 1.5", "an error of negotiation or transfer has both pids and no empty reason")
@pytest.mark.parametrize("label", ["negotiation error", "transfer error"])
def test_errors_are_whole(label: str) -> None:
    refused({**written(label), "reason": []})
    assert "reason" not in written(f"{label}, bare")


@must("dsp.md 1.5", "errors of peers without pids are read")
def test_lenient_errors() -> None:
    body = json.dumps(without("transfer error", "providerPid", "consumerPid", "@context")).encode()
    assert version.decode_error(body) == ("refused", ("reference 1", "ask again"))


# --- transfer messages --------------------------------------------------------------------------


@must("dsp.md 2.2", "a TransferRequestMessage names agreement, format, callback and consumerPid")
@pytest.mark.parametrize("name", ["agreementId", "format", "callbackAddress", "consumerPid"])
def test_transfer_request_is_whole(name: str) -> None:
    refused(without("transfer request, pull", name))


@must("dsp.md 2.2", "a DataAddress has @type and endpointType")
@pytest.mark.parametrize("name", ["@type", "endpointType"])
def test_data_address_is_whole(name: str) -> None:
    value = written("start")
    del value["dataAddress"][name]
    refused(value)


@must("dsp.md 2.2", "endpointProperties is not empty, each with @type, name and value")
def test_endpoint_properties_are_whole() -> None:
    value = written("start")
    whole = value["dataAddress"]["endpointProperties"][0]
    value["dataAddress"]["endpointProperties"] = []
    refused(value)
    for name in ("@type", "name", "value"):
        part = {key: each for key, each in whole.items() if key != name}
        value["dataAddress"]["endpointProperties"] = [part]
        refused(value)


@must("dsp.md 5", "a transfer shows one of the five states")
@pytest.mark.parametrize("state", ["AGREED", "STARTING", "", None])
def test_transfer_states(state: Any) -> None:
    refused({**written("transfer REQUESTED"), "state": state})


# --- catalogue ----------------------------------------------------------------------------------


@must("dsp.md 3", "a root catalogue names its participant, and never has hasPolicy")
def test_root_catalog() -> None:
    refused(without("catalog", "participantId"))
    refused({**written("catalog"), "hasPolicy": [said.CATALOG_OFFER]})


@must("dsp.md 3", "zero datasets are legal: the key is left out")
def test_empty_catalog() -> None:
    page = catalog.catalog_bytes("did:web:p", "urn:uuid:c", said.SERVICE, [])
    assert "dataset" not in json.loads(page)
    assert catalog.decode_catalog(page).dataset == ()


@must("dsp.md 3", "a dataset has an offer and a distribution, each with format and service")
@pytest.mark.parametrize("name", ["hasPolicy", "distribution", "@id"])
def test_dataset_is_whole(name: str) -> None:
    refused(without("dataset", name))
    for part in ("format", "accessService"):
        value = written("dataset")
        del value["distribution"][0][part]
        refused(value)
    with pytest.raises(LocalProtocolError):
        catalog.dataset_bytes(dataset_id="d", offers=[], formats=["F-PULL"], service="s")
    with pytest.raises(LocalProtocolError):
        catalog.dataset_bytes(dataset_id="d", offers=[said.CATALOG_OFFER], formats=[], service="s")


@must("dsp.md 3", "an offer in a catalogue has no target")
def test_catalog_offer_has_no_target() -> None:
    value = written("dataset")
    value["hasPolicy"][0]["target"] = said.T
    refused(value)
    with pytest.raises(LocalProtocolError):
        catalog.dataset_bytes(dataset_id="d", offers=[said.OFFER], formats=["F-PULL"], service="s")


@must("dsp.md 3", "a filter that is not supported is refused, an empty one never")
@pytest.mark.parametrize(
    "asked", [["x"], [{"a": 1}], [{}, {}], [{"filterExpression": [{"operandLeft": "id", "operator": "!=", "operandRight": "x"}]}]]
)  # fmt: skip
def test_filters(asked: list[Any]) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        catalog.filter_of(catalog.CatalogRequestMessage(filter=asked))
    assert caught.value.code == "filter"
    for empty in (None, [], [{}], [{"filterExpression": []}]):
        assert catalog.filter_of(catalog.CatalogRequestMessage(filter=empty)) == catalog.Filter()


@must("dsp.md 1.1", "the version document lists at least one entry, without @context")
def test_version_document() -> None:
    assert b"@" not in version.encode(said.VERSIONS)
    for body in (b'{"protocolVersions":[]}', b"{}", b'{"protocolVersions":[{"version":"2025-1"}]}'):
        with pytest.raises(MalformedMessage):
            version.decode(body)


@must("dsp.md 1.1", "the only binding is HTTPS")
def test_binding() -> None:
    with pytest.raises(MalformedMessage):
        version.decode(b'{"protocolVersions":[{"version":"1","path":"/","binding":"HTTP"}]}')


# --- the machines -------------------------------------------------------------------------------


@must("dsp.md 4", "only the consumer requests, accepts and verifies")
@pytest.mark.parametrize("step", ["REQUEST", "ACCEPT", "VERIFY"])
def test_consumer_steps(step: str) -> None:
    for state in [None, *n.State]:
        illegal(n.MACHINE, C, state, step)


@must("dsp.md 4", "only the provider offers, agrees and finalizes")
@pytest.mark.parametrize("step", ["OFFER", "AGREE", "FINALIZE"])
def test_provider_steps(step: str) -> None:
    for state in [None, *n.State]:
        illegal(n.MACHINE, P, state, step)


@must("dsp.md 4", "nothing leaves FINALIZED and TERMINATED, not even a termination")
@must("dsp.md 5", "nothing leaves COMPLETED and TERMINATED")
@pytest.mark.parametrize("module", [n, t])
def test_final_is_final(module: Any) -> None:
    for state, us, step in itertools.product(module.MACHINE.final, Role, module.Step):
        illegal(module.MACHINE, us, state, step)
        assert not module.MACHINE.may_say(Process(us, state), step)


@must("dsp.md 4", "either side may terminate in every state that is not final")
@must("dsp.md 5", "either side may terminate a transfer that is not final")
@pytest.mark.parametrize("module", [n, t])
def test_termination(module: Any) -> None:
    for state, us in itertools.product(set(module.State) - module.MACHINE.final, Role):
        heard = module.MACHINE.hear(Process(us, state), "TERMINATE")
        assert heard.process.state == "TERMINATED"


@must("dsp.md 4", "the provider cannot agree while the consumer has its offer to answer")
def test_no_agreement_in_offered() -> None:
    illegal(n.MACHINE, C, "OFFERED", "AGREE")


@must("dsp.md 4", "a second counter-offer before the provider answered the first is illegal")
def test_no_second_counter_offer() -> None:
    illegal(n.MACHINE, P, "REQUESTED", "REQUEST")


@must("dsp.md 4", "an offer after acceptance is illegal")
def test_no_offer_in_accepted() -> None:
    illegal(n.MACHINE, C, "ACCEPTED", "OFFER")


@must("dsp.md 4", "verification only after the agreement")
def test_verification_only_in_agreed() -> None:
    for state in set(n.State) - {"AGREED"}:
        illegal(n.MACHINE, P, state, "VERIFY")


@must("dsp.md 4", "finalization only after verification")
def test_finalization_only_in_verified() -> None:
    for state in set(n.State) - {"VERIFIED"}:
        illegal(n.MACHINE, C, state, "FINALIZE")


@must("dsp.md 4", "the sender's state changes on acknowledgement, the receiver's before it answers")
def test_who_moves_when() -> None:
    said_it = n.MACHINE.say(Process(P, "REQUESTED"), "AGREE")
    assert said_it.state == "REQUESTED"
    assert n.MACHINE.acked(said_it).state == "AGREED"
    assert n.MACHINE.hear(Process(C, "REQUESTED"), "AGREE").process.state == "AGREED"


@must("dsp.md 4", "a word that ours made legal acknowledges ours")
def test_implied_acknowledgement() -> None:
    heard = n.MACHINE.hear(Process(P, "REQUESTED", "AGREE"), "VERIFY")
    assert (heard.acknowledged, heard.process.state) == ("AGREE", "VERIFIED")


@must("dsp.md 4", "while a creation is pending, any word of the peer acknowledges it first")
def test_creation_rule() -> None:
    creation = Process(C, None, "REQUEST")
    assert n.MACHINE.shown(creation) == "REQUESTED"
    assert n.MACHINE.hear(creation, "OFFER").acknowledged == "REQUEST"


@must("dsp.md 5", "only the provider starts; the consumer only resumes")
def test_start() -> None:
    for state in set(t.State) - {"SUSPENDED"}:
        illegal(t.MACHINE, P, state, "START")


@must("dsp.md 5", "no completion or suspension before the start or while suspended")
@pytest.mark.parametrize("step", ["COMPLETE", "SUSPEND"])
def test_only_when_started(step: str) -> None:
    for state, us in itertools.product([None, "REQUESTED", "SUSPENDED"], Role):
        illegal(t.MACHINE, us, state, step)


@must("dsp.md 5", "either side resumes a suspended transfer, whoever suspended it")
def test_resume() -> None:
    for us in Role:
        assert t.MACHINE.hear(Process(us, "SUSPENDED"), "START").process.state == "STARTED"


@must("dsp.md 5", "a start in STARTED is taken only as the answer to a resume of ours")
def test_start_after_resume() -> None:
    illegal(t.MACHINE, C, "STARTED", "START")
    t.MACHINE.hear(Process(C, "STARTED"), "START", after_resume=True)


@must("dsp.md 4", "of two crossing words the end goes first")
def test_the_end_goes_first() -> None:
    with pytest.raises(PeerMustWait):
        n.MACHINE.hear(Process(C, "REQUESTED", "TERMINATE"), "OFFER")
    assert n.MACHINE.hear(Process(P, "REQUESTED", "OFFER"), "TERMINATE").superseded == "OFFER"


# --- the table itself ---------------------------------------------------------------------------


def test_no_statement_stands_twice() -> None:
    assert len({(each.anchor, each.words) for each in MUSTS}) == len(MUSTS) >= 40


def test_each_anchor_is_a_section_of_the_page() -> None:
    if not spec.DSP_PAGE.is_file():
        pytest.skip("../shared/reference/dsp.md is not beside the checkout")
    headings = re.findall(r"^#{2,3} (\d+(?:\.\d+)?)", spec.DSP_PAGE.read_text(), re.MULTILINE)
    assert {each.anchor.removeprefix("dsp.md ") for each in MUSTS} <= set(headings)
