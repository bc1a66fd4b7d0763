# SPDX-License-Identifier: Apache-2.0
"""Offering data: the terms file, and where the data lies (local, in the node's reach, or a URL)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from corridor.client.exchange import Flow
from corridor.client.flows import Line, call
from corridor.errors import Invalid
from corridor.wire.home import (
    LookAsk,
    Looked,
    OfferAsk,
    OfferView,
    TermsAsk,
    TermsChecked,
    Uploaded,
)

TERMS_BYTES_MAX = 1 << 20
UPLOAD_BYTES_MAX = 1 << 30
_ASSET = re.compile(
    r"^asset:[ \t]*([A-Za-z0-9._~-]+|\"[^\"]+\"|'[^']+')[ \t]*(?:#.*)?$", re.MULTILINE
)
_SCHEMES = ("s3://", "az://", "gs://")


def read_terms(source: Path | str) -> tuple[str, str]:
    """(text, file name) of a terms file; text itself where it has several lines."""
    if isinstance(source, str) and "\n" in source:
        return source, "terms.yaml"
    try:
        with Path(source).open("rb") as file:
            text = file.read(TERMS_BYTES_MAX).decode()  # the node refuses longer ones, with reasons
        return text, Path(source).name
    except (OSError, ValueError) as error:
        raise Invalid(
            f"{source} cannot be read",
            code="usage",
            cause=getattr(error, "strerror", None) or str(error),
        ) from error


def source_of(line: Line, data: Path | str | None, asset: str) -> Flow[Mapping[str, Any] | None]:
    """Where the node finds the data: a local file is brought there."""
    if data is None:
        return None
    text = str(data)
    if text.startswith("node:"):
        return {"path": text.removeprefix("node:")}
    if text.startswith(_SCHEMES):
        return {"url": text}
    path = Path(data)
    try:
        size = path.stat().st_size
        if size > UPLOAD_BYTES_MAX:
            raise Invalid(
                f"{path} is too large to bring to the node",
                code="too-large",
                mend="put it where the node finds it, and name it node:/PATH",
            )
        content = path.read_bytes()
    except OSError as error:
        raise Invalid(
            f"{path} cannot be read", code="source-missing", cause=error.strerror or ""
        ) from error
    there: Uploaded = yield from call(
        line, "asset.upload", body=content, id=asset, name=path.name, wait_s=300.0
    )
    return {"path": there.path}


def asset_in(terms: str) -> str:
    """The asset that terms name, as far as an upload must know it before the node reads them."""
    found = _ASSET.search(terms)
    if found is None:
        raise Invalid("the terms name no asset", mend="asset: NAME")
    return found[1].strip("\"'")


def check(line: Line, terms: Path | str, data: Path | str | None) -> Flow[TermsChecked]:
    """All faults of terms, or what they mean. Nothing is stored but an upload."""
    text, name = read_terms(terms)
    source = None
    if data is not None:
        source = yield from source_of(line, data, asset_in(text))
    body = TermsAsk(terms=text, source=None if source is None else dict(source), name=name)
    told: TermsChecked = yield from call(line, "terms.check", body=body)
    return told


def add(
    line: Line,
    terms: Path | str,
    data: Path | str | None,
    *,
    publish: bool,
    service: str,
    licence: str,
    synthetic: bool,
) -> Flow[OfferView]:
    """Offer data under terms."""
    text, name = read_terms(terms)
    source = None
    if data is not None:
        source = yield from source_of(line, data, asset_in(text))
    body = OfferAsk(
        terms=text,
        source=None if source is None else dict(source),
        publish=publish,
        service=service,
        licence=licence,
        synthetic=synthetic,
        name=name,
    )
    told: OfferView = yield from call(line, "offer.add", body=body, wait_s=120.0)
    return told


def look(
    line: Line, data: Path | str, *, asset: str, service: str, pattern: str, title: str
) -> Flow[Looked]:
    """Look at data and propose terms."""
    source = yield from source_of(line, data, asset)
    assert source is not None, "data was given"
    body = LookAsk(source=dict(source), asset=asset, service=service, pattern=pattern, title=title)
    told: Looked = yield from call(line, "asset.look", body=body, wait_s=120.0)
    return told
