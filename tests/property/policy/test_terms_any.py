# SPDX-License-Identifier: Apache-2.0
"""Whatever is given, Terms or Invalid comes out of a file, Policy or CannotHonour of a policy."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from corridor.errors import CannotHonour, Invalid
from corridor.policy import odrl, permit, terms
from corridor.policy.grammar import RULE_KEYS
from corridor.policy.profile import (
    ACTIONS,
    COR,
    DUTIES,
    FORBID,
    OPERANDS,
    PROFILE,
    PURPOSES,
    ROWS,
    SERVICES,
)

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
ALL = dict.fromkeys(SERVICES, OPERANDS)


def read(data):
    return terms.read(data, source="t", shape=None, now=NOW, floors={}, purposes={}, enforced=ALL)


def holds(data):
    problems = found = None
    try:
        found = read(data)
    except Invalid as refused:
        problems = refused.problems
    if found is None:
        assert problems
        assert all(str(problem).isprintable() for problem in problems)
    else:
        assert read(terms.write(found).encode()).policy == found.policy


@given(st.binary(max_size=300))
def test_any_bytes(data):
    holds(data)


@given(st.text(max_size=300))
def test_any_text(text):
    holds(text.encode("utf-8", "surrogatepass"))


WORDS = [
    *RULE_KEYS, *(action.word for action in ACTIONS), *PURPOSES, *FORBID, "terms", "title", "asset",
    "allow", "forbid", "duties", "withdraw", "notice", "show_to", "negotiate", "delete", "after",
    "P90D", "PT72H", "P3M", "2027-12-31", "2027-12-31T12:00:00Z", "RS", "unit", "dimension",
    "measure", "filter", "join-only", "hidden", "day", "total", "requests", "bytes", "epsilon",
    "per_answer", "per", "parties", "n", "percent", "AMBER", "GREEN", "/v1/*", "year >= 2020", "glm",
    "0", "1", "5", "10", "0.5", "-1", "1e9", "9999-12-31", "did:web:a", "A.b", "1 GiB", "", "'", "x",
]  # fmt: skip
WORD = st.sampled_from(WORDS) | st.text(max_size=8)
TREE = st.recursive(
    WORD,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORD, inner, max_size=5),
    max_leaves=12,
)


def yaml_of(tree):
    """Every word quoted, so that any tree is a document."""
    if isinstance(tree, dict):
        return "{" + ", ".join(f"{yaml_of(k)}: {yaml_of(v)}" for k, v in tree.items()) + "}"
    if isinstance(tree, list):
        return "[" + ", ".join(map(yaml_of, tree)) + "]"
    return "'" + tree.replace("'", "''").replace("\n", " ") + "'"


@given(st.dictionaries(st.sampled_from(terms.KEYS), TREE))
def test_any_tree_of_our_words(tree):
    holds(yaml_of(tree).encode("utf-8", "surrogatepass"))


@given(
    st.lists(
        st.dictionaries(st.sampled_from(RULE_KEYS), TREE, max_size=4).map(
            lambda rule: {"action": "use", **rule}
        ),
        min_size=1,
        max_size=3,
    ),
    TREE,
)
def test_any_rules(rules, duties):
    tree = {"title": "x", "asset": "a", "allow": rules, "duties": duties}
    holds(yaml_of(tree).encode("utf-8", "surrogatepass"))


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
OPERATORS = [
    "eq",
    "gt",
    "gteq",
    "lt",
    "lteq",
    "isAnyOf",
    "isAllOf",
    "isNoneOf",
    "isA",
    "odrl:eq",
    "x",
]
VALUE = (
    st.sampled_from(["5", "05", "0.5", "RS", "2028-01-01T00:00:00Z", "P2D", "household", "kwh[0,5]",
                     "glm", "AMBER", "did:web:a", COR + "receipt", "year >= 5", "/a/*", "GET"])
    | ANY
)  # fmt: skip
ATOM = st.fixed_dictionaries(
    {
        "leftOperand": st.sampled_from(
            [*(row.operand for row in ROWS), "purpose", "odrl:count", "inForceDate", "participantId",
             *(operand for form in DUTIES.values() for operand, _, _ in form.constraints)]
        ) | ANY,
        "operator": st.sampled_from(OPERATORS) | ANY,
        "rightOperand": VALUE | st.lists(VALUE, max_size=3) | st.fixed_dictionaries({"@value": VALUE}),
    }
)  # fmt: skip
CONSTRAINT = st.recursive(
    ATOM | ANY,
    lambda inner: (
        st.fixed_dictionaries({"and": st.lists(inner, max_size=3)})
        | st.fixed_dictionaries({"or": st.lists(inner, max_size=3)})
    ),
    max_leaves=4,
)
ACTION = st.sampled_from(["use", *(a.iri for a in ACTIONS), *FORBID.values(), *DUTIES]) | ANY
RULE = st.fixed_dictionaries(
    {"action": ACTION}, optional={"constraint": st.lists(CONSTRAINT, max_size=3) | CONSTRAINT}
)
RULES = st.lists(RULE, max_size=3) | ANY
POLICY = st.fixed_dictionaries(
    {},
    optional={
        "permission": RULES,
        "prohibition": RULES,
        "obligation": RULES,
        "profile": st.just(PROFILE) | ANY,
        "conflict": ANY,
    },
)


@given(POLICY | ANY)
def test_any_policy(policy):
    ours = frozenset({"did:web:a"})
    unknown = odrl.foreign(policy)
    assert isinstance(odrl.is_stub(policy), bool)
    try:
        found = odrl.read(policy, ours=ours)
    except CannotHonour:
        assert unknown
        return
    assert odrl.read(odrl.write(found, id="urn:x:1"), ours=ours) == found
    for service in ("files", "tables", "hosting"):
        try:
            permit.draft(found, service=service, operands=OPERANDS)
        except CannotHonour:
            continue


@given(POLICY, ANY, ANY)
def test_any_agreement(policy, timestamp, target):
    agreement = {**policy, "@id": "a", "assigner": "b", "assignee": "c"} | {
        "timestamp": timestamp,
        "target": target,
    }
    try:
        permit.compile(agreement, service="files", operands=())
    except CannotHonour:
        return
