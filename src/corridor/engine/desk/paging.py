# SPDX-License-Identifier: Apache-2.0
"""Lists a part at a time: rows behind a position, sifted, with a bound on what is looked at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from corridor.errors import Invalid
from corridor.wire.home import Page

LOOKED_AT_MAX = 2000
PAGE = 200


class Row(Protocol):
    """A stored row; its number only grows."""

    @property
    def pk(self) -> int | None:
        """The row's number."""
        ...


R = TypeVar("R", bound=Row)
V = TypeVar("V")


def position(after: str) -> int:
    """The row number that a position is; raises Invalid where it is none."""
    if not after:
        return 0
    if not after.isdecimal() or len(after) > 18:
        raise Invalid("this is no position in the list", code="invalid")
    return int(after)


def sifted(
    rows: Callable[[int, int], Sequence[R]],
    view: Callable[[R], V | None],
    *,
    after: int,
    limit: int,
) -> tuple[list[V], int | None]:
    """At most `limit` views of rows behind `after`, and the position to go on from.

    `rows(after, limit)` gives rows in order; `view` None leaves a row out. After `LOOKED_AT_MAX`
    rows a short page comes back with a position, so that a filter cannot hold the node up.
    """
    found: list[V] = []
    looked = 0
    while looked < LOOKED_AT_MAX:
        some = rows(after, PAGE)
        for row in some:
            if len(found) >= limit:
                return found, after
            after = row.pk or after
            looked += 1
            shown = view(row)
            if shown is not None:
                found.append(shown)
        if len(some) < PAGE:
            return found, None
    return found, after


def page(
    rows: Callable[[int, int], Sequence[R]],
    view: Callable[[R], V | None],
    *,
    after: str,
    limit: int,
) -> Page[V]:
    """The same as a page of the management API."""
    items, following = sifted(rows, view, after=position(after), limit=limit)
    return Page(items=items, next=None if following is None else str(following))
