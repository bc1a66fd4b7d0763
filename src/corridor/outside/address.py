# SPDX-License-Identifier: Apache-2.0
"""Which addresses may be called: rules 1, 2, 4 and 5 of node.md f, without I/O.

A URL is taken apart once, by one strict pattern; whatever that pattern does not know is refused,
so there is no second parser that could read it otherwise. An address is judged twice with the
same rules: where a name is resolved, and on the final socket address.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from corridor.errors import FetchFailed

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_URL: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/[!-~]*)?",
    re.IGNORECASE | re.ASCII,
)
_NOT_IN_PATH: Final = re.compile(r"[\\#\"<>^`{|}]")
_DOTTED: Final = re.compile(r"(?:0|[1-9][0-9]{0,2})(?:\.(?:0|[1-9][0-9]{0,2})){3}", re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
_HOST_CHARS_MAX: Final = 253
_URL_CHARS_MAX: Final = 8190
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_FREE_PORT_MIN: Final = 1024

_UNICAST_6: Final = ip_network("2000::/3")
# Global to Python, or to some of its versions, and yet nobody's server.
_REFUSED: Final = tuple(
    ip_network(text)
    for text in (
        "64:ff9b::/96",  # NAT64: an IPv4 address in disguise
        "2001::/32",  # Teredo: the same
        "2002::/16",  # 6to4: the same
        "2001:db8::/32",  # for documents
        "3fff::/20",  # for documents
        "fec0::/10",  # site-local of old
        "192.0.0.0/24",  # for protocols
        "192.88.99.0/24",  # 6to4 relays
        "224.0.0.0/4",  # multicast
    )
)
# Where clouds tell a machine its secrets.
_METADATA: Final = frozenset(
    ip_address(text)
    for text in (
        "169.254.169.254",
        "169.254.170.2",
        "100.100.100.200",
        "fd00:ec2::254",
    )
)
_ANY: Final = frozenset({"0.0.0.0", "[::]"})  # noqa: S104 - compared with, never listened on


def refused(why: str) -> FetchFailed:
    """The one error for an address that may not be called."""
    return FetchFailed("this address may not be called", code="refused-address", cause=why)


@dataclass(frozen=True, slots=True)
class Target:
    """A URL taken apart. `host` is lower case, an IPv6 address in brackets; `path` with query."""

    scheme: str
    host: str
    port: int
    path: str
    literal: Address | None

    @property
    def place(self) -> str:
        """`host:port`, as the lists of the configuration name it."""
        return f"{self.host}:{self.port}"


@lru_cache(maxsize=4096)
def target_of(url: str) -> Target:
    """Take a URL apart; FetchFailed(refused-address) for user info, fragment, odd spellings."""
    found = _URL.fullmatch(url) if len(url) <= _URL_CHARS_MAX else None
    if found is None or _NOT_IN_PATH.search(path := found["path"] or "/"):
        raise refused("not a plain http or https URL")
    scheme, host = found["scheme"].lower(), found["host"].lower()
    port = int(found["port"]) if found["port"] else _DEFAULT_PORTS[scheme]
    if not 0 < port < 65536 or len(host) > _HOST_CHARS_MAX:
        raise refused("a port or host that is none")
    return _target(scheme, host, port, path)


def _target(scheme: str, host: str, port: int, path: str) -> Target:
    if host.startswith("["):
        try:
            literal: Address | None = IPv6Address(host[1:-1])
        except ValueError as error:
            raise refused("an IPv6 address that is none") from error
        return Target(scheme, f"[{literal}]", port, path, literal)
    labels = host.split(".")
    if not all(labels):  # a trailing dot too
        raise refused("a host name with an empty label")
    if _NUMBER.fullmatch(labels[-1]):
        # 2130706433, 127.1, 0177.0.0.1 and 0x7f.1 are all 127.0.0.1 to some resolver.
        try:
            literal = IPv4Address(host) if _DOTTED.fullmatch(host) else None
        except ValueError:
            literal = None
        if literal is None:
            raise refused("an IPv4 address in another form than four decimal numbers")
        return Target(scheme, host, port, path, literal)
    return Target(scheme, host, port, path, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What an operator allows beyond the public internet, and what is never called.

    All hosts are `host:port`. `http_hosts`: plain http is allowed (development). `allow_hosts`:
    may lie at private addresses. `own_hosts`: our public URLs, which may lead to our listeners.
    `refused_hosts`: our listeners (`0.0.0.0:7001`: that port of any private address).
    """

    http_hosts: frozenset[str] = frozenset()
    allow_networks: tuple[Network, ...] = ()
    allow_hosts: frozenset[str] = frozenset()
    own_hosts: frozenset[str] = frozenset()
    refused_hosts: frozenset[str] = frozenset()
    _listed: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Join the lists that name a port."""
        listed = self.http_hosts | self.allow_hosts | self.own_hosts
        object.__setattr__(self, "_listed", listed)

    def target(self, url: str) -> Target:
        """Rule 1: the URL taken apart, where scheme, host and port may be called."""
        target = target_of(url)
        place = target.place
        if target.scheme == "http" and place not in self.http_hosts:
            raise refused(f"plain http is not allowed for {place}")
        if target.port != 443 and target.port < _FREE_PORT_MIN and place not in self._listed:
            raise refused(f"port {target.port} is not allowed")
        if place in self.refused_hosts and place not in self.own_hosts:
            raise refused("this is a listener of our own")
        if target.literal is not None:
            self.address(place, target.literal, target.port)
        return target

    def address(self, place: str, address: Address, port: int) -> None:
        """Rules 4 and 5: whether `address` may be called, for the URL's `place`; else refused."""
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        own = place in self.own_hosts
        if not own and self._is_listener(address, port):
            raise refused("this is a listener of our own")
        if _is_metadata(address):
            self._metadata(place, address, port)
            return
        if own or place in self.allow_hosts or self._is_allowed(address):
            return
        if not _is_public(address):
            raise refused(f"{address} is not a public address")

    def _is_allowed(self, address: Address) -> bool:
        """In a listed network; of an address with another inside, both must be good."""
        if not any(address in network for network in self.allow_networks):
            return False
        inner = _inside(address)
        return inner is None or _is_public(inner) or self._is_allowed(inner)

    def _metadata(self, place: str, address: Address, port: int) -> None:
        """Metadata addresses must be listed alone: not by a network around them, nor by a name."""
        alone = any(
            address in network and network.num_addresses == 1 for network in self.allow_networks
        )
        host = f"[{address}]" if address.version == 6 else str(address)
        if not alone and not (place in self.allow_hosts and place == f"{host}:{port}"):
            raise refused("an address of machine metadata")

    def _is_listener(self, address: Address, port: int) -> bool:
        host = f"[{address}]" if address.version == 6 else str(address)
        if f"{host}:{port}" in self.refused_hosts:
            return True
        anywhere = any(f"{wild}:{port}" in self.refused_hosts for wild in _ANY)
        return anywhere and not _is_public(address)


def _is_metadata(address: Address) -> bool:
    inner = _inside(address)
    return address in _METADATA or (inner is not None and inner in _METADATA)


def _inside(address: Address) -> IPv4Address | None:
    """The IPv4 address that a 6to4, NAT64 or Teredo address leads to."""
    if isinstance(address, IPv4Address):
        return None
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in _REFUSED[0]:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return None


def _is_public(address: Address) -> bool:
    if not address.is_global or address.is_multicast:
        return False
    if isinstance(address, IPv6Address) and address not in _UNICAST_6:
        return False
    return not any(address in network for network in _REFUSED)
