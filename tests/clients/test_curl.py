# SPDX-License-Identifier: Apache-2.0
"""A client that knows nothing of us: curl against the management API."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pyarrow as pa
import pytest

from corridor.cli.demo_nodes import Pair
from corridor.client import Home

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="no curl here")


def curl(pair: Pair, path: str, *more: str) -> subprocess.CompletedProcess[bytes]:
    place = pair.institute.place()
    header = f"authorization: Bearer {place.token.reveal()}"
    line = ["curl", "-sS", "--max-time", "30", "-H", "@-", *more, f"{place.url}/api/v1{path}"]
    return subprocess.run(line, input=header.encode(), capture_output=True, check=True)


def test_the_node_and_the_catalogue(offered: Pair) -> None:
    assert json.loads(curl(offered, "/node").stdout)["ready"] is True
    found = json.loads(curl(offered, "/p/institute/catalogs", "--json", "{}").stdout)
    assert {it["id"] for it in found["items"]} == {"three", "big"}


def test_rows_and_a_range_of_a_file(
    offered: Pair, home: Home, tmp_path: Path, content: bytes
) -> None:
    deals = {}
    for asset in ("three", "big"):
        deals[asset] = home.partner("stat").asset(asset).request("official-statistics", wait_s=15)
    at = f"/p/institute/agreements/{deals['three'].id}"
    heads = tmp_path / "heads"
    body = '{"select": ["country"]}'
    told = curl(offered, f"{at}/query", "--json", body, "-D", str(heads)).stdout
    assert pa.ipc.open_stream(told).read_all().num_rows == 3
    assert "corridor-receipt:" in heads.read_text().lower()
    at = f"/p/institute/agreements/{deals['big'].id}/files/"
    part = curl(offered, at, "-H", "range: bytes=100-199", "-w", "%{http_code}").stdout
    assert part == content[100:200] + b"206"


def test_a_refusal_is_a_problem(offered: Pair) -> None:
    told = curl(offered, "/p/institute/agreements/none", "-w", "%{http_code}").stdout
    assert told.endswith(b"404")
    assert json.loads(told[:-3])["code"] == "not-found"
