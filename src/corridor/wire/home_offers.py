# SPDX-License-Identifier: Apache-2.0
"""What we offer, and what partners offer, as people and their programs see it (node.md g)."""

from __future__ import annotations

from typing import Any

from msgspec import field

from corridor.wire.home_node import Body, Check, Fault

# what we offer


class AssetView(Body, frozen=True, kw_only=True):
    """Something of ours. `detail` is what partners see of its shape."""

    id: str
    service: str
    title: str
    description: str
    detail: dict[str, Any]
    state: str
    offers: list[str]
    created: str
    changed: str


class Uploaded(Body, frozen=True, kw_only=True):
    """Content that lies in the node's data folder now: a source is `{"path": path}`."""

    asset: str
    name: str
    path: str
    bytes: int
    sha256: str


class LookAsk(Body, frozen=True, kw_only=True):
    """Look at data and propose terms. `source`: as the service takes it ({"path": …} and so on).

    `pattern`: open, official-statistics or research.
    """

    source: dict[str, Any]
    asset: str
    service: str = ""
    pattern: str = "open"
    title: str = ""


class Looked(Body, frozen=True, kw_only=True):
    """What was found, and terms (YAML) that a person reads and edits."""

    service: str
    columns: list[str] | None
    detail: dict[str, Any]
    terms: str


class TermsAsk(Body, frozen=True, kw_only=True):
    """Terms to check. `source` is needed where the asset is not here yet."""

    terms: str
    source: dict[str, Any] | None = None
    service: str = ""
    name: str = "terms.yaml"


class TermsChecked(Body, frozen=True, kw_only=True):
    """Terms as a machine reads them. `problems` empty: they can be published."""

    asset: str
    service: str
    title: dict[str, str]
    description: dict[str, str]
    odrl: dict[str, Any] | None
    plain: list[str]
    terms_sha: str
    permit_sha: str
    show_to: list[str] = field(default_factory=list)
    promises: list[str] = field(default_factory=list)
    warnings: list[Fault] = field(default_factory=list)
    problems: list[Fault] = field(default_factory=list)


class OfferAsk(Body, frozen=True, kw_only=True):
    """Publish terms over data; the asset is made, or its source replaced, where `source` is given.

    `publish` False keeps it a draft. `synthetic` and `licence` are shown in the catalogue.
    """

    terms: str
    source: dict[str, Any] | None = None
    service: str = ""
    publish: bool = True
    synthetic: bool = False
    licence: str = ""
    name: str = "terms.yaml"


class OfferView(Body, frozen=True, kw_only=True):
    """An offer of ours. States: draft, published, hidden."""

    id: str
    asset: str
    service: str
    state: str
    title: dict[str, str]
    description: dict[str, str]
    plain: list[str]
    terms_sha: str
    created: str
    changed: str
    terms: str = ""
    odrl: dict[str, Any] | None = None
    agreements: int = 0
    warnings: list[Fault] = field(default_factory=list)


# partners and what they offer


class PartnerAsk(Body, frozen=True, kw_only=True):
    """A partner to add, by DID or by an address below which its did.json lies."""

    did: str = ""
    url: str = ""
    handle: str = ""
    title: str = ""


class PartnerView(Body, frozen=True, kw_only=True):
    """A partner. `address` is the base of its protocol endpoints; `down`: it does not answer."""

    did: str
    handle: str
    title: str
    address: str
    version: str
    last_seen: str | None
    down: bool
    deals: int
    created: str


class PartnerTest(Body, frozen=True, kw_only=True):
    """The six checks: address, did, version, clock, catalogue, ourselves."""

    partner: PartnerView
    ok: bool
    checks: list[Check]


class FindAsk(Body, frozen=True, kw_only=True):
    """Ask partners' catalogues. `partner`: DID or handle; `text` is looked for in any language."""

    text: str = ""
    partner: str | None = None
    service: str | None = None
    action: str | None = None
    fresh: bool = False


class FoundOffer(Body, frozen=True, kw_only=True):
    """Terms of a partner. `cannot_be_honoured` names what this node does not know in them."""

    id: str
    plain: list[str]
    actions: list[str]
    purposes: list[str]
    terms_sha: str
    requestable: bool
    cannot_be_honoured: list[str] = field(default_factory=list)
    odrl: dict[str, Any] | None = None


class FoundAsset(Body, frozen=True, kw_only=True):
    """Something that a partner offers to us. `columns`: None where it has none, or says none."""

    partner: str
    partner_did: str
    id: str
    title: dict[str, str]
    description: dict[str, str]
    service: str
    formats: list[str]
    offers: list[FoundOffer]
    synthetic: bool = False
    licence: str = ""
    columns: list[str] | None = None
    detail: dict[str, Any] = field(default_factory=dict)


class Silent(Body, frozen=True, kw_only=True):
    """A partner whose catalogue could not be read."""

    partner: str
    partner_did: str
    code: str
    why: str


class Found(Body, frozen=True, kw_only=True):
    """What partners offer, and which of them did not answer."""

    items: list[FoundAsset]
    silent: list[Silent] = field(default_factory=list)
    next: str | None = None
