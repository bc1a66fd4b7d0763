# SPDX-License-Identifier: Apache-2.0
"""Two real nodes as two processes on loopback, for tests of clients."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from corridor.cli.demo_nodes import Pair
from corridor.client.home import Home
from corridor.wire.home import PartnerAsk

TABLE = "country,year,persons\nBrazil,2000,1\nChina,2005,2\nKenya,2010,3\n"
TERMS = """\
title: Three countries
asset: {asset}
allow:
  - action: read
    purpose: official-statistics
    columns: {{country: dimension, year: filter, persons: measure}}
    quota: {{requests: {{day: 1000}}}}
"""
FILE_TERMS = """\
title: A file
asset: {asset}
allow:
  - action: use
    purpose: official-statistics
"""


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


@pytest.fixture
def free_ports() -> tuple[int, int]:
    return free_port(), free_port()


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    it = Pair(tmp_path_factory.mktemp("nodes"), (free_port(), free_port()), keep=True)
    try:
        it.start()
        yield it
    finally:
        it.stop()


@pytest.fixture(scope="session")
def content() -> bytes:
    return bytes(range(256)) * 12_000  # 3 MB: more than one block


@pytest.fixture(scope="session")
def offered(pair: Pair, content: bytes) -> Pair:
    """The consumer knows the provider, which offers the table `three` and the file `big`."""
    folder: Path = pair.folder
    (folder / "three.csv").write_text(TABLE)
    (folder / "big.bin").write_bytes(content)
    with pair.stat.home() as stat, pair.institute.home() as institute:
        stat.offers.add(
            TERMS.format(asset="three"), folder / "three.csv", service="tables", publish=True,
            licence="CC0",
        )  # fmt: skip
        stat.offers.add(
            FILE_TERMS.format(asset="big"), folder / "big.bin", service="files", publish=True
        )
        institute.call("partner.add", body=PartnerAsk(did=pair.stat.did, handle="stat"))
    return pair


@pytest.fixture
def home(offered: Pair) -> Iterator[Home]:
    with offered.institute.home() as it:
        yield it


@pytest.fixture
def stat(offered: Pair) -> Iterator[Home]:
    with offered.stat.home() as it:
        yield it
