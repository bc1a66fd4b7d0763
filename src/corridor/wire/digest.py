# SPDX-License-Identifier: Apache-2.0
"""The digest of a body as its header field says it (RFC 9530)."""

from __future__ import annotations

import base64
import hashlib


def content_digest(body: bytes) -> str:
    """Return the value of `Content-Digest` for these bytes: `sha-256=:<base64>:`."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"
