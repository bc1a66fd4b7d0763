# SPDX-License-Identifier: Apache-2.0
"""Values in their canonical forms."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corridor.policy import countries, values
from corridor.policy.values import canonical

CANONICAL = [
    ("int", "007", "7"),
    ("dec", "4.0", "4"),
    ("dec", "4.10", "4.1"),
    ("dec", "-0.00", "0"),
    ("instant", "2027-12-31T12:00:00.500000+02:00", "2027-12-31T10:00:00.5Z"),
    ("duration", "PT72H", "P3D"),
    ("duration", "PT0S", "P0D"),
    ("duration", "PT36H61M1S", "P1DT13H1M1S"),
    ("country", "rs", "RS"),
    ("column", "re\u0301gion", "r\u00e9gion"),
    ("column", "राज्य", "राज्य"),
    ("measure", "kwh[0.0,050000]", "kwh[0,50000]"),
    ("measure", "t[-10,-1.50]", "t[-10,-1.5]"),
    ("predicate", "year>=2020", "year >= 2020"),
    ("predicate", "  region   in ( 'b','a' , 'a')", "region in ('a', 'b')"),
    ("predicate", "day != 2027-01-01", "day != 2027-01-01"),
    ("predicate", "name = 'it''s in (x)'", "name = 'it''s in (x)'"),
    ("predicate", "inside in (2.50, 1)", "inside in (1, 2.5)"),
    ("claim", "Role.role=a=b", "Role.role=a=b"),
]


@pytest.mark.parametrize(("kind", "given_", "expected"), CANONICAL)
def test_canonical(kind, given_, expected):
    assert canonical(kind, given_) == expected
    assert canonical(kind, expected) == expected


WRONG = [
    ("int", "1e3"), ("int", "-1"), ("int", "٣"), ("int", "9" * 19), ("int", "1\n"),
    ("dec", "1e-6"), ("dec", ".5"), ("dec", "-1"), ("dec", "NaN"),
    ("instant", "2027-12-31"), ("instant", "2027-12-31T12:00:00"), ("instant", "2027-02-30T12:00:00Z"),
    ("instant", "1969-12-31T23:59:59Z"), ("instant", "0001-01-01T00:00:00+02:00"),
    ("instant", "2027-12-31T12:00:60Z"), ("instant", "2027-12-31T12:00:00.1234567Z"),
    ("instant", "9999-12-31T23:59:59-02:00"),
    ("duration", "P"), ("duration", "PT"), ("duration", "P1W"), ("duration", "P1M"), ("duration", "1D"),
    ("duration", "P1DT"), ("duration", "P99999D"), ("duration", "-P1D"),
    ("country", "EU"), ("country", "Serbia"), ("country", "R\u017f"), ("country", ""),
    ("column", "2a"), ("column", "a b"), ("column", ""), ("column", "a" * 64), ("column", "a\u200b"),
    ("measure", "kwh[1,1]"), ("measure", "kwh[1]"), ("measure", "kwh[a,b]"), ("measure", "[0,1]"),
    ("predicate", "year"), ("predicate", "year >= now"), ("predicate", "a in ()"),
    ("predicate", "a in ('x'"), ("predicate", "a = 'x' or b = 'y'"), ("predicate", "a = 'x"),
    ("predicate", "a = (1)"), ("predicate", "a in (1,)"), ("predicate", "f(a) = 1"),
    ("iri", "research"), ("iri", "urn:a b"), ("did", "did:web:"), ("did", "https://a"),
    ("credential", "A@b"), ("credential", "A B"), ("claim", "A=b"), ("claim", "A.b="), ("claim", "A.b"),
    ("path", "v1"), ("path", "/a/*/b"), ("path", "/a/../b"), ("path", "//a"), ("path", "/a?x"),
    ("path", "/a/."), ("path", "/%2e"), ("path", "/a**"),
    ("digest", "sha256:" + "A" * 64), ("method", "get"), ("tlp", "amber"), ("function", "max"),
    ("text", "\x00"), ("text", " "), ("text", "a\nb"), ("text", "\ud800"), ("text", "x" * 5001),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "given_"), WRONG)
def test_wrong(kind, given_):
    with pytest.raises(ValueError):
        canonical(kind, given_)


@given(st.sampled_from(sorted(values.CANONICAL)), st.text(max_size=30))
def test_total_and_idempotent(kind, given_):
    try:
        once = canonical(kind, given_)
    except ValueError:
        return
    assert canonical(kind, once) == once


@given(
    st.timedeltas(timedelta(), timedelta(days=36_525)).map(lambda d: timedelta(d.days, d.seconds))
)
def test_a_duration_is_its_length(length):
    text = canonical(
        "duration",
        f"PT{int(length.total_seconds())}S" if length.days < 11_000 else f"P{length.days}D",
    )
    if length.days < 11_000:
        assert values.span(text) == length


@given(st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)))
def test_an_instant_is_itself(when):
    assert values.moment(values.instant_text(when)) == when


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ("2026-11-22T08:50:47.733583392Z", "2026-11-22T08:50:47.733583Z"),
        ("2026-11-22T10:50:47.999999999+02:00", "2026-11-22T08:50:47.999999Z"),
        ("2026-11-22T08:50:47.5Z", "2026-11-22T08:50:47.5Z"),
        ("2026-11-22T08:50:47.000000001Z", "2026-11-22T08:50:47Z"),
    ],
)
def test_the_stamp_of_an_agreement_is_cut_to_the_microsecond(given_, expected):
    assert values.instant_text(values.stamped(given_)) == expected


@pytest.mark.parametrize("given_", ["2026-11-22T08:50:47.733583392", "2026-11-22T08:50:47.", "x"])
def test_a_stamp_needs_a_zone_like_every_instant(given_):
    with pytest.raises(ValueError):
        values.stamped(given_)


@pytest.mark.parametrize(
    ("given_", "expected"),
    [("64 KiB", "65536"), ("1GB", "1000000000"), ("12", "12"), ("1 TiB", str(1 << 40))],
)
def test_sizes(given_, expected):
    assert values.size(given_) == expected


@pytest.mark.parametrize("given_", ["1.5 GB", "1 gb", "KB", "-1", "1  KB"])
def test_no_sizes(given_):
    with pytest.raises(ValueError, match="no size"):
        values.size(given_)


@pytest.mark.parametrize(
    ("number", "low", "high", "good"),
    [("0", ">0", "1", False), ("0.001", ">0", "<0.001", False), ("0.0009", ">0", "<0.001", True),
     ("1", "1", "1", True), ("2", "", "1", False), ("0", "0", "", True)],
)  # fmt: skip
def test_bounds(number, low, high, good):
    if good:
        assert values.within(number, low, high) == number
    else:
        with pytest.raises(ValueError, match="out of range"):
            values.within(number, low, high)


def test_there_are_249_countries_and_each_name_leads_to_its_code():
    assert len(countries.NAMES) == 249
    assert all(countries.code_of(name) == code for code, name in countries.NAMES.items())
