# SPDX-License-Identifier: Apache-2.0
"""Whom a rate counts as one caller, what a token of a bucket buys, and what an error repeats."""

from __future__ import annotations

import msgspec
import pytest

from corridor.errors import MalformedMessage, PeerMustWait
from corridor.http import dsp
from corridor.http.rates import KEPT_MAX, Buckets
from corridor.http.routes import Call, Route, Table
from corridor.limits import Limits
from corridor.outside.clock import RealClock
from corridor.wire import transfer
from corridor.wire.codec import CONTEXT, encode


class Still(RealClock):
    """It stands where a test sets it."""

    at = 0.0

    def monotonic(self) -> float:
        return self.at


async def nobody(_: Call) -> None:
    """No answer."""


def call(address: str) -> Call:
    return Call({"client": (address, 1)}, nobody, nobody, {})  # type: ignore[arg-type]  # not called


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::"),
        ("2001:db8:1:3::1", "2001:db8:1:3::"),
        ("fe80::1%eth0", "fe80::"),
        ("::1", "::1"),
        ("::ffff:192.0.2.7", "::ffff:192.0.2.7"),
        ("/run/socket", "/run/socket"),
    ],
)
def test_a_network_of_ipv6_is_one_caller(address: str, source: str) -> None:
    assert call(address).source == source


def test_a_bucket_fills_again_and_may_be_in_debt() -> None:
    clock = Still()
    buckets = Buckets(clock, per_s=2.0, burst=3.0)
    for _ in range(3):
        buckets.take("a")
    with pytest.raises(PeerMustWait) as refused:
        buckets.take("a")
    assert refused.value.retry_after_s == 0.5
    clock.at = 10.0
    buckets.take("a")
    buckets.spend("a", 12.0)
    clock.at = 15.0
    with pytest.raises(PeerMustWait):
        buckets.take("a")
    clock.at = 15.5
    buckets.take("a")
    buckets.take("b")


def test_buckets_are_bounded() -> None:
    buckets = Buckets(Still(), per_s=1.0, burst=1.0)
    for at in range(KEPT_MAX + 10):
        buckets.spend(str(at), 1.0)
    assert len(buckets._held) == KEPT_MAX


@pytest.mark.parametrize(
    ("raw", "pids"),
    [
        (b'{"consumerPid":"a","providerPid":"b","x":[[[1]]]}', ("a", "b")),
        (b'{"consumerPid":"a"}', ("a", "pid")),
        (b'{"consumerPid":["a"],"providerPid":"b"}', ("pid", "pid")),
        (b'{"consumerPid":"' + b"a" * 9000 + b'"}', ("pid", "pid")),
        (b'{"x":' + b"[" * 100_000, ("pid", "pid")),
        (b'{"consumerPid":"\xff"}', ("pid", "pid")),
        (b"[]", ("pid", "pid")),
        (b"", ("pid", "pid")),
    ],
)
def test_pids_of_what_was_refused(raw: bytes, pids: tuple[str, str]) -> None:
    asked = Call({}, nobody, nobody, {"pid": "pid"})  # type: ignore[arg-type]  # not called
    assert dsp._pids(asked, raw) == pids


@pytest.mark.parametrize(("count", "fits"), [(1024, True), (1025, False)])
@pytest.mark.parametrize("name", ["@id", "providerPid", "consumerPid"])
def test_names_at_the_limit_and_one_above(name: str, count: int, *, fits: bool) -> None:
    told = {
        "@context": [CONTEXT], "@type": "TransferCompletionMessage",
        "@id": "x", "providerPid": "x", "consumerPid": "x", name: "é" * count,
    }  # fmt: skip
    raw = msgspec.json.encode(told)
    assert Limits().name_chars_max == 1024
    if fits:
        assert encode(transfer.decode(raw, limits=Limits()))
    else:
        with pytest.raises(MalformedMessage, match=name):
            transfer.decode(raw, limits=Limits())


@pytest.mark.parametrize(
    ("path", "found"),
    [("/a/b", True), ("/a/b/", True), ("a/b", True), ("/a/b//", False), ("//a/b", False)],
)
def test_one_slash_more_is_the_same_path_and_two_are_not(path: str, *, found: bool) -> None:
    from_table = Table([Route("GET", "/a/{name}", nobody, None)])  # type: ignore[arg-type]  # nobody calls
    assert (from_table.find("GET", path) is not None) == found
