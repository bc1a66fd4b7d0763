# SPDX-License-Identifier: Apache-2.0
"""Calendar windows in UTC, in which quotas are counted (terms.md 4.2)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

WINDOWS = ("minute", "hour", "day", "week", "month", "year", "total")

# The one window of `total`, the agreement's life, has no calendar start: this stands in its place.
LIFE = datetime(1970, 1, 1, tzinfo=UTC)


def window_start(window: str, now: datetime) -> datetime:
    """The first instant of the window that holds `now`; LIFE for `total`."""
    now = now.astimezone(UTC)
    match window:
        case "minute":
            return now.replace(second=0, microsecond=0)
        case "hour":
            return now.replace(minute=0, second=0, microsecond=0)
        case "day":
            return now.replace(hour=0, minute=0, second=0, microsecond=0)
        case "week":
            return window_start("day", now) - timedelta(days=now.weekday())
        case "month":
            return window_start("day", now).replace(day=1)
        case "year":
            return window_start("day", now).replace(month=1, day=1)
        case "total":
            return LIFE
        case _:
            raise ValueError(f"{window} is no window")


def window_end(window: str, now: datetime) -> datetime | None:
    """The first instant after the window that holds `now`; None where there is none."""
    start = window_start(window, now)
    match window:
        case "minute":
            return start + timedelta(minutes=1)
        case "hour":
            return start + timedelta(hours=1)
        case "day":
            return start + timedelta(days=1)
        case "week":
            return start + timedelta(days=7)
        case "month":
            year, month = divmod(start.year * 12 + start.month, 12)
            return start.replace(year=year, month=month + 1)
        case "year":
            return start.replace(year=start.year + 1)
        case _:
            return None
