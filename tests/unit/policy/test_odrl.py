# SPDX-License-Identifier: Apache-2.0
"""Policies of the wire, read and written."""

import json
from pathlib import Path

import pytest
import rfc8785

from corridor.errors import CannotHonour
from corridor.policy import canonical, odrl
from corridor.policy.profile import COR, ODRL, PROFILE

HASHES = {
    1: "63c9c8316ca290f838e0a208a4983662984cd6e3c905479048c2a3369ef43101",
    2: "3779728dab61c812169607288aae977d9f0313705dc934fbb267a797255d06fb",
    3: "618ab8535fee7a537ee58ab2ad08db341219f4087b3bf1e652d32eb5111f68c9",
    4: "9d65517dc7090efeb1165059eb7745a7654be47ff88df2d925776e476294a930",
    5: "b58428952f0ccd9aef5c3ef1b1143fd51f4e1d9289086954abe537b48a17567f",
}
AGREEMENTS = {
    1: "e8c33d24deda07905f54af6938ffe758d9cd4f325183283ac2efa847dd0cdaf0",
    2: "f0712f769fff0a066e3eb2b4b311b9448115ed95d941402faf4084b67582f129",
    3: "1cba305f301d2b42d6f072beffc361c7ddd2d881028db72a0373b10e888d4587",
    4: "d756ed250966998aea9ad21c5ba62423024e5e2eed5727da2f000fa8952c052e",
    5: "b04636323cda2405a4af1a291e9141b059bb107ba7ec6fa210582a499faaabc6",
}
KEYS = {
    1: ["use-e1c9da3f"],
    2: ["read-d406bd28", "aggregate-cef07970"],
    3: ["train-613ff177"],
    4: ["distribute-c954511a", "read-a9455661"],
    5: ["invoke-5d676110"],
}


def test_terms_hash_of_the_examples(example):
    assert odrl.read(example.offer).terms_hash == HASHES[example.number]


def test_agreement_hash_of_the_examples(example):
    assert odrl.agreement_hash(example.agreement) == AGREEMENTS[example.number]


def test_the_full_agreement_of_example_1(examples):
    written = json.loads((Path(__file__).parent / "examples/1.agreement.json").read_bytes())
    assert examples[1].agreement == written
    assert written == odrl.agreement(
        examples[1].offer,
        id=written["@id"],
        target=written["target"],
        assigner=written["assigner"],
        assignee=written["assignee"],
        timestamp=written["timestamp"],
    )


def test_rule_keys_of_the_examples(example):
    policy = odrl.read(example.offer)
    found = [canonical.rule_key(rule) for rule in policy.permissions]
    assert sorted(found) == sorted(KEYS[example.number])


def test_writes_the_examples_as_they_stand_but_for_the_order_of_rules(example):
    written = odrl.write(odrl.read(example.offer), id=example.offer["@id"], kind="Offer")

    def by_action(offer):
        return {**offer, "permission": sorted(offer["permission"], key=lambda rule: rule["action"])}

    assert by_action(written) == by_action(example.offer)


def test_writing_and_reading_is_the_same_policy(example):
    policy = odrl.read(example.offer)
    assert odrl.read(odrl.write(policy, id="urn:x:1", kind="Offer")) == policy


def of(*constraints, action="odrl:read", **more):
    return {"@id": "x", "permission": [{"action": action, "constraint": list(constraints)}], **more}


def atom(left, operator, right):
    return {"leftOperand": left, "operator": operator, "rightOperand": right}


XSD = "xsd:integer"
EQUAL = [
    (
        "63c9c8316ca290f838e0a208a4983662984cd6e3c905479048c2a3369ef43101",
        [
            {"permission": [{"action": "use"}]},
            {"permission": [{"action": "odrl:use"}]},
            {"permission": [{"action": ODRL + "use", "constraint": []}]},
            {"permission": {"action": {"@id": "use"}}, "prohibition": [], "obligation": []},
        ],
    ),
    (
        "48ea70c8ace7fa821aa12c0bc9d5efb33731f63a34dba08bd9b02fef3fda76e0",
        [
            of(atom("odrl:spatial", "isAnyOf", ["EG", "RS"]), atom("odrl:count", "lteq", "5")),
            of(atom("count", "lteq", 5), atom("spatial", "isAnyOf", ["RS", "EG", "RS"])),
            of(
                atom(
                    ODRL + "spatial",
                    {"@id": ODRL + "isAnyOf"},
                    {"@list": [{"@value": "EG", "@type": "xsd:string"}, {"@value": "RS"}]},
                ),
                atom(ODRL + "count", "odrl:lteq", {"@value": "05", "@type": XSD}),
            ),
            of(
                {
                    "and": [
                        atom("odrl:spatial", "isAnyOf", ["EG", "RS"]),
                        {"and": {"@list": [atom("odrl:count", "lteq", "5")]}},
                    ]
                }
            ),
        ],
    ),
    (
        "284c54819db6bd8dd317b8b0a802047a0d68036df485cd501d6b4e63b6e53c0f",
        [
            of(atom("odrl:dateTime", "lt", "2028-01-01T00:00:00Z")),
            of(atom("odrl:dateTime", "lt", "2028-01-01T02:00:00.000+02:00")),
        ],
    ),
    (
        "6ba391300117c85a502d7ee742ce564b072700eb6a8d0420c80df29391fd0caf",
        [of(atom("odrl:dateTime", "lteq", "2028-01-01T00:00:00Z"))],
    ),
    (
        "837beb8144df99f8de586c2d3fe967a970b58958a688ab8dc50e3491e0b7ed76",
        [
            of(atom("odrl:elapsedTime", "lteq", "P2D")),
            of(atom("odrl:elapsedTime", "lteq", "PT48H")),
        ],
    ),
    (
        "fb63e8cdf0f4e4c401aa6287c57fab01c07058de074bb9f6820a06d780bd7dc1",
        [
            of(atom(COR + "epsilonPerMonth", "lteq", "4.0"), action=COR + "aggregate"),
            of(atom(COR + "epsilonPerMonth", "lteq", "4"), action=COR + "aggregate"),
            of(
                atom(COR + "epsilonPerMonth", "lteq", 4.0),
                action=COR + "aggregate",
                profile=[{"@id": PROFILE}],
            ),
        ],
    ),
    (
        "45561aa73c07dc9aeb8aa4f926d7a29b63cbb84d872ef7a09c3f54ef4cefd2bc",
        [
            of(atom(COR + "dimension", "isAnyOf", ["r\u00e9gion"])),
            of(atom(COR + "dimension", "isAnyOf", "re\u0301gion")),
        ],
    ),
]


@pytest.mark.parametrize(
    ("expected", "policy"), [(digest, policy) for digest, all_ in EQUAL for policy in all_]
)
def test_vectors_equal_and_unequal(expected, policy):
    assert odrl.read(policy).terms_hash == expected


def test_the_bytes_of_the_first_vector():
    policy = odrl.read({"permission": [{"action": "use"}]})
    model = canonical.terms_json(policy.permissions, policy.prohibitions, policy.duties)
    assert canonical.jcs(model) == (
        b'{"obligation":[],"permission":[{"action":"http://www.w3.org/ns/odrl/2/use",'
        b'"constraint":[]}],"prohibition":[]}'
    )


@pytest.mark.parametrize(
    "text", ["a", "é\u2028\u007f", "\U0001f600", 'q"\\/', "\ufb33 دينار €", "a!"]
)
def test_canonical_bytes_are_those_of_rfc_8785(text):
    value = {"b": [text, {"z": text, "a": ""}], "a": text}
    assert canonical.jcs(value) == rfc8785.dumps(value)


READ = "odrl:read"
REFUSED = [
    ({"permission": [{"action": "odrl:print"}]}, "permission[0].action", ODRL + "print"),
    ({"permission": [{"action": {"odrl:type": "USE"}}]}, "permission[0].action", "action"),
    (
        {"permission": [{"action": "use", "target": "x"}]},
        "permission[0]",
        "target",
    ),
    (
        {"permission": [{"action": "use", "duty": [{"action": "odrl:delete"}]}]},
        "permission[0]",
        "duty",
    ),
    ({"permission": ["use"]}, "permission[0]", "permission"),
    ({"permission": [{"action": "use"}], "profile": "urn:other"}, "profile", "urn:other"),
    ({"permission": [{"action": "use"}], "conflict": "perm"}, "conflict", "conflict"),
    (
        of(atom("odrl:payAmount", "lteq", "5")),
        "permission[0].constraint[0]",
        ODRL + "payAmount lteq",
    ),
    (
        of(atom("odrl:spatial", "term-lteq", "RS")),
        "permission[0].constraint[0]",
        ODRL + "spatial term-lteq",
    ),
    (
        of(atom("odrl:spatial", "isAnyOf", ["Serbia"])),
        "permission[0].constraint[0]",
        ODRL + "spatial isAnyOf",
    ),
    (
        of(atom("odrl:spatial", "isAnyOf", [])),
        "permission[0].constraint[0]",
        ODRL + "spatial isAnyOf",
    ),
    (of(atom("odrl:count", "lteq", True)), "permission[0].constraint[0]", ODRL + "count lteq"),
    (of(atom("odrl:count", "lteq", 10**30)), "permission[0].constraint[0]", ODRL + "count lteq"),
    (
        of(atom("odrl:count", "lteq", ["1", "2"])),
        "permission[0].constraint[0]",
        ODRL + "count lteq",
    ),
    (
        of(atom("odrl:count", "lteq", "5"), atom("odrl:count", "lteq", "6")),
        "permission[0]",
        ODRL + "count lteq",
    ),
    (of({"xone": [atom("odrl:count", "lteq", "5")]}), "permission[0].constraint[0]", "xone"),
    (
        of({"or": [atom("odrl:count", "lteq", "5")]}),
        "permission[0].constraint[0]",
        ODRL + "count lteq",
    ),
    (
        {**of(), "prohibition": [{"action": "odrl:sell", "constraint": [atom("a", "eq", "b")]}]},
        "prohibition[0].constraint",
        ODRL + "sell",
    ),
    (
        {**of(), "obligation": [{"action": "odrl:delete"}]},
        "obligation[0]",
        f"{ODRL}delete {ODRL}event gt",
    ),
    (
        {**of(), "obligation": [{"action": "odrl:compensate"}]},
        "obligation[0].action",
        ODRL + "compensate",
    ),
    (
        of(atom("purpose", "isAnyOf", ["research"])),
        "permission[0].constraint[0]",
        ODRL + "purpose isAnyOf",
    ),
    (
        of(atom("cor:groupUnits", "gteq", "10")),
        "permission[0].constraint[0]",
        "cor:groupUnits gteq",
    ),
    (
        of(atom(COR + "groupUnits", "gteq", "1")),
        "permission[0].constraint[0]",
        COR + "groupUnits gteq",
    ),
    ({"permission": [{"action": "use"}] * 33}, "permission", "permission"),
]


@pytest.mark.parametrize(("policy", "path", "term"), REFUSED)
def test_what_is_unknown_is_named_with_its_path(policy, path, term):
    with pytest.raises(CannotHonour) as refused:
        odrl.read(policy)
    assert refused.value.path == path
    assert refused.value.term == term


def test_what_a_peer_adds_to_the_policy_itself_is_ignored():
    plain = odrl.read({"permission": [{"action": "use"}]})
    assert odrl.read({"permission": [{"action": "use"}], "edc:extra": {"a": 1}}) == plain


def test_a_doubled_constraint_of_the_same_value_is_one():
    once = of(atom("odrl:count", "lteq", "5"))
    assert odrl.read(of(atom("odrl:count", "lteq", "5"), atom("count", "lteq", 5))) == odrl.read(
        once
    )


def test_or_of_who_and_when_is_read_sorted():
    serbia, egypt = (atom("odrl:spatial", "isAnyOf", [code]) for code in ("RS", "EG"))
    assert odrl.read(of({"or": [serbia, egypt]})) == odrl.read(
        of({"or": {"@list": [egypt, serbia]}})
    )
    assert odrl.read(of({"or": [serbia]})) == odrl.read(of(serbia))


@pytest.mark.parametrize(
    ("policy", "stub"),
    [
        ({"permission": [{"action": "use"}]}, True),
        ({"permission": [{"action": ODRL + "use", "constraint": []}], "prohibition": []}, True),
        ({"permission": [{"action": "odrl:read"}]}, False),
        ({"permission": [{"action": "use"}], "prohibition": [{"action": "odrl:sell"}]}, False),
        ({"permission": [{"action": "use", "target": "x"}]}, False),
        ({}, False),
    ],
)
def test_the_stub(policy, stub):
    assert odrl.is_stub(policy) is stub


def test_our_stub_is_one():
    assert odrl.is_stub(odrl.stub("urn:uuid:1", "a"))


@pytest.mark.parametrize("key", ["assigner", "assignee", "target", "timestamp", "@id"])
def test_an_agreement_without_parties_or_time_has_no_hash(key, examples):
    agreement = {k: v for k, v in examples[1].agreement.items() if k != key}
    with pytest.raises(CannotHonour) as refused:
        odrl.agreement_hash(agreement)
    assert refused.value.term == key


US = frozenset({"did:web:consumer.example", "BPNL000000000001"})
EDC = "https://w3id.org/edc/v0.0.1/ns/"
FOREIGN = [
    (atom(EDC + "inForceDate", "gteq", "2027-01-01T00:00:00Z"), "known"),
    (atom("inForceDate", "lteq", "contractAgreement+365d"), "known"),
    (atom("edc:inForceDate", "lt", "contractAgreement-1h"), "known"),
    (atom(EDC + "inForceDate", "eq", "2027-01-01T00:00:00Z"), "unknown"),
    (atom(EDC + "inForceDate", "gteq", "contractAgreement+1y"), "unknown"),
    (atom("POLICY_EVALUATION_TIME", "lteq", "2027-01-01T00:00:00Z"), "known"),
    (atom("POLICY_EVALUATION_TIME", "lteq", "contractAgreement+1d"), "unknown"),
    (atom("odrl:dateTime", "gt", "2027-01-01T00:00:00Z"), "known"),
    (atom("odrl:spatial", "eq", "RS"), "known"),
    (atom("odrl:spatial", "isNoneOf", ["RS", "EG"]), "known"),
    (atom("odrl:spatial", "neq", "RS"), "unknown"),
    (atom("purpose", "isA", "https://w3id.org/dpv#ScientificResearch"), "known"),
    (atom(EDC + "participantId", "eq", "did:web:consumer.example"), "about-us"),
    (
        atom(
            "https://w3id.org/catenax/policy/BusinessPartnerNumber", "isAnyOf", ["BPNL000000000001"]
        ),
        "about-us",
    ),
    (atom(EDC + "participantId", "eq", "did:web:other.example"), "unknown"),
    (atom("https://w3id.org/catenax/policy/Membership", "eq", "active"), "about-us"),
    (
        atom(
            "https://w3id.org/catenax/policy/FrameworkAgreement", "eq", "DataExchangeGovernance:1.0"
        ),
        "unknown",
    ),
    (atom("odrl:payAmount", "lteq", "5"), "unknown"),
]


@pytest.mark.parametrize(("constraint", "kind"), FOREIGN)
def test_the_class_of_a_foreign_constraint(constraint, kind):
    (found,) = odrl.classes(of(constraint), ours=US)
    assert found.kind == kind
    if kind == "unknown":
        with pytest.raises(CannotHonour):
            odrl.read(of(constraint), ours=US)
        assert odrl.foreign(of(constraint)) == [found.term]
    else:
        assert odrl.read(of(constraint), ours=US).terms_hash


def test_what_is_about_the_consumer_is_unknown_to_a_provider():
    with pytest.raises(CannotHonour):
        odrl.read(of(atom(EDC + "participantId", "eq", "did:web:consumer.example")))


def test_all_that_is_unknown_is_listed_once():
    policy = {
        **of(atom("odrl:payAmount", "lteq", "5"), atom("odrl:payAmount", "lteq", "6")),
        "obligation": [{"action": "odrl:compensate"}],
        "profile": "urn:other",
    }
    assert odrl.foreign(policy) == ["urn:other", ODRL + "payAmount lteq", ODRL + "compensate"]


def test_catena_x_access_is_reading():
    access = {"permission": [{"action": "https://w3id.org/catenax/policy/access"}]}
    assert odrl.read(access) == odrl.read({"permission": [{"action": "odrl:read"}]})
