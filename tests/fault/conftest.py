# SPDX-License-Identifier: Apache-2.0
"""One nursery for all tests of a file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.fault.town import Nursery


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    made = Nursery()
    yield made
    made.close()
