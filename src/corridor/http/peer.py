# SPDX-License-Identifier: Apache-2.0
"""The face for peers: protocol, data planes, DID documents, key statements."""

from __future__ import annotations

from corridor.engine import Engine
from corridor.http.dsp import Dsp
from corridor.http.face import Face
from corridor.http.planes import Planes
from corridor.http.routes import Route
from corridor.wire.catalog import CatalogError
from corridor.wire.codec import encode
from corridor.wire.negotiation import ContractNegotiationError
from corridor.wire.transfer import TransferError


def routes(engine: Engine) -> list[Route]:
    """Every route that a peer can reach."""
    return [*Dsp(engine).routes(), *Planes(engine).routes()]


def peer_face(engine: Engine) -> Face:
    """The ASGI app of the listener for peers; an unknown path is an error of the protocol too."""
    words = {"/dsp/2025-1/negotiations/": _of_negotiation, "/dsp/2025-1/transfers/": _of_transfer}
    return Face(routes(engine), _words, words_below=words)


def _words(code: str, what: str) -> bytes:
    return encode(CatalogError(code=code, reason=(what,)))


def _of_negotiation(code: str, what: str) -> bytes:
    """Nothing was read, so the pids that the schema wants are empty."""
    none = {"consumer_pid": "", "provider_pid": ""}
    return encode(ContractNegotiationError(**none, code=code, reason=(what,)))


def _of_transfer(code: str, what: str) -> bytes:
    return encode(TransferError(consumer_pid="", provider_pid="", code=code, reason=(what,)))
