# SPDX-License-Identifier: Apache-2.0
"""Narrower is a partial order, and what the narrower policy allows, the wider allows too."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from corridor.policy import canonical, odrl, permit
from corridor.policy.judge import Allowed, Credential, Facts, Point, Standing, Who, judge
from corridor.policy.narrower import Relation, compare
from corridor.policy.profile import COR, OPERANDS

NOW = datetime(2027, 1, 1, tzinfo=UTC)


def atom(left, operator, right):
    return {"leftOperand": left, "operator": operator, "rightOperand": right}


def some(strategy):
    return st.none() | strategy


def subsets(*words):
    return st.lists(st.sampled_from(words), min_size=1, unique=True)


DAYS = st.integers(-2, 2).map(lambda d: (NOW + timedelta(days=d)).strftime("%Y-%m-%dT%H:%M:%SZ"))
SMALL = st.integers(1, 3).map(str)
WHO = {
    ("odrl:spatial", "isAnyOf"): subsets("RS", "EG"),
    ("odrl:dateTime", "lt"): DAYS,
    ("odrl:dateTime", "gteq"): DAYS,
    ("odrl:elapsedTime", "lteq"): st.sampled_from(["P1D", "P5D", "P99D"]),
    ("odrl:purpose", "isAnyOf"): subsets("urn:p:1", "urn:p:2"),
    (COR + "credential", "isAllOf"): subsets("A", "B"),
    (COR + "requestsPerDay", "lteq"): SMALL,
    ("odrl:count", "lteq"): SMALL,
}
TABLE = {
    (COR + "dimension", "isAnyOf"): subsets("a", "b"),
    (COR + "measure", "isAnyOf"): subsets("c", "c[0,5]", "d[1,2]"),
    (COR + "filter", "isAnyOf"): subsets("a", "e"),
    (COR + "resultRows", "lteq"): SMALL,
    (COR + "rowsPerDay", "lteq"): SMALL,
}


def rules(terms):
    return st.fixed_dictionaries({}, optional=dict(terms)).map(
        lambda chosen: {
            "action": "odrl:read",
            "constraint": [atom(*term, value) for term, value in chosen.items()],
        }
    )


DELETE = st.sampled_from(["P1D", "P2D"]).map(
    lambda after: {
        "action": "odrl:delete",
        "constraint": [
            atom("odrl:event", "gt", COR + "receipt"),
            atom("odrl:elapsedTime", "lteq", after),
        ],
    }
)
POLICIES = st.fixed_dictionaries(
    {"permission": st.lists(rules(WHO | TABLE), min_size=1, max_size=2)},
    optional={
        "prohibition": st.just([{"action": "odrl:sell"}]),
        "obligation": st.lists(DELETE, max_size=1),
    },
).map(odrl.read)


def related(policy):
    """Policies near this one, so that narrower ones come up often."""
    return st.one_of(st.just(policy), POLICIES, narrowed(policy))


@st.composite
def narrowed(draw, policy):
    extra = draw(rules(WHO))["constraint"]
    kept = [rule for rule in policy.permissions if draw(st.booleans())] or policy.permissions[:1]
    rewritten = []
    for rule in kept:
        has = {(item.operand, item.operator) for item in rule.constraints}
        added = odrl.read({"permission": [{"action": "odrl:read", "constraint": extra}]})
        more = [c for c in added.permissions[0].constraints if (c.operand, c.operator) not in has]
        rewritten.append(canonical.rule(rule.action, [*rule.constraints, *more]))
    return canonical.policy(rewritten, policy.prohibitions, policy.duties)


def below(a, b):
    return compare(a, b)[0] in {Relation.EQUAL, Relation.NARROWER}


@given(POLICIES)
def test_reflexive(policy):
    assert compare(policy, policy) == (Relation.EQUAL, ())


@given(st.data())
def test_transitive(data):
    c = data.draw(POLICIES)
    b = data.draw(related(c))
    a = data.draw(related(b))
    if below(a, b) and below(b, c):
        assert below(a, c)


@given(st.data())
def test_antisymmetric_and_names_the_wider(data):
    b = data.draw(POLICIES)
    a = data.draw(related(b))
    relation, names = compare(a, b)
    if below(a, b) and below(b, a):
        assert a == b
    assert bool(names) is (relation in {Relation.WIDER, Relation.INCOMPARABLE})


@given(st.data())
def test_narrowed_is_narrower(data):
    b = data.draw(POLICIES)
    assert below(data.draw(narrowed(b)), b)


USES = st.dictionaries(
    st.sampled_from("abcde"),
    st.frozensets(st.sampled_from(["return", "filter", "order"]), min_size=1),
    max_size=2,
)
FACTS = st.builds(
    Facts,
    action=st.just("read"),
    purpose=some(st.sampled_from(["urn:p:1", "urn:p:2"])),
    columns=USES,
    rows=some(st.integers(0, 3)),
)
CALLERS = st.builds(
    lambda kinds, country: Who(
        did="did:web:c",
        credentials=tuple(Credential(type=kind, issuer="did:web:i") for kind in kinds),
        country=country,
    ),
    st.lists(st.sampled_from("AB"), unique=True),
    some(st.sampled_from(["RS", "EG"])),
)


def allows(policy, facts, who, used, now):
    agreement = {
        **odrl.write(policy, id="urn:x:1"),
        "target": "t",
        "assigner": "did:web:p",
        "assignee": "did:web:c",
        "timestamp": "2026-12-31T00:00:00Z",
    }
    it = permit.compile(agreement, service="tables", operands=OPERANDS)
    counters = {(rule.key, quota.name): used for rule in it.rules for quota in rule.quotas}
    standing = Standing(permit_hash=it.permit_hash)
    found = judge(Point.REQUEST, it, facts, who=who, counters=counters, standing=standing, now=now)
    return isinstance(found, Allowed)


@given(
    st.data(),
    st.lists(FACTS, min_size=1, max_size=4),
    CALLERS,
    st.integers(0, 3).map(Decimal),
    st.integers(-60, 60),
)
def test_what_the_narrower_allows_the_wider_allows(data, requests, who, used, hours):
    fixed = [
        atom(COR + "dimension", "isAnyOf", ["a", "b"]),
        atom(COR + "answerSeconds", "lteq", "30"),
    ]
    b = data.draw(
        st.lists(
            rules(WHO | {k: v for k, v in TABLE.items() if k[0] != COR + "dimension"}),
            min_size=1,
            max_size=2,
        )
    )
    wide = odrl.read(
        {"permission": [{**rule, "constraint": [*fixed, *rule["constraint"]]} for rule in b]}
    )
    narrow = data.draw(narrowed(wide))
    if below(narrow, wide):
        now = NOW + timedelta(hours=hours)
        for facts in requests:
            if allows(narrow, facts, who, used, now):
                assert allows(wide, facts, who, used, now)
