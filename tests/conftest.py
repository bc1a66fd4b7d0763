# SPDX-License-Identifier: Apache-2.0
"""For every test: no network but loopback, and Hypothesis without a clock."""

from __future__ import annotations

import ipaddress
import sys
from typing import Any

from hypothesis import settings

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1", "", None})


class OutsideCalled(AssertionError):
    """A test tried to reach something that is not on this machine."""


def _stay_inside(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook: it sees every connection and look-up, whatever library makes it."""
    if event in {"socket.connect", "socket.sendto"}:
        address = arguments[1]
        if isinstance(address, tuple) and not _is_loopback(address[0]):
            raise OutsideCalled(f"{event} {address[0]}")
    elif event == "socket.getaddrinfo":
        host = arguments[0].decode() if isinstance(arguments[0], bytes) else arguments[0]
        if host not in LOOPBACK_NAMES and not _is_address(host):
            raise OutsideCalled(f"{event} {host}")


def _is_address(host: str) -> bool:
    """Looking up a written address asks nobody."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    if host in LOOPBACK_NAMES:
        return True
    return _is_address(host) and ipaddress.ip_address(host.partition("%")[0]).is_loopback


sys.addaudithook(_stay_inside)

# Bounds on time belong to stages and bench: an example that was slow once proves nothing.
settings.register_profile("corridor", deadline=None, print_blob=True)
settings.load_profile("corridor")
