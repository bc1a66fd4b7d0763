# SPDX-License-Identifier: Apache-2.0
"""Which shapes of the database this version knows, oldest first; the last is the one it writes."""

from __future__ import annotations

REVISIONS = ("0001",)
HEAD = REVISIONS[-1]
