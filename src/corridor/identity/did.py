# SPDX-License-Identifier: Apache-2.0
"""DIDs of the method `web`: their address, and the documents found there (dcp.md 1.2, 1.3).

Writing follows the narrow form that every known reader takes; reading is tolerant: relative ids,
`null` members, and a relationship is enforced only where the document lists one.
DIDs are compared as exact strings; we always write `%3A`.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from corridor.errors import MalformedMessage
from corridor.limits import Limits
from corridor.wire.codec import parse

PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey

_CONTEXTS: Final = ("https://www.w3.org/ns/did/v1", "https://w3id.org/dspace-dcp/v1.0/dcp.jsonld")
_RELATIONSHIPS: Final = ("authentication", "assertionMethod", "capabilityInvocation")
_LABEL: Final = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")
_NUMBER: Final = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_SEGMENT: Final = re.compile(r"[A-Za-z0-9._~-]+")
_PORT: Final = re.compile(r"[1-9][0-9]{0,4}")
_HOST_CHARS_MAX: Final = 253


def to_url(did: str, *, http_hosts: frozenset[str]) -> str:
    """Where the document of `did` lies; `http` only for the host:port pairs in `http_hosts`.

    Raises MalformedMessage for another method, an IP address (the method forbids it), and for a
    percent sign that would hide a slash, a question mark or a user name.
    """
    rest = did.removeprefix("did:web:")
    if rest == did or not rest or not did.isascii():
        raise MalformedMessage("not a DID of the method web")
    authority, *segments = rest.split(":")
    host = _host(unquote(authority))
    path = [unquote(segment) for segment in segments]
    for segment in path:
        if not _SEGMENT.fullmatch(segment) or segment in {".", ".."}:
            raise MalformedMessage("a DID with a path that is none")
    scheme = "http" if host in http_hosts else "https"
    return f"{scheme}://{host}/{'/'.join(path or ['.well-known'])}/did.json"


def _host(authority: str) -> str:
    """The authority in lower case, checked: labels, no IP address, a port of 1 to 65535."""
    name, colon, port = authority.partition(":")
    labels = name.split(".")
    if len(name) > _HOST_CHARS_MAX or not all(_LABEL.fullmatch(label) for label in labels):
        raise MalformedMessage("a DID without a host name")
    if _NUMBER.fullmatch(labels[-1]):
        raise MalformedMessage("a DID with an IP address")
    if colon and not (_PORT.fullmatch(port) and int(port) <= 65535):
        raise MalformedMessage("a DID with a port that is none")
    return authority.lower()


def from_url(public_url: str, slug: str) -> str:
    """The DID of participant `slug` under a public URL: `did:web:localhost%3A7001:stat`."""
    parts = urlsplit(public_url)
    segments = [segment for segment in (*parts.path.split("/"), slug) if segment]
    did = ":".join(["did:web", parts.netloc.lower().replace(":", "%3A"), *segments])
    to_url(did, http_hosts=frozenset())
    return did


@dataclass(frozen=True, slots=True)
class Method:
    """A verification method; `key` is None where we cannot verify with it."""

    id: str
    key: PublicKey | None


@dataclass(frozen=True, slots=True)
class Entry:
    """A service entry."""

    id: str
    type: str
    endpoint: str


@dataclass(frozen=True, slots=True)
class Document:
    """A DID document as far as we use it. Ids of methods are absolute."""

    id: str
    methods: tuple[Method, ...]
    relationships: Mapping[str, frozenset[str]]
    services: tuple[Entry, ...]
    raw: bytes = b""

    @classmethod
    def parse(cls, data: bytes, *, limits: Limits) -> Document:
        """Read a document; MalformedMessage and nothing else comes out."""
        if len(data) > limits.did_document_bytes_max:
            raise MalformedMessage("a DID document that is too large")
        value = parse(data, limits=limits)
        if not isinstance(value, dict) or not isinstance(did := value.get("id"), str):
            raise MalformedMessage("a DID document without an id")
        methods = _objects(value, "verificationMethod", limits.did_keys_max)
        services = _objects(value, "service", limits.did_services_max)
        return cls(
            id=did,
            methods=tuple(_unique(_method(did, one) for one in methods)),
            relationships={name: _related(did, value.get(name)) for name in _RELATIONSHIPS},
            services=tuple(entry for one in services if (entry := _entry(one)) is not None),
            raw=bytes(data),
        )

    def method(self, kid: str | None) -> Method | None:
        """The method `kid` (absolute, `#k` or `k`); for None the only one there is."""
        if kid is None:
            return self.methods[0] if len(self.methods) == 1 else None
        absolute = _absolute(self.id, kid)
        return next((method for method in self.methods if method.id == absolute), None)

    def may(self, method: Method, relationship: str) -> bool:
        """Whether the method stands in that relationship; yes where the document lists none."""
        listed = self.relationships.get(relationship, frozenset())
        return not listed or method.id in listed

    def endpoint(self, kind: str) -> str | None:
        """The endpoint of the first service entry of that type."""
        return next((entry.endpoint for entry in self.services if entry.type == kind), None)


def _absolute(did: str, name: str) -> str:
    """Absolute (`did#k`), relative (`#k`) and bare (`k`) ids are one."""
    if name.startswith("#"):
        return did + name
    return name if "#" in name else f"{did}#{name}"


def _objects(value: Mapping[str, Any], name: str, most: int) -> list[dict[str, Any]]:
    """The objects of an array member; absent and null are empty, a single object is one."""
    found = value.get(name) or []
    found = [found] if isinstance(found, dict) else found
    if not isinstance(found, list):
        raise MalformedMessage(f"a DID document whose {name} is no array")
    if len(found) > most:
        raise MalformedMessage(f"a DID document with more than {most} of {name}")
    return [one for one in found if isinstance(one, dict)]


def _related(did: str, value: object) -> frozenset[str]:
    """Ids in a relationship: strings, or embedded methods."""
    found = value if isinstance(value, list) else [value]
    names = (one.get("id") if isinstance(one, dict) else one for one in found)
    return frozenset(_absolute(did, name) for name in names if isinstance(name, str))


def _method(did: str, value: Mapping[str, Any]) -> Method | None:
    name, jwk = value.get("id"), value.get("publicKeyJwk")
    if not isinstance(name, str):
        return None
    return Method(_absolute(did, name), read_jwk(jwk) if isinstance(jwk, dict) else None)


def _unique(methods: Iterable[Method | None]) -> list[Method]:
    """Methods without those that have no id; two of one id would be a guess, so none stands."""
    found: dict[str, Method | None] = {}
    for method in methods:
        if method is not None:
            found[method.id] = None if method.id in found else method
    return [method for method in found.values() if method is not None]


def _entry(value: Mapping[str, Any]) -> Entry | None:
    name, kind, endpoint = (value.get(member) for member in ("id", "type", "serviceEndpoint"))
    if isinstance(kind, str) and isinstance(endpoint, str):
        return Entry(name if isinstance(name, str) else "", kind, endpoint)
    return None


def read_jwk(jwk: Mapping[str, Any]) -> PublicKey | None:
    """A public key of P-256 or Ed25519; None for another kind, or one that is broken."""
    try:
        match jwk.get("kty"), jwk.get("crv"):
            case "EC", "P-256":
                point = b"\x04" + _part(jwk, "x") + _part(jwk, "y")
                return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
            case "OKP", "Ed25519":
                return ed25519.Ed25519PublicKey.from_public_bytes(_part(jwk, "x"))
            case _:
                return None
    except (ValueError, NotBase64, UnsupportedAlgorithm):
        return None


def _part(jwk: Mapping[str, Any], name: str) -> bytes:
    text = jwk.get(name)
    if not isinstance(text, str) or len(text) > 64:
        raise ValueError(name)
    data = urlsafe_b64decode(text.encode("ascii") + b"==")
    if len(data) != 32:
        raise ValueError(name)
    return data


def write_jwk(public: bytes, *, kid: str) -> dict[str, str]:
    """The JWK of a raw public key: 65 bytes are a P-256 point, 32 an Ed25519 key."""
    if len(public) == 65 and public[0] == 4:
        x, y = _text(public[1:33]), _text(public[33:])
        return {"kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": kid}
    if len(public) == 32:
        return {"kty": "OKP", "crv": "Ed25519", "x": _text(public), "kid": kid}
    raise ValueError("neither a P-256 nor an Ed25519 key")


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def document(
    did: str,
    keys: Sequence[tuple[str, Mapping[str, str]]],
    services: Sequence[tuple[str, str, str]],
) -> dict[str, Any]:
    """A document to publish: `keys` are (kid, public JWK), `services` (name, type, endpoint).

    A kid may be absolute or the part behind `#`. Members are exactly those of dcp.md 1.3: known
    readers break on others, and on an endpoint that ends with a slash.
    """
    methods = [
        {
            "id": _absolute(did, kid),
            "type": "JsonWebKey2020",
            "controller": did,
            "publicKeyJwk": dict(jwk),
        }
        for kid, jwk in keys
    ]
    ids = [method["id"] for method in methods]
    return {
        "@context": list(_CONTEXTS),
        "id": did,
        "verificationMethod": methods,
        **{name: list(ids) for name in _RELATIONSHIPS},
        "service": [
            {"id": _absolute(did, name), "type": kind, "serviceEndpoint": endpoint.rstrip("/")}
            for name, kind, endpoint in services
        ],
    }
