# SPDX-License-Identifier: Apache-2.0
"""Which of two policies asks for more."""

import pytest

from corridor.policy import odrl
from corridor.policy.narrower import Relation, compare
from corridor.policy.profile import BY_KEY, COR, ROWS


def atom(left, operator, right):
    return {"leftOperand": left, "operator": operator, "rightOperand": right}


def of(*constraints, action="odrl:read", **more):
    return odrl.read({"permission": [{"action": action, "constraint": list(constraints)}], **more})


PAIRS = [
    ("purpose", ["urn:a:1"], ["urn:a:1", "urn:a:2"]),
    ("from", "2027-01-02T00:00:00Z", "2027-01-01T00:00:00Z"),
    ("until", "2027-01-01T00:00:00Z", "2027-01-02T00:00:00.000001Z"),
    ("for", "PT23H", "P1D"),
    ("require.credentials", ["A", "B"], ["A"]),
    ("quota.bytes.day", "9", "10"),
    ("columns.measure", ["kwh[1,2]"], ["kwh", "age[0,1]"]),
    ("columns.measure", ["kwh[1,2]"], ["kwh[0.5,2]"]),
    ("rows", ["year >= 2020", "a = 1"], ["a = 1"]),
    ("min_group_size", "11", "10"),
    ("dominance.percent", "49.9", "50"),
    ("p_percent", "10.5", "10"),
    ("rounding", "10", "5"),
    ("max_params_share", "0.09", "0.1"),
    ("network", "none", "provider"),
    ("outputs", "review", "free"),
    ("keep", "P1D", "P2D"),
    ("copies", "1", "2"),
    ("paths", ["/v1/search", "/v1/a/*"], ["/v1/*"]),
    ("circle.collude", "2", "1"),
    ("tlp", ["CLEAR"], ["CLEAR", "GREEN"]),
]


@pytest.mark.parametrize(("key", "narrow", "wide"), PAIRS)
def test_the_last_column_of_the_profile(key, narrow, wide):
    row = BY_KEY[key]
    small, large = (of(atom(row.operand, row.operator, value)) for value in (narrow, wide))
    assert compare(small, large) == (Relation.NARROWER, ())
    assert compare(large, small) == (Relation.WIDER, (row.public,))


@pytest.mark.parametrize(
    ("key", "one", "other"),
    [
        ("columns.unit", "a", "b"),
        ("dominance.n", "1", "2"),
        ("rounding", "10", "15"),
        ("paths", ["/v1/*"], ["/v2/*"]),
        ("columns.measure", ["kwh[0,2]"], ["kwh[1,3]"]),
        ("circle.parties", ["did:web:a"], ["did:web:a", "did:web:b"]),
    ],
)
def test_incomparable(key, one, other):
    row = BY_KEY[key]
    a, b = (of(atom(row.operand, row.operator, value)) for value in (one, other))
    assert compare(a, b)[0] is Relation.INCOMPARABLE


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.key)
def test_every_direction_is_known(row):
    known = {"subset", "superset", "smaller", "shorter", "earlier", "later", "larger", "equal",
             "multiple", "interval", "paths", "promised", "network", "outputs"}  # fmt: skip
    assert row.tighter in known


def test_a_further_operand_is_narrower_but_for_the_providers_promises():
    plain = of()
    assert compare(of(atom("odrl:count", "lteq", "5")), plain)[0] is Relation.NARROWER
    assert compare(of(atom(COR + "copies", "gteq", "2")), plain)[1] == ("resource",)
    foreign = of(atom("inForceDate", "lteq", "contractAgreement+1d"))
    assert compare(foreign, plain) == (Relation.INCOMPARABLE, ("unsupported",))


def test_a_missing_operand_is_wider_and_named():
    capped = of(atom("odrl:count", "lteq", "5"))
    assert compare(of(), capped) == (Relation.WIDER, ("quota.requests.total",))


def test_two_halves_do_not_fit_into_one_rule():
    rs, eg = (atom("odrl:spatial", "isAnyOf", [code]) for code in ("RS", "EG"))
    cap = atom("odrl:count", "lteq", "5")
    both = of(atom("odrl:spatial", "isAnyOf", ["RS", "EG"]), cap)
    halves = odrl.read(
        {
            "permission": [
                {"action": "odrl:read", "constraint": [rs, cap]},
                {"action": "odrl:read", "constraint": [eg, cap]},
            ]
        }
    )
    assert compare(halves, both)[0] is not Relation.NARROWER
    assert compare(of(rs, cap), both)[0] is Relation.NARROWER


def test_use_covers_its_one_action_and_not_the_reverse():
    use, read = of(action="use"), of(atom("odrl:count", "lteq", "5"))
    assert compare(read, use, service="files")[0] is Relation.NARROWER
    assert compare(read, use, service="tables")[0] is Relation.INCOMPARABLE
    assert compare(use, of(), service="files")[0] is not Relation.NARROWER
    assert compare(read, use)[1] == ("action",)


def delete(after, event="receipt"):
    return {
        "action": "odrl:delete",
        "constraint": [
            atom("odrl:event", "gt", COR + event),
            atom("odrl:elapsedTime", "lteq", after),
        ],
    }


def notice(length):
    return {"action": COR + "giveNotice", "constraint": [atom("odrl:delayPeriod", "gteq", length)]}


@pytest.mark.parametrize(
    ("asked", "offered", "relation"),
    [
        ({"obligation": [delete("P1D")]}, {"obligation": [delete("P2D")]}, Relation.NARROWER),
        ({}, {"obligation": [delete("P2D")]}, Relation.WIDER),
        ({"obligation": [delete("P1D")]}, {}, Relation.NARROWER),
        (
            {"obligation": [delete("P1D", "agreementEnd")]},
            {"obligation": [delete("P1D")]},
            Relation.INCOMPARABLE,
        ),
        ({"obligation": [notice("P9D")]}, {"obligation": [notice("P7D")]}, Relation.WIDER),
        ({}, {"obligation": [notice("P7D")]}, Relation.NARROWER),
        ({"obligation": [notice("P7D")]}, {}, Relation.WIDER),
        ({"prohibition": [{"action": "odrl:sell"}]}, {}, Relation.NARROWER),
        ({}, {"prohibition": [{"action": "odrl:sell"}]}, Relation.WIDER),
    ],
)
def test_duties_and_prohibitions(asked, offered, relation):
    assert compare(of(**asked), of(**offered))[0] is relation
