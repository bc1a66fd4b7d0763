# SPDX-License-Identifier: Apache-2.0
"""The terms file: read, refused, written back."""

from datetime import UTC, datetime

import pytest

from corridor.errors import CODES, Invalid
from corridor.policy import odrl, terms
from corridor.policy.profile import COR, OPERANDS, ROWS, SERVICES, metered
from corridor.policy.terms import Shape

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
ALL = dict.fromkeys(SERVICES, OPERANDS)
SURVEY = Shape("energy-survey", "tables", ("household", "region", "year", "kwh", "income"))
POINTS = Shape("crossing-points", "files", None)


def read(text, shape=None, **more):
    given = {"now": NOW, "floors": {}, "purposes": {}, "enforced": ALL, **more}
    data = text.encode() if isinstance(text, str) else text
    return terms.read(data, source="terms.yaml", shape=shape, **given)


def faults(text, shape=None, **more):
    with pytest.raises(Invalid) as refused:
        read(text, shape, **more)
    return [str(problem) for problem in refused.value.problems]


def shape_of(example):
    return Shape(example.asset, example.service, example.columns)


def test_the_examples_as_files_are_the_examples_as_odrl(example):
    found = read(example.yaml, shape_of(example))
    assert found.policy == odrl.read(example.offer)
    assert found.asset == example.asset
    assert found.title["en"]


def test_the_service_is_guessed_without_a_shape(example):
    assert read(example.yaml).policy == odrl.read(example.offer)


def test_written_and_read_again_is_the_same(example):
    first = read(example.yaml, shape_of(example))
    text = terms.write(first)
    second = read(text, shape_of(example))
    assert second.policy == first.policy
    assert (second.title, second.asset) == (first.title, first.asset)
    assert terms.write(second) == text


def test_written_from_the_wire_is_normal(example):
    policy = odrl.read(example.offer)
    again = read(
        terms.write(
            terms.Terms(title={"en": "x"}, description={}, asset=example.asset, policy=policy)
        )
    )
    assert again.policy == policy


def test_common_requirements_are_written_once(examples):
    text = terms.write(read(examples[2].yaml, shape_of(examples[2])))
    assert text.count("MembershipCredential") == 1
    assert (
        "\nrequire: {credentials: [MembershipCredential], approval: [data-protection-officer]}\n"
        in text
    )


def rule(text, asset="energy-survey"):
    return f"title: {{en: T}}\nasset: {asset}\nallow:\n  - {text}\n"


OK = "columns: {region: dimension, household: unit}"
MESSAGES = [
    (
        rule("{actoin: use}", "crossing-points"),
        POINTS,
        'terms.yaml:4  allow[0].actoin: no such key here. Did you mean "action"? [terms-unknown-key]',
    ),
    (
        rule("{action: download}", "crossing-points"),
        POINTS,
        (
            'terms.yaml:4  allow[0].action: "download" is no action. The asset crossing-points (files) '
            "offers: use, read. [terms-action]"
        ),
    ),
    (
        rule("{action: use, spatial: [EG, Serbia]}", "crossing-points"),
        POINTS,
        'terms.yaml:4  allow[0].spatial[1]: "Serbia" is no ISO 3166-1 code. Write RS. [terms-country]',
    ),
    (
        rule("{action: use, until: 2024-12-31}", "crossing-points"),
        POINTS,
        (
            "terms.yaml:4  allow[0].until: 2024-12-31 is past. An offer must end after today "
            "(2026-11-22 UTC). [terms-past]"
        ),
    ),
    (
        rule("{action: aggregate, columns: {region: dimension, household: unit, kwh: measure}}"),
        SURVEY,
        (
            "terms.yaml:4  allow[0].columns.kwh: a measure in an aggregate rule needs bounds. "
            "Write {measure: [low, high]}. [terms-bounds]"
        ),
    ),
    (
        rule("{action: aggregate, columns: {region: dimension}}"),
        SURVEY,
        (
            "terms.yaml:4  allow[0].columns: no unit. min_group_size counts units; mark the column "
            "that identifies one: household: unit. [terms-no-unit]"
        ),
    ),
    (
        rule("{action: aggregate, columns: {household: unit, incme: dimension}}"),
        SURVEY,
        (
            "terms.yaml:4  allow[0].columns.incme: the asset energy-survey has no such column. "
            "It has: household, income, kwh, region, year. [terms-column]"
        ),
    ),
    (
        rule(f"{{action: aggregate, {OK}, min_group_size: 3}}"),
        SURVEY,
        (
            "terms.yaml:4  allow[0].min_group_size: 3 is below this node's floor of 5. Raise it, or ask "
            "the operator to lower policy.floors.min_group_size. [terms-floor]"
        ),
    ),
    (
        rule(f"{{action: aggregate, {OK}, privacy: {{epsilon: 4, per_answer: 5}}}}"),
        SURVEY,
        (
            "terms.yaml:4  allow[0].privacy.per_answer: 5 is more than epsilon 4, so no answer could "
            "ever be given. Lower it. [terms-never]"
        ),
    ),
    (
        rule("{action: use}\n  - {action: share}\nforbid: [share]", "crossing-points"),
        POINTS,
        (
            'terms.yaml:6  forbid[0]: "share" is also in allow[1]. A thing cannot be both; remove one. '
            "[terms-conflict]"
        ),
    ),
    (
        rule("{action: use}\nduties: [{delete: {after: P3M}}]", "crossing-points"),
        POINTS,
        (
            'terms.yaml:5  duties[0].delete.after: "P3M" has no fixed length. Write days: P90D. '
            "[terms-duration]"
        ),
    ),
    (
        rule(
            "action: use\n    purpose: hosting\n    spatial: EG\n    purpose: hosting",
            "crossing-points",
        ),
        POINTS,
        (
            'terms.yaml:7  line 7: key "purpose" a second time in this map (first on line 5). '
            "Merge the two. [terms-duplicate]"
        ),
    ),
]


@pytest.mark.parametrize(("text", "shape", "message"), MESSAGES, ids=lambda x: None)
def test_the_twelve_messages_word_for_word(text, shape, message):
    assert faults(text, shape, floors={"min_group_size": 5}) == [message]


def test_all_faults_come_at_once_in_order_of_lines():
    text = (
        "title: {en: T}\nasset: crossing-points\nallow:\n  - {action: download}\n"
        "  - {action: use, spatial: Serbia}\n  - {action: use, until: 2024-12-31, foo: 1}\n"
        "forbid: [fly]\nduties: [{delete: {after: P3M}}]\n"
    )
    found = faults(text, POINTS)
    assert [one.partition(":")[2].partition(" ")[0] for one in found] == list("456678")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "terms-yaml"),
        ("[a]", "terms-value"),
        ("a: &x 1\nb: *x", "terms-yaml"),
        ("a: !!str 1", "terms-yaml"),
        ("<<: {a: 1}", "terms-yaml"),
        ("a: b: c", "terms-yaml"),
        ("--- 1\n--- 2", "terms-yaml"),
        ("[a]: 1", "terms-yaml"),
        ("a: [[[[[[[[[1]]]]]]]]]", "terms-limit"),
        ('a: "\\x07"', "terms-yaml"),
        ('a: "\\ud800"', "terms-yaml"),
        (b"\xff\xfe", "terms-yaml"),
        (b"\xc3", "terms-yaml"),
        ("#" * 65_537, "terms-limit"),
        (rule("{action: use}", "a") + "terms: 2", "terms-value"),
        ("asset: a\nallow: [{action: use}]", "terms-missing"),
        ("title: x\nallow: [{action: use}]", "terms-missing"),
        ("title: x\nasset: a", "terms-missing"),
        ("title: x\nasset: a\nallow: []", "terms-value"),
        ("title: {1x: x}\nasset: a\nallow: [{action: use}]", "terms-value"),
        ("title: " + "x" * 201 + "\nasset: a\nallow: [{action: use}]", "terms-limit"),
        (rule("{spatial: EG}", "a"), "terms-missing"),
        (rule("{action: use, for: P1Y}", "a"), "terms-duration"),
        (rule("{action: use, purpose: fun}", "a"), "terms-value"),
        (rule("{action: use, from: 2027-02-01, until: 2027-01-01}", "a"), "terms-never"),
        (rule("{action: use, quota: {requests: {day: 0}}}", "a"), "terms-never"),
        (rule("{action: use, quota: {queries: {day: 1}}}", "a"), "terms-unknown-key"),
        (rule("{action: use, quota: {requests: {decade: 1}}}", "a"), "terms-unknown-key"),
        (rule("{action: use, min_group_size: 10}", "a"), "terms-unknown-key"),
        (rule("{action: aggregate, columns: {household: unit, 'a b': dimension}}"), "terms-value"),
        (rule("{action: read}"), None),
        (rule("{action: aggregate, columns: {region: unit, household: unit}}"), "terms-value"),
        (rule("{action: aggregate, columns: {household: unit, kwh: {measure: [5, 0]}}}"), "terms-value"),
        (rule("{action: aggregate, columns: {household: unit, kwh: {measure: [5]}}}"), "terms-bounds"),
        (rule("{action: aggregate, columns: {household: key}}"), "terms-value"),
        (rule(f"{{action: aggregate, {OK}, functions: [max]}}"), "terms-value"),
        (rule(f"{{action: aggregate, {OK}, min_group_size: 1}}"), "terms-value"),
        (rule(f"{{action: aggregate, {OK}, privacy: {{epsilon: 0}}}}"), "terms-value"),
        (rule(f"{{action: aggregate, {OK}, privacy: {{per: day}}}}"), "terms-missing"),
        (rule(f"{{action: aggregate, {OK}, privacy: {{epsilon: 0.3}}}}"), "terms-never"),
        (rule(f"{{action: aggregate, {OK}, rows: [now]}}"), "terms-value"),
        (rule("{action: invoke}", "a"), "terms-missing"),
        (rule("{action: invoke, paths: [/a/../b]}", "a"), "terms-value"),
        (rule("{action: use}\nduties: [{delete: {}}]", "a"), "terms-missing"),
        (rule("{action: use}\nduties: [{notify: {on: fire, within: P1D}}]", "a"), "terms-value"),
        (rule("{action: use}\nnegotiate: {wider: accept}", "a"), "terms-value"),
        (rule("{action: use}\nrequire: {credential: [X]}", "a"), "terms-unknown-key"),
        ("title: x\nasset: a\nallow: [" + "{action: use}, " * 33 + "]", "terms-limit"),
    ],
)  # fmt: skip
def test_other_faults(text, code):
    if code is None:
        assert faults(text, SURVEY)[0].endswith("needs columns. Add it. [terms-missing]")
        return
    with pytest.raises(Invalid) as refused:
        read(text)
    assert {problem.code for problem in refused.value.problems} == {code}
    assert all(problem.code in CODES for problem in refused.value.problems)
    assert all(
        problem.message.endswith(".") or "?" in problem.message
        for problem in refused.value.problems
    )


def test_everything_is_text_and_typed_by_the_grammar():
    found = read(
        rule(
            "{action: use, spatial: [NO, rs], quota: {requests: {day: 010}, bytes: {day: 1 KiB}}, until: 2027-12-31}",
            "a",
        )
    )
    written = odrl.write(found.policy, id="urn:x:1")["permission"][0]["constraint"]
    assert {item["leftOperand"]: item["rightOperand"] for item in written} == {
        "odrl:dateTime": "2028-01-01T00:00:00Z",
        "odrl:spatial": ["NO", "RS"],
        COR + "requestsPerDay": "10",
        COR + "bytesPerDay": "1024",
    }


def test_what_no_service_enforces_cannot_be_offered():
    nothing = {"files": frozenset(), "tables": frozenset({"cor:dimension", "cor:unit"})}
    assert read(rule("{action: use, quota: {requests: {day: 1}}}", "a"), enforced=nothing)
    (found,) = faults(rule("{action: use, quota: {bytes: {day: 1}}}", "a"), enforced=nothing)
    assert found.startswith(
        "terms.yaml:4  allow[0].quota.bytes.day: no service of this node enforces"
    )
    assert found.endswith("[terms-unenforced]")
    (found,) = faults(rule(f"{{action: aggregate, {OK}}}"), SURVEY, enforced=nothing)
    assert "allow[0].action" in found
    assert found.endswith("[terms-unenforced]")
    (found,) = faults(rule("{action: use}", "a"), enforced={"tables": OPERANDS})
    assert "asset" in found
    assert found.endswith("[terms-unenforced]")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.key)
def test_every_row_has_a_type_a_direction_and_an_action(row, examples):
    assert set(row.points) <= set("CNSRA")
    assert row.actions
    assert row.public


def test_metered_operands_are_named_for_services_to_register():
    assert COR + "bytesPerDay" in metered("bytes")
    assert all(len(metered(noun)) == 7 for noun in ("bytes", "rows", "cpu_seconds"))


def test_warnings():
    text = (
        "title: T\nasset: energy-survey\nallow:\n"
        "  - {action: read, columns: {region: dimension}}\n"
        f"  - {{action: aggregate, {OK}, privacy: {{epsilon: 1}}, until: 2027-01-01}}\n"
    )
    assert {warning.code for warning in read(text, SURVEY).warnings} == {
        "terms-read-beside-aggregate",
        "terms-no-until",
        "terms-privacy-without-purpose",
    }


def test_what_is_past_stays_readable_where_it_was_checked_before():
    assert read(rule("{action: use, until: 2024-12-31}", "a"), now=None)


def test_floors_hold_for_caps_and_for_defaults():
    text = rule(f"{{action: aggregate, {OK}, privacy: {{epsilon: 4}}}}")
    found = faults(text, SURVEY, floors={"min_group_size": 20, "privacy.epsilon": 2})
    assert len(found) == 2
    assert "4 is above this node's cap of 2" in found[1] + found[0]


def test_show_to_and_negotiate_stay_at_home_and_survive_writing():
    text = (
        rule("{action: use}", "a")
        + "show_to: {recipient: 'did:web:p.example', claims: {Role.r: x}}\nnegotiate: {narrower: ask}\n"
        + "description: {en: 'a: b # c'}\n"
    )
    found = read(text)
    assert found.show_to.recipients == {"did:web:p.example"}
    assert found.negotiate.narrower == "ask"
    assert odrl.is_stub(odrl.write(found.policy, id="urn:x:1"))
    again = read(terms.write(found))
    assert (again.show_to, again.negotiate, again.description) == (
        found.show_to,
        found.negotiate,
        found.description,
    )


def test_require_of_file_and_rule_are_united_and_paths_under_a_star_dropped():
    found = read(
        rule("{action: invoke, paths: [/v1/*, /v1/search, /v2], require: {credentials: B}}", "a")
        + "require: {credentials: A}\n"
    )
    written = odrl.write(found.policy, id="urn:x:1")["permission"][0]["constraint"]
    values = {item["leftOperand"]: item["rightOperand"] for item in written}
    assert values[COR + "credential"] == ["A", "B"]
    assert values[COR + "path"] == ["/v1/*", "/v2"]


def test_of_two_duties_the_stricter_is_meant():
    found = read(
        rule("{action: use}\nduties: [{delete: {after: P9D}}, {delete: {after: P2D}}]", "a")
    )
    (duty,) = found.policy.duties
    assert "P2D" in [item.value for item in duty.constraints]


def test_plain_words():
    found = read(
        rule(
            "{action: read, columns: {country: dimension, year: dimension}, until: 2027-12-31, quota: {requests: {day: 100}}}",
            "a",
        )
        + "forbid: [sell]\nduties: [{delete: {after: P90D}}, {attribute: {text: Statistics Office}}]\nwithdraw: {notice: P7D}\n"
    )
    said = terms.plain(found.policy)
    assert said[0] == "May read the columns country and year."
    assert "Until 31 December 2027." in said
    assert "At most 100 requests a day." in said
    assert "Must not sell the data." in said
    assert "Must delete all copies within 90 days of the last receipt." in said
    assert 'Must name the source: "Statistics Office".' in said
    assert "The provider gives 7 days of notice before it withdraws." in said


def test_plain_words_of_the_examples(example):
    said = terms.plain(odrl.read(example.offer))
    assert said[0].startswith("May ")
    assert all(one.endswith(".") and "urn:uuid" not in one for one in said)
