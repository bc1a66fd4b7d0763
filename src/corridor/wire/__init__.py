# SPDX-License-Identifier: Apache-2.0
"""The words: every message of the Dataspace Protocol, read and written, without I/O.

- `codec`: `parse`, `normalise`, `encode`, `Message`, `CONTEXT`
- `negotiation`, `transfer`, `catalog`: the messages of each protocol, `decode…`
- `version`: the version document, and `decode_error` for whatever a peer answers
- `head`: what stands at the top of an offer or agreement
- `spelling`: the JSON-LD spellings of the protocol's words
- `digest`: `content_digest`
"""
