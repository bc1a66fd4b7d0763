# SPDX-License-Identifier: Apache-2.0
"""The table of the protocol's MUSTs, each with its test.

Mark a test anywhere under tests/spec with `@must("dsp.md 2.2", "what must hold")`. The anchor is
the section of the reference page; `test_musts.py` checks that it is there and that no statement
stands twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

Test = TypeVar("Test", bound=Callable[..., Any])


@dataclass(frozen=True)
class Must:
    """One statement, where it stands, and the test that holds it."""

    anchor: str
    words: str
    test: str


MUSTS: list[Must] = []


def must(anchor: str, words: str) -> Callable[[Test], Test]:
    """Enter a test in the table."""

    def enter(test: Test) -> Test:
        MUSTS.append(Must(anchor, words, f"{test.__module__}.{test.__qualname__}"))
        return test

    return enter
