# SPDX-License-Identifier: Apache-2.0
"""The version document of a connector, and the errors that connectors answer.

The document is plain JSON without `@context` (DSP #exposure-of-versions).
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from corridor.errors import MalformedMessage
from corridor.limits import Limits
from corridor.wire.codec import LIMITS, convert, normalise, parse, raw_json

VERSION = "2025-1"


class Auth(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How callers of this version prove who they are."""

    protocol: str
    version: str
    profile: tuple[str, ...] = ()


class Version(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One version of the protocol that is spoken, under `path` of the root."""

    version: str
    path: str
    binding: Literal["HTTPS"]  # the schema knows no other word, also where it is plain HTTP
    service_id: str | None = None
    identifier_type: str | None = None
    auth: Auth | None = None

    def __post_init__(self) -> None:
        """Hold that the path is one on the same server."""
        if not self.path.startswith("/"):
            raise ValueError("path begins with /")


class VersionDocument(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What stands at `/.well-known/dspace-version`."""

    protocol_versions: tuple[Version, ...]

    def __post_init__(self) -> None:
        """Hold the schema's `minItems`."""
        if not self.protocol_versions:
            raise ValueError("protocolVersions is empty")

    def speaks(self, version: str = VERSION) -> tuple[Version, ...]:
        """Return the entries of this version; several with different paths are legal."""
        return tuple(each for each in self.protocol_versions if each.version == version)


def encode(document: VersionDocument) -> bytes:
    """Write the document. Raises LocalProtocolError where a text is no Unicode."""
    return raw_json(document)


def decode(data: bytes, *, limits: Limits = LIMITS) -> VersionDocument:
    """Read a peer's version document. Raises MalformedMessage and nothing else."""
    value = parse(data, limits=limits)
    if _holds_null(value):
        raise MalformedMessage("a null in the version document")
    return convert(value, VersionDocument)


def _holds_null(value: Any) -> bool:
    """Say whether a null stands anywhere; `parse` has bounded the depth."""
    if type(value) is dict:
        return any(_holds_null(each) for each in value.values())
    if type(value) is list:
        return any(_holds_null(each) for each in value)
    return value is None


def decode_error(data: bytes, *, limits: Limits = LIMITS) -> tuple[str, tuple[str, ...]]:
    """Read code and reasons of whatever a peer answered with an error status; never raises.

    EDC leaves both pids out; proxies answer HTML. Then there is no code and no reason.
    """
    try:
        value: Any = parse(data, limits=limits)
        plain = normalise(value) if type(value) is dict else {}
    except MalformedMessage:
        return "", ()
    code = plain.get("code")
    reasons = plain.get("reason")
    return (
        code if type(code) is str else "",
        tuple(reasons) if type(reasons) is list else (),
    )
