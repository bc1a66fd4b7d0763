# SPDX-License-Identifier: Apache-2.0
"""Permits, and their hashes."""

import dataclasses
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from corridor.errors import CannotHonour
from corridor.policy import odrl, permit
from corridor.policy.bounds import FileLimits, HostingLimits, TableLimits
from corridor.policy.profile import COR, ODRL, OPERANDS, ROWS

PERMITS = {
    1: "1db0f05904402d59174732e478ee3e4c76f42aae6f3c42b9b1b0c7344c04d218",
    2: "ce13444a2cfdd7cf7b01b3248877de87ef620f770bcce97053d93a8dd1f3088f",
    3: "ecaa2d3ae5a41795ec7f5ce81a168ccc4a253a231363a96ae7cfa007ba4f30a3",
    4: "08b987cb9e44a834857d6bfeaeae74934e19fd2602fed4ad3c8f76fe26474e53",
    5: "704124851e21e9198f15425ec386d246c06fa669f0f7ba4a5dbcc165267395d4",
}


def compiled(example, **more):
    return permit.compile(example.agreement, service=example.service, operands=OPERANDS, **more)


def test_permit_hash_of_the_examples(example):
    assert compiled(example).permit_hash == PERMITS[example.number]


def test_a_declared_shape_changes_the_permit_hash(example):
    assert compiled(example, shape="ab" * 32).permit_hash != PERMITS[example.number]


def test_example_1(examples):
    it = compiled(examples[1])
    assert (it.asset, it.provider, it.consumer) == (
        "crossing-points",
        "did:web:provider.example",
        "did:web:consumer.example",
    )
    assert [(rule.key, rule.action, rule.limits) for rule in it.rules] == [
        ("use-e1c9da3f", "read", FileLimits())
    ]
    assert it.ends is None
    assert it.notice == timedelta()


def test_example_2(examples):
    it = compiled(examples[2])
    rule = next(rule for rule in it.rules if rule.action == "aggregate")
    assert isinstance(rule.limits, TableLimits)
    assert rule.limits.columns.measures == (("kwh", (Decimal(0), Decimal(50000))),)
    assert (rule.limits.k, rule.limits.dominance) == (10, (1, Decimal(50)))
    assert rule.when.ends == datetime(2028, 1, 1, tzinfo=UTC)
    assert {(q.name, q.cap, q.scope) for q in rule.quotas} == {
        ("queries.day", Decimal(50), "asset"),
        ("queries.total", Decimal(500), "asset"),
        ("epsilon.month", Decimal(4), "asset"),
    }
    assert [promise.name for promise in it.promises] == ["re-identify", "share"]
    assert [(duty.kind, duty.event, duty.within) for duty in it.duties] == [
        ("delete", "receipt", timedelta(days=90))
    ]


def test_for_counts_from_the_timestamp(examples):
    (rule,) = compiled(examples[3]).rules
    assert rule.when.ends == datetime(2027, 4, 30, 9, 30, tzinfo=UTC)
    assert compiled(examples[3]).notice == timedelta(days=7)


def test_example_5(examples):
    (rule,) = compiled(examples[5]).rules
    assert rule.limits == HostingLimits(
        methods=frozenset({"GET", "POST"}),
        paths=("/v1/reverse/*", "/v1/search"),
        request_size=65536,
    )


def agreement(*constraints, action="odrl:read", **more):
    return {
        "@id": "urn:uuid:1",
        "target": "a",
        "assigner": "did:web:p",
        "assignee": "did:web:c",
        "timestamp": "2026-11-01T09:30:00Z",
        "permission": [{"action": action, "constraint": list(constraints)}],
        **more,
    }


def atom(left, operator, right):
    return {"leftOperand": left, "operator": operator, "rightOperand": right}


COLUMNS = atom(COR + "dimension", "isAnyOf", ["a"])
REFUSED = [
    (agreement(action="use"), "tables", ODRL + "use"),
    (agreement(action=COR + "aggregate"), "files", COR + "aggregate"),
    (agreement(), "tables", "columns"),
    (agreement(COLUMNS), "files", COR + "dimension isAnyOf"),
    (agreement(COLUMNS, action=COR + "aggregate"), "tables", "min_group_size"),
    (agreement(atom(COR + "queriesPerDay", "lteq", "5")), "files", COR + "queriesPerDay lteq"),
    (agreement(atom(COR + "tlp", "isAnyOf", ["AMBER"])), "threats", "tlp"),
    (agreement(action="use"), "hosting", "paths"),
    (agreement(permission=[]), "files", "permission"),
    (agreement(action="odrl:sell"), "files", ODRL + "sell"),
    (agreement(timestamp="2026-11-01"), "files", "timestamp"),
    (agreement(), "nothing", "nothing"),
]


@pytest.mark.parametrize(("given", "service", "term"), REFUSED)
def test_what_does_not_compile(given, service, term):
    with pytest.raises(CannotHonour) as refused:
        permit.compile(given, service=service, operands=OPERANDS)
    assert refused.value.term == term


@pytest.mark.parametrize("row", [row for row in ROWS if not row.judge], ids=lambda row: row.key)
def test_every_row_without_a_service_that_registers_it_fails(row, examples):
    """Each operand of an example that its service does not register makes it fail, none other."""
    for example in examples.values():
        named = {
            item["leftOperand"]
            for rule in example.offer["permission"]
            for item in rule.get("constraint", ())
        }
        registered = OPERANDS - {row.operand}
        if row.operand in named:
            with pytest.raises(CannotHonour, match="does not enforce"):
                permit.compile(example.agreement, service=example.service, operands=registered)
        else:
            permit.compile(example.agreement, service=example.service, operands=registered)


def test_services_may_name_operands_in_any_of_three_ways(examples):
    whole = compiled(examples[5])
    for names in (
        ["cor:method", "cor:path", "cor:requestBytes", "cor:bytesPerDay"],
        ["method", "path", "requestBytes", "bytesPerDay"],
    ):
        assert permit.compile(examples[5].agreement, service="hosting", operands=names) == whole


def test_two_duties_of_one_kind_and_event_are_doubled():
    def delete(after):
        return {
            "action": "odrl:delete",
            "constraint": [
                atom("odrl:event", "gt", COR + "receipt"),
                atom("odrl:elapsedTime", "lteq", after),
            ],
        }

    given = agreement(obligation=[delete("P1D"), delete("P2D")])
    with pytest.raises(CannotHonour) as refused:
        permit.compile(given, service="files", operands=())
    assert refused.value.path == "obligation[1]"


def test_foreign_moments_fold_into_when():
    (rule,) = permit.compile(
        agreement(
            atom("odrl:dateTime", "lteq", "2028-01-01T00:00:00Z"),
            atom("odrl:dateTime", "gt", "2027-01-01T00:00:00Z"),
            atom("https://w3id.org/edc/v0.0.1/ns/inForceDate", "lteq", "contractAgreement+400d"),
        ),
        service="files",
        operands=(),
    ).rules
    assert rule.when.begins == datetime(2027, 1, 1, 0, 0, 0, 1, tzinfo=UTC)
    assert rule.when.ends == datetime(2027, 12, 6, 9, 30, 0, 1, tzinfo=UTC)


def test_a_permit_is_frozen_and_hashable(example):
    it = compiled(example)
    assert hash(it) == hash(compiled(example))
    with pytest.raises(dataclasses.FrozenInstanceError):
        it.asset = "other"


def test_a_draft_has_no_hash_and_no_running_time(examples):
    it = permit.draft(odrl.read(examples[3].offer), service="joint", operands=OPERANDS)
    assert (it.agreement_hash, it.permit_hash, it.rules[0].when.ends) == ("", "", None)
