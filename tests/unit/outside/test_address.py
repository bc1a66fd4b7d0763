# SPDX-License-Identifier: Apache-2.0
"""Which addresses may be called: every spelling of a private one is refused."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corridor.errors import FetchFailed
from corridor.outside.address import Rules, target_of

PUBLIC = Rules()
LOOPBACK = Rules(
    http_hosts=frozenset({"localhost:7001", "127.0.0.1:7001", "[::1]:7001"}),
    allow_networks=(ip_network("127.0.0.0/8"), ip_network("::1/128")),
)


def refused(rules: Rules, url: str) -> None:
    with pytest.raises(FetchFailed) as caught:
        rules.target(url)
    assert caught.value.code == "refused-address"


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "017700000001",
        "127.0.0.0x1",
        "127.0.0.1.",
        "localhost.",
        "127.0.0.01",
        "0.0.0.0",
        "10.1.2.3",
        "169.254.169.254",
        "100.64.0.1",
        "192.0.0.1",
        "192.88.99.1",
        "224.0.0.1",
        "255.255.255.255",
        "1.2.3.256",
        "①②⑦.0.0.1",
        "１２７.0.0.1",
        "127。0。0。1",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b::127.0.0.1]",
        "[64:ff9b::8.8.8.8]",
        "[64:ff9b:1::1]",
        "[2002:7f00:1::]",
        "[2002:808:808::]",
        "[2001:0:4136:e378:8000:63bf:80ff:fffe]",
        "[fe80::1]",
        "[fe80::1%25eth0]",
        "[fec0::1]",
        "[fc00::1]",
        "[fd00:ec2::254]",
        "[ff02::1]",
        "[2001:db8::1]",
        "[4000::1]",
        "user@example.com",
        "example.com:443@127.0.0.1",
        "127.0.0.1#example.com",
        "127.0.0.1\\@example.com",
        "exa mple.com",
        "example.com\t",
        "example..com",
        ".example.com",
        "",
    ],
)
def test_a_private_address_in_any_spelling_is_refused(host: str) -> None:
    refused(PUBLIC, f"https://{host}/did.json")


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "https:example.com",
        "//example.com/",
        "https://example.com:22/",
        "https://example.com:0/",
        "https://example.com:65536/",
        "https://example.com:99999/",
        "https://example.com/a\nb",
        "https://example.com/a b",
        "https://example.com/#x",
        "https://example.com/é",
        "https://" + "a." * 130 + "com/",
        "https://example.com/" + "a" * 9000,
    ],
)
def test_another_scheme_port_or_form_is_refused(url: str) -> None:
    refused(PUBLIC, url)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "https://example.com:443/a?b=c%20d",
        "https://example.com:8443/",
        "https://8.8.8.8/",
        "https://[2600::1]:9000/",
        "https://[::ffff:8.8.8.8]/",
        "HTTPS://EXAMPLE.com/",
    ],
)
def test_the_public_internet_is_allowed(url: str) -> None:
    PUBLIC.target(url)


def test_development_allows_loopback_and_nothing_else() -> None:
    LOOPBACK.target("http://localhost:7001/stat/did.json")
    LOOPBACK.target("http://127.0.0.1:7001/")
    LOOPBACK.target("http://[0:0:0:0:0:0:0:1]:7001/")
    refused(LOOPBACK, "http://localhost:7002/")
    refused(LOOPBACK, "https://10.0.0.1/")
    refused(LOOPBACK, "https://[64:ff9b::7f00:1]/")


def test_names_are_judged_by_where_they_lead() -> None:
    for text in ("127.0.0.1", "::1", "10.0.0.1", "169.254.169.254"):
        with pytest.raises(FetchFailed):
            PUBLIC.address("evil.example:443", ip_address(text), 443)
    PUBLIC.address("good.example:443", ip_address("8.8.8.8"), 443)


def test_metadata_must_be_listed_alone() -> None:
    metadata = ip_address("169.254.169.254")
    wide = Rules(allow_networks=(ip_network("169.254.0.0/16"),))
    named = Rules(allow_hosts=frozenset({"meta.example:443"}))
    alone = Rules(allow_networks=(ip_network("169.254.169.254/32"),))
    for rules in (wide, named):
        with pytest.raises(FetchFailed):
            rules.address("meta.example:443", metadata, 443)
    with pytest.raises(FetchFailed):
        wide.address("x:443", ip_address("::ffff:169.254.169.254"), 443)
    alone.address("x:443", metadata, 443)
    wide.address("x:443", ip_address("169.254.1.1"), 443)
    literal = Rules(allow_hosts=frozenset({"169.254.169.254:443"}))
    literal.address("169.254.169.254:443", metadata, 443)


def test_an_allowed_network_that_hides_another_address_needs_both() -> None:
    nat64 = Rules(allow_networks=(ip_network("64:ff9b::/96"),))
    nat64.address("x:443", ip_address("64:ff9b::808:808"), 443)
    with pytest.raises(FetchFailed):
        nat64.address("x:443", ip_address("64:ff9b::7f00:1"), 443)


def test_our_listeners_are_refused_but_for_our_public_urls() -> None:
    rules = Rules(
        http_hosts=frozenset({"localhost:7001", "evil.example:7001"}),
        allow_networks=(ip_network("127.0.0.0/8"),),
        own_hosts=frozenset({"localhost:7001"}),
        refused_hosts=frozenset({"127.0.0.1:7001", "127.0.0.1:7002"}),
    )
    here = ip_address("127.0.0.1")
    rules.address("localhost:7001", here, 7001)
    with pytest.raises(FetchFailed):
        rules.address("evil.example:7001", here, 7001)
    with pytest.raises(FetchFailed):
        rules.address("evil.example:7001", ip_address("::ffff:127.0.0.1"), 7001)
    rules.address("other.example:7003", here, 7003)
    refused(rules, "https://127.0.0.1:7002/")
    anywhere = Rules(
        allow_networks=(ip_network("127.0.0.0/8"),), refused_hosts=frozenset({"0.0.0.0:7001"})
    )
    with pytest.raises(FetchFailed):
        anywhere.address("evil.example:7001", ip_address("127.9.9.9"), 7001)


def test_an_allowed_host_may_be_private_at_its_port_alone() -> None:
    rules = Rules(allow_hosts=frozenset({"store.example:443"}))
    rules.address("store.example:443", ip_address("10.0.0.5"), 443)
    with pytest.raises(FetchFailed):
        rules.address("store.example:8443", ip_address("10.0.0.5"), 8443)


@given(st.text(max_size=60) | st.from_regex(r"https?://[^/]{1,40}(/.*)?", fullmatch=True))
def test_any_text_is_taken_apart_or_refused(url: str) -> None:
    try:
        target = target_of(url)
    except FetchFailed:
        return
    assert target.host.isascii()
    assert target_of(f"{target.scheme}://{target.place}{target.path}") == target


@given(st.integers(0, (1 << 128) - 1))
def test_an_ipv6_address_outside_global_unicast_is_refused(number: int) -> None:
    address = IPv6Address(number)
    if number >> 125 != 1 and number >> 32 != 0xFFFF:
        with pytest.raises(FetchFailed):
            PUBLIC.address("x:443", address, 443)
