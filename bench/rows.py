# SPDX-License-Identifier: Apache-2.0
"""A row of the table: what was measured, its budget, and whether it is within it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line. `sense` is `>=` or `<=`; empty where nothing is promised. `runs`: each round's."""

    name: str
    unit: str
    runs: Sequence[float]
    budget: float | None = None
    sense: str = ""
    told: str = ""
    skipped: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    worst: bool = False

    @property
    def measured(self) -> float:
        """The median of the rounds; the worst of them where the budget holds for each."""
        if self.worst:
            return max(self.runs) if self.sense == "<=" else min(self.runs)
        return median(self.runs)

    @property
    def verdict(self) -> str:
        """`ok`, `over budget`, `no budget`, or `SKIPPED` with why."""
        if self.skipped:
            return "SKIPPED"
        if self.budget is None:
            return "no budget"
        held = self.measured >= self.budget if self.sense == ">=" else self.measured <= self.budget
        return "ok" if held else "over budget"

    def line(self) -> list[str]:
        """Name, measured, budget, verdict, spread."""
        if self.skipped:
            return [self.name, "", "", "SKIPPED", self.skipped]
        budget = "" if self.budget is None else f"{self.sense} {shown(self.budget)}"
        spread = f"{shown(min(self.runs))} to {shown(max(self.runs))}"
        measured = f"{shown(self.measured)} {self.unit}".strip()
        told = f"{spread} ({len(self.runs)}); {self.told}" if self.told else spread
        return [self.name, measured, budget, self.verdict, told]

    def plain(self) -> dict[str, Any]:
        """For the file of results."""
        if self.skipped:
            return {"name": self.name, "verdict": "SKIPPED", "why": self.skipped}
        return {
            "name": self.name,
            "unit": self.unit,
            "measured": self.measured,
            "sense": self.sense,
            "budget": self.budget,
            "verdict": self.verdict,
            "runs": list(self.runs),
            "told": self.told,
            "facts": self.facts,
        }


def shown(value: float) -> str:
    """Three digits that matter; whole numbers from 100 on."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def quantile(values: Sequence[float], part: float) -> float:
    """The value that so large a part of all does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]
