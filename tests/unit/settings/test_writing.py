# SPDX-License-Identifier: Apache-2.0
"""The file that init writes, and what it takes: it reads back, and shows every setting."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.settings.least import LEAST, write

from corridor.config import load, to_toml
from corridor.limits import Limits
from corridor.settings import PARTICIPANT, SECTIONS
from corridor.settings.kinds import (
    COUNT,
    DURATION,
    SIZE,
    read_duration,
    read_size,
    write_duration,
    write_size,
)

ALL: Mapping[str, Any] = {
    "node.public_url": "https://corridor.stat.example",
    "node.name": 'Quote " and ünïcode \\',
    "node.data_dir": "/tmp/x",
    "tls.mode": "own",
    "tls.certificate_file": "/c.pem",
    "tls.key_file": "/k.pem",
    "keys.overlap": "90m",
    "requests.wait": "1500ms",
    "net.allow_hosts": ["a.example:443"],
    "policy.floors": {"min_group_size": 10},
    "services.tables.roots": ["/srv/tables"],
    "limits.message_bytes_max": "2MiB",
    "limits.headers_read_s": 0.25,
    "limits.connections_max": 7,
    "participant": [
        {
            "id": "stat",
            "title": {"en": "Statistics", "zh-Hans": "统计"},
            "country": "EG",
            "languages": ["en", "ar"],
            "purposes": {"own-purpose": "https://x.example/p"},
        },
        {"id": "second", "did": "did:web:other.example"},
    ],
}


def test_the_written_file_reads_back(tmp_path: Path) -> None:
    config = load(None, {}, ALL)
    text = to_toml(config)
    again = load(write(tmp_path, text), {})
    for name in config.__struct_fields__:
        if name not in {"origins", "trust"}:
            assert getattr(again, name) == getattr(config, name), name
    assert to_toml(again).count("\n") == text.count("\n")
    assert [line for line in text.split("\n") if line.startswith("name = ")] == [
        'name = "Quote \\" and ünïcode \\\\"  # shown to people; empty: the host of public_url'
    ]


def test_the_written_file_shows_every_setting_and_its_default(tmp_path: Path) -> None:
    text = to_toml(load(write(tmp_path, LEAST), {}))
    shown = tomllib.loads(
        "\n".join(it.removeprefix("# ") for it in text.split("\n")[1:]).replace('did = ""', "")
    )
    for section, rows in SECTIONS.items():
        found = shown
        for part in section.split("."):
            found = found[part]
        for key, row in rows.items():
            assert key in found
            if key != "public_url":
                assert found[key] == row.default
    assert shown["participant"][0].keys() >= PARTICIPANT.keys() - {"did"}


@pytest.mark.parametrize("limit", dataclasses.fields(Limits), ids=lambda it: it.name)
def test_the_unit_in_a_limits_name_says_what_it_takes(limit: dataclasses.Field[Any]) -> None:
    assert type(limit.default).__name__ == limit.type, "a duration needs its point: 60.0"
    if re.search(r"(?<!_per)_(s|seconds)(_max)?$", limit.name):
        kind = DURATION
    else:
        kind = SIZE if "bytes" in limit.name else COUNT
    assert SECTIONS["limits"][limit.name].kind is kind


@given(st.integers(1, 10**5), st.sampled_from(["ms", "s", "m", "h", "d"]))
def test_durations_read_back(amount: int, unit: str) -> None:
    seconds = read_duration(f"{amount}{unit}")
    assert read_duration(write_duration(seconds)) == seconds


@given(st.integers(1, 2**50))
def test_sizes_read_back(count: int) -> None:
    assert read_size(write_size(count)) == count
