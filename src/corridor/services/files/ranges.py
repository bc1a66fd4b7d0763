# SPDX-License-Identifier: Apache-2.0
"""Conditions and ranges of a request for a file (RFC 9110 13 and 14). Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_RANGE = re.compile(r"bytes=\s*([0-9]{0,18})-([0-9]{0,18})\s*\Z", re.IGNORECASE)
_TAG = re.compile(r'(W/)?"[\x21\x23-\x7e\x80-\xff]*"')
CONDITIONS = ("if-match", "if-none-match", "if-range")


@dataclass(frozen=True, slots=True)
class Part:
    """What to answer: 200, 206, 304, 412 or 416, and bytes start to stop (exclusive)."""

    status: int
    start: int
    stop: int


def part(headers: Mapping[str, str], *, etag: str, size: int) -> Part:
    """Judge conditions, then the range. Names in `headers` are lower case.

    A range that cannot be read, of other units, or of several parts is ignored (RFC 9110 14.2):
    the answer is the whole, as if it were not there.
    """
    if "if-match" in headers and not _holds(headers["if-match"], etag, weak=False):
        return Part(412, 0, 0)
    if "if-none-match" in headers and _holds(headers["if-none-match"], etag, weak=True):
        return Part(304, 0, 0)
    whole = Part(200, 0, size)
    match = _RANGE.match(headers.get("range", ""))
    if match is None or match[1] == match[2] == "":
        return whole
    # A date as If-Range is too coarse to be trusted with a half-changed file: the whole again.
    if "if-range" in headers and (etag.startswith("W/") or headers["if-range"].strip() != etag):
        return whole
    if match[1] == "":
        start, stop = max(0, size - int(match[2])), size
    else:
        start = int(match[1])
        stop = min(size, int(match[2]) + 1) if match[2] else size
        if match[2] and int(match[2]) < start:
            return whole
    return Part(206, start, stop) if start < stop else Part(416, 0, 0)


def _holds(given: str, etag: str, *, weak: bool) -> bool:
    if given.strip() == "*":
        return True
    tags = [it.group() for it in _TAG.finditer(given)]
    if weak:
        return etag.removeprefix("W/") in [tag.removeprefix("W/") for tag in tags]
    return not etag.startswith("W/") and etag in tags
