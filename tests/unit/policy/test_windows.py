# SPDX-License-Identifier: Apache-2.0
"""Calendar windows of quotas."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corridor.policy.windows import LIFE, WINDOWS, window_end, window_start

NOW = datetime(2026, 12, 31, 23, 59, 59, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("window", "start", "end"),
    [
        ("minute", "2026-12-31T23:59", "2027-01-01T00:00"),
        ("hour", "2026-12-31T23:00", "2027-01-01T00:00"),
        ("day", "2026-12-31T00:00", "2027-01-01T00:00"),
        ("week", "2026-12-28T00:00", "2027-01-04T00:00"),
        ("month", "2026-12-01T00:00", "2027-01-01T00:00"),
        ("year", "2026-01-01T00:00", "2027-01-01T00:00"),
    ],
)
def test_calendar_windows(window, start, end):
    assert window_start(window, NOW) == datetime.fromisoformat(start + "+00:00")
    assert window_end(window, NOW) == datetime.fromisoformat(end + "+00:00")


def test_the_agreements_life_is_one_window():
    assert window_start("total", NOW) == LIFE
    assert window_end("total", NOW) is None


def test_other_zones_are_turned_into_utc():
    east = datetime(2027, 1, 1, 1, tzinfo=timezone(timedelta(hours=2)))
    assert window_start("day", east) == datetime(2026, 12, 31, tzinfo=UTC)


def test_no_such_window():
    with pytest.raises(ValueError, match="no window"):
        window_start("decade", NOW)


@given(
    st.sampled_from(WINDOWS[:-1]),
    st.datetimes(datetime(1971, 1, 1), datetime(9998, 1, 1), timezones=st.just(UTC)),
)
def test_each_instant_is_in_exactly_one_window(window, now):
    start, end = window_start(window, now), window_end(window, now)
    assert start <= now < end
    assert window_start(window, end) == end
    assert window_start(window, end - timedelta(microseconds=1)) == start
