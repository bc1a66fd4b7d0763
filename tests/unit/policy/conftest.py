# SPDX-License-Identifier: Apache-2.0
"""The five worked examples of terms.md 2.4, as files and as wire JSON."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PROFILE = "urn:uuid:c9439823-0be4-5737-8c85-aee4c4640e71"
FOLDER = Path(__file__).parent / "examples"
SERVICES = {1: "files", 2: "tables", 3: "joint", 4: "threats", 5: "hosting"}
COLUMNS = {
    2: ("household", "income", "kwh", "region", "year"),
    3: ("patient", "age", "sex", "months", "died"),
}


def whole(value: Any) -> Any:
    """`cor:x` is shorthand of the page only; on the wire stands the whole IRI."""
    if isinstance(value, dict):
        return {key: whole(item) for key, item in value.items()}
    if isinstance(value, list):
        return [whole(item) for item in value]
    if isinstance(value, str) and value.startswith("cor:"):
        return f"{PROFILE}#{value[4:]}"
    return value


@dataclass(frozen=True)
class Example:
    number: int
    service: str
    columns: tuple[str, ...] | None
    yaml: bytes
    offer: dict[str, Any]
    asset: str

    @property
    def agreement(self) -> dict[str, Any]:
        rules = {k: v for k, v in self.offer.items() if not k.startswith("@")}
        return {
            "@id": f"urn:uuid:0000000{self.number}-0000-7000-8000-000000000002",
            "@type": "Agreement",
            "target": self.asset,
            "assigner": "did:web:provider.example",
            "assignee": "did:web:consumer.example",
            "timestamp": "2026-11-01T09:30:00Z",
            **rules,
        }


def load(number: int) -> Example:
    text = (FOLDER / f"{number}.yaml").read_bytes()
    asset = next(
        line.partition(b":")[2].strip().decode()
        for line in text.splitlines()
        if line.startswith(b"asset:")
    )
    offer = whole(json.loads((FOLDER / f"{number}.json").read_bytes()))
    return Example(number, SERVICES[number], COLUMNS.get(number), text, offer, asset)


@pytest.fixture(params=range(1, 6), ids=lambda n: f"E{n}")
def example(request: pytest.FixtureRequest) -> Example:
    return load(request.param)


@pytest.fixture
def examples() -> dict[int, Example]:
    return {number: load(number) for number in range(1, 6)}
