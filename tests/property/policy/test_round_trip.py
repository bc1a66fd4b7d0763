# SPDX-License-Identifier: Apache-2.0
"""terms(odrl(t)) = normal(t), for policies with every operand of the profile."""

from hypothesis import given
from hypothesis import strategies as st

from corridor.policy import canonical, odrl, permit, profile, terms
from corridor.policy.model import Constraint, OdrlRule
from corridor.policy.profile import (
    ACTIONS,
    BY_KEY,
    DUTIES,
    FORBID,
    OPERANDS,
    PRIVACY_DEFAULTS,
    ROWS,
    SERVICES,
)

NAMES = st.text("abcñ_日9 '\"#:{[,", min_size=1, max_size=8)
LEAVES = {
    "text": NAMES.filter(str.strip),
    "iri": st.sampled_from([*profile.PURPOSES.values(), "urn:x:1", "https://e.example/?a=b#c,d"]),
    "instant": st.sampled_from(["2027-01-01T00:00:00Z", "2031-05-06T07:08:09.000001Z"]),
    "duration": st.sampled_from(["P1D", "PT5M", "P90DT1H2M3S"]),
    "country": st.sampled_from(["NO", "RS", "EG"]),
    "did": st.sampled_from(["did:web:a.example", "did:web:b%3A80:x"]),
    "credential": st.sampled_from(["A", "B@did:web:a.example"]),
    "claim": st.sampled_from(["A.b=c", "A.b=d e: [f", "Role.x='"]),
    "role": st.sampled_from(["officer", "data-protection-officer"]),
    "column": st.sampled_from(["région", "a", "year", "true", "null", "日本"]),
    "measure": st.sampled_from(["kwh[0,50000]", "x[-1.5,2]", "income[0,1]"]),
    "predicate": st.sampled_from(["year >= 2020", "a in ('x', 'y, z')", "b != 'it''s'"]),
    "asset": st.sampled_from(["other", "a b: c"]),
    "digest": st.just("sha256:" + "0" * 64),
    "path": st.sampled_from(["/v1/search", "/v1/a-b/*", "/é"]),
    "function": st.sampled_from(["sum", "avg"]),
    "model": st.sampled_from(["glm", "cox"]),
    "method": st.sampled_from(["GET", "POST"]),
    "operation": st.sampled_from(["get", "put"]),
    "kind": st.sampled_from(["indicator", "threat-actor"]),
    "network": st.sampled_from(["none", "provider"]),
    "outputs": st.sampled_from(["free", "review"]),
}
BOUNDED = {
    "p_percent": "0.5", "dominance.n": "2", "dominance.percent": "33.3", "max_params_share": "0.05",
    "privacy.delta": "0.0000001",
}  # fmt: skip


def value(row):
    if row.leaf == "tlp":
        return st.integers(1, 5).map(lambda n: canonical.in_order(profile_tlp[:n]))
    if row.leaf in {"int", "dec"}:
        return st.just(BOUNDED[row.key]) if row.key in BOUNDED else st.integers(3, 9).map(str)
    leaf = LEAVES[row.leaf]
    return st.lists(leaf, min_size=1, max_size=3).map(canonical.in_order) if row.is_set else leaf


profile_tlp = ("CLEAR", "GREEN", "AMBER", "AMBER+STRICT", "RED")
# What only makes sense together is added together.
TOGETHER = ("privacy.", "circle.")


@st.composite
def rules(draw, service):
    actions = [a.word for a in ACTIONS if service in a.services and a.word != "use"]
    action = draw(st.sampled_from(actions))
    given_ = {}
    for key, text in profile.defaults(action, service):
        row = BY_KEY[key]
        given_[key] = canonical.in_order(text.split()) if row.is_set else text
    carried = [
        row
        for row in ROWS
        if profile.carries(action, service, row) and not row.key.startswith(TOGETHER)
    ]
    chosen = draw(st.lists(st.sampled_from(carried), max_size=8, unique=True))
    keys = {row.key for row in chosen}
    for need in profile.needed(action, service):
        keys.add("columns.dimension" if need == "columns" else need)
    if action in {"aggregate", "train"}:
        keys.add("columns.unit")
    for key in sorted(keys - {"columns.unit"}):
        given_[key] = draw(value(BY_KEY[key]))
    if "columns.unit" in keys:
        given_["columns.unit"] = "household"
    if "from" in given_:
        given_["from"] = "2026-12-01T00:00:00Z"
    if action in {"aggregate", "train"} and draw(st.booleans()):
        window = draw(st.sampled_from(list(profile.LIFE_TOO)))
        given_ |= {f"privacy.epsilon.{window}": "4", **dict(PRIVACY_DEFAULTS)}
    if action == "aggregate" and draw(st.booleans()):
        given_ |= {"circle.parties": ("did:web:a.example",), "circle.collude": "1"}
    return canonical.rule(
        profile.BY_WORD[action].iri,
        (Constraint(BY_KEY[k].operand, BY_KEY[k].operator, v) for k, v in given_.items()),
    )


@st.composite
def duties(draw):
    found = []
    for action, form in DUTIES.items():
        if draw(st.booleans()):
            constraints = []
            for operand, operator, kind in form.constraints:
                if kind == "iri":
                    text = profile.iri("cor:" + draw(st.sampled_from(form.events)))
                else:
                    text = draw(LEAVES[kind])
                constraints.append(Constraint(operand, operator, text))
            found.append(canonical.rule(action, constraints))
    return found


@st.composite
def policies(draw):
    service = draw(
        st.sampled_from(["files", "tables", "joint", "jobs", "buckets", "hosting", "threats"])
    )
    permissions = draw(st.lists(rules(service), min_size=1, max_size=3))
    forbidden = draw(st.sets(st.sampled_from(sorted(set(FORBID) - {"train"}))))
    policy = canonical.policy(
        permissions, [OdrlRule(FORBID[word]) for word in forbidden], draw(duties())
    )
    return service, policy


@given(policies())
def test_wire_and_file_are_lossless(made):
    service, policy = made
    offer = odrl.write(policy, id="urn:uuid:1")
    assert odrl.read(offer) == policy
    permit.draft(policy, service=service, operands=OPERANDS)
    first = terms.Terms(title={"en": "x"}, description={}, asset="a", policy=policy)
    again = terms.read(
        terms.write(first).encode(),
        source="t",
        shape=terms.Shape("a", service, None),
        now=None,
        floors={},
        purposes={},
        enforced=dict.fromkeys(SERVICES, OPERANDS),
    )
    assert again.policy == policy
    assert terms.plain(policy)


@given(st.dictionaries(st.sampled_from(["en", "ar", "sr-Latn", "und"]), LEAVES["text"], min_size=1))
def test_titles_of_any_text_survive(title):
    policy = odrl.read({"permission": [{"action": "use"}]})
    first = terms.Terms(title=title, description=title, asset="a: #b", policy=policy)
    again = terms.read(
        terms.write(first).encode(), source="t", shape=None, now=None, floors={}, purposes={},
        enforced={"files": frozenset()},
    )  # fmt: skip
    assert (again.title, again.description, again.asset) == (title, title, "a: #b")
