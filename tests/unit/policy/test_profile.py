# SPDX-License-Identifier: Apache-2.0
"""The table of the specification (terms.md 2.3), and what the code makes of it."""

import pytest

from corridor.policy import profile, values
from corridor.policy.profile import ACTIONS, BY_KEY, BY_TERM, COR, ROWS, SERVICES, iri

PAGE = """
purpose|odrl:purpose|isAnyOf|R
from|odrl:dateTime|gteq|SRA
until|odrl:dateTime|lt|CSRA
for|odrl:elapsedTime|lteq|SRA
spatial|odrl:spatial|isAnyOf|CNSR
recipient|odrl:recipient|isAnyOf|CNSR
require.credentials|cor:credential|isAllOf|CNSR
require.claims|cor:claim|isAllOf|CNSR
require.approval|cor:approval|isAllOf|NSR
quota.NOUN.total|odrl:count|lteq|SR
quota.queries.W|cor:queriesPerW|lteq|SR
quota.requests.W|cor:requestsPerW|lteq|SR
quota.rounds.W|cor:roundsPerW|lteq|SR
quota.jobs.W|cor:jobsPerW|lteq|SR
quota.bytes.L|cor:bytesPerL|lteq|SRA
quota.rows.L|cor:rowsPerL|lteq|SRA
quota.cpu_seconds.L|cor:cpuSecondsPerL|lteq|SRA
privacy.epsilon.L|cor:epsilonPerL|lteq|SR
privacy.per_answer|cor:epsilonPerAnswer|lteq|R
privacy.delta|cor:delta|lteq|R
privacy.rows_per_unit|cor:unitRows|lteq|R
privacy.groups_per_unit|cor:unitGroups|lteq|R
columns.unit|cor:unit|eq|R
columns.dimension|cor:dimension|isAnyOf|R
columns.filter|cor:filter|isAnyOf|R
columns.join-only|cor:joinKey|isAnyOf|R
columns.measure|cor:measure|isAnyOf|R
rows|cor:rowFilter|isAllOf|SR
min_group_size|cor:groupUnits|gteq|RA
min_complement|cor:complementUnits|gteq|RA
dominance.n|cor:topContributors|eq|A
dominance.percent|cor:topShare|lteq|A
p_percent|cor:contributorGap|gteq|A
rounding|cor:roundingBase|eq|A
max_groups|cor:groups|lteq|RA
max_rows|cor:resultRows|lteq|RA
time_limit|cor:answerSeconds|lteq|RA
functions|cor:function|isAnyOf|R
join_with|cor:joinTarget|isAnyOf|R
models|cor:model|isAnyOf|R
circle.parties|cor:circleParty|isAllOf|NSR
circle.collude|cor:circleColluders|gteq|NSR
max_params_share|cor:parameterShare|lteq|R
min_parties|cor:secureSumParties|gteq|SRA
min_units|cor:trainingUnits|gteq|SRA
min_level|cor:levelUnits|gteq|SRA
images|cor:image|isAnyOf|R
cpu|cor:cpuCores|lteq|R
memory|cor:memoryBytes|lteq|R
disk|cor:diskBytes|lteq|R
job_time|cor:jobSeconds|lteq|R
network|cor:network|eq|R
outputs|cor:outputs|eq|A
capacity|cor:storedBytes|lteq|R
objects|cor:storedObjects|lteq|R
operations|cor:operation|isAnyOf|R
keep|cor:keptFor|gteq|SA
copies|cor:copies|gteq|SA
methods|cor:method|isAnyOf|R
paths|cor:path|isAnyOf|R
request_size|cor:requestBytes|lteq|R
tlp|cor:tlp|isAnyOf|RA
kinds|cor:objectType|isAnyOf|RA
"""


def page():
    """The rows, `W` written out as the six calendar windows and `L` with the agreement's life."""
    calendar = ("minute", "hour", "day", "week", "month", "year")
    for line in PAGE.strip().splitlines():
        key, operand, operator, points = line.split("|")
        windows = {"W": calendar, "L": (*calendar, "total")}.get(key[-1:], ())
        if not windows:
            yield key, iri(operand), operator, points
        for window in windows:
            name = "Agreement" if window == "total" else window.capitalize()
            yield key[:-1] + window, iri(operand[:-1] + name), operator, points


def test_the_table_is_the_pages():
    assert {(row.key, row.operand, row.operator, row.points) for row in ROWS} == set(page())


def test_keys_and_terms_are_unique():
    assert len(BY_KEY) == len(BY_TERM) == len(ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.key)
def test_every_row_can_be_carried_by_a_service_and_read(row):
    assert row.leaf in values.CANONICAL
    carried = [
        (action.word, service)
        for action in ACTIONS
        for service in (action.services or SERVICES)
        if profile.carries(action.word, service, row)
    ]
    assert carried


def test_defaults_are_canonical_and_within_bounds():
    for action in ("read", "aggregate", "train", "execute", "store", "invoke", "share", "use"):
        for service in SERVICES:
            for key, text in profile.defaults(action, service):
                row = BY_KEY[key]
                for one in text.split() if row.is_set else [text]:
                    assert values.canonical(row.leaf, one) == one
                    if row.low or row.high:
                        assert values.within(one, row.low, row.high) == one


@pytest.mark.parametrize("name", ["cor:dimension", "dimension", COR + "dimension"])
def test_operands_are_registered_under_three_spellings(name):
    assert profile.registered([name]) == {COR + "dimension"}


def test_an_unknown_operand_registers_nothing():
    assert profile.registered(["cor:sunshine", "edc:x", ""]) == frozenset()
