# SPDX-License-Identifier: Apache-2.0
"""What things look like, alike for `Home` and `AsyncHome`: facts, and tables for notebooks.

A repr never sends a request; all text is escaped.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corridor.client.flows import short
from corridor.errors import Invalid
from corridor.wire.home import (
    DealView,
    FoundAsset,
    FoundOffer,
    OfferView,
    PartnerView,
    Usage,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Terms of an offer or deal, or terms (YAML) to ask for: `Terms.of("narrower.yaml")`."""

    text: str = ""
    sentences: tuple[str, ...] = ()
    odrl: Mapping[str, Any] | None = None
    hash: str = ""

    @classmethod
    def of(cls, source: Path | str) -> Terms:
        """Terms out of a file."""
        try:
            return cls(text=Path(source).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise Invalid(
                f"{source} cannot be read",
                code="usage",
                cause=getattr(error, "strerror", None) or str(error),
            ) from error

    def plain(self, language: str = "en") -> list[str]:
        """What they say, in sentences."""
        if language != "en":
            raise Invalid(f"terms in words are in English only, not in {language}")
        return list(self.sentences)

    def __repr__(self) -> str:
        return f"<Terms {self.hash[:12] or 'to ask for'}>"

    def _repr_html_(self) -> str:
        items = "".join(f'<li dir="auto">{html.escape(it)}</li>' for it in self.sentences)
        return f"<ul>{items}</ul>" if items else f"<pre>{html.escape(self.text)}</pre>"


def text_of(texts: Mapping[str, str], language: str = "en") -> str:
    """The text in this language, else in English, else the first one."""
    for name in (language, "en", "und"):
        if name in texts:
            return texts[name]
    return next(iter(texts.values()), "")


def table_of(rows: Mapping[str, object]) -> str:
    """Two columns of escaped text."""
    cells = "".join(
        f'<tr><th>{html.escape(name)}</th><td dir="auto">{html.escape(str(it))}</td></tr>'
        for name, it in rows.items()
        if it not in ("", None)
    )
    return f"<table>{cells}</table>"


class PartnerFace:
    """A partner: somebody we may ask."""

    def __init__(self, view: PartnerView) -> None:
        self.view = view

    @property
    def did(self) -> str:
        """Its identity."""
        return self.view.did

    @property
    def handle(self) -> str:
        """Its short name on our node."""
        return self.view.handle

    @property
    def title(self) -> str:
        """Its name."""
        return self.view.title

    @property
    def down(self) -> bool:
        """Whether it did not answer lately."""
        return self.view.down

    def __repr__(self) -> str:
        return f"<Partner {self.handle} {self.did}>"

    def _repr_html_(self) -> str:
        return table_of({"partner": self.handle, "did": self.did, "title": self.title})


class AssetFace:
    """Something that a partner offers to us."""

    def __init__(self, view: FoundAsset, language: str = "en") -> None:
        self.view = view
        self._language = language

    @property
    def id(self) -> str:
        """Its id at the partner."""
        return self.view.id

    @property
    def title(self) -> str:
        """Its title, in the language of this connection if it has one."""
        return text_of(self.view.title, self._language)

    @property
    def description(self) -> str:
        """Its description."""
        return text_of(self.view.description, self._language)

    @property
    def partner(self) -> str:
        """Whose it is: the handle, or the DID."""
        return self.view.partner

    @property
    def service(self) -> str:
        """Which service serves it: files or tables."""
        return self.view.service

    @property
    def columns(self) -> list[str] | None:
        """Columns that may be asked for; None where there are none."""
        return self.view.columns

    @property
    def licence(self) -> str:
        """Under which licence."""
        return self.view.licence

    @property
    def synthetic(self) -> bool:
        """Whether it describes nobody real."""
        return self.view.synthetic

    @property
    def purposes(self) -> list[str]:
        """Purposes that some terms of it name."""
        return sorted({it for offer in self.view.offers for it in offer.purposes})

    @property
    def terms(self) -> tuple[Terms, ...]:
        """Its terms; each is one that may be asked for."""
        return tuple(terms_of(it) for it in self.view.offers)

    def __repr__(self) -> str:
        return f"<Asset {self.id} of {self.partner}>"

    def _repr_html_(self) -> str:
        terms = " ".join(it for offer in self.view.offers for it in offer.plain)
        return table_of({
            "asset": self.id, "title": self.title, "partner": self.partner,
            "service": self.service, "licence": self.licence,
            "synthetic": "yes" if self.synthetic else "", "terms": terms,
        })  # fmt: skip


def terms_of(offer: FoundOffer) -> Terms:
    """As they stand in an offer."""
    return Terms(sentences=tuple(offer.plain), odrl=offer.odrl, hash=offer.terms_sha)


class DealFace:
    """An agreement, or a negotiation on its way to one, as it was when last looked at."""

    def __init__(self, view: DealView) -> None:
        self.view = view

    @property
    def id(self) -> str:
        """The agreement's id, or the negotiation's."""
        return self.view.id

    @property
    def state(self) -> str:
        """The negotiation's state until it is agreed; then live, withdrawn, returned and so on."""
        return self.view.state

    @property
    def pending(self) -> bool:
        """Whether it is neither usable nor over yet."""
        return self.view.pending

    @property
    def waiting_for(self) -> str:
        """Whose turn it is, in words, and since when; empty where nobody's."""
        told = self.view
        return f"{told.waiting_for}, since {told.since}" if told.waiting_for else ""

    @property
    def asset(self) -> str:
        """What it is about."""
        return self.view.asset

    @property
    def partner(self) -> str:
        """With whom."""
        return self.view.partner

    @property
    def purpose(self) -> str:
        """What for."""
        return self.view.purpose

    @property
    def ends(self) -> str | None:
        """When it ends by itself, ISO 8601, UTC."""
        return self.view.ends

    @property
    def usage(self) -> list[Usage]:
        """How much of each quota is used."""
        return self.view.usage

    @property
    def terms(self) -> Terms:
        """What was agreed."""
        told = self.view
        return Terms(sentences=tuple(told.plain), odrl=told.terms, hash=told.terms_sha)

    def __repr__(self) -> str:
        return f"<Deal {short(self.id)} {self.asset} {self.state}>"

    def _repr_html_(self) -> str:
        told = self.view
        return table_of({
            "deal": self.id, "asset": self.asset, "partner": self.partner, "state": self.state,
            "purpose": self.purpose, "waiting for": self.waiting_for, "ends": self.ends or "",
            "next": told.what_next, "terms": " ".join(told.plain),
        })  # fmt: skip


class OfferFace:
    """An offer of ours."""

    def __init__(self, view: OfferView) -> None:
        self.view = view

    @property
    def id(self) -> str:
        """Its id."""
        return self.view.id

    @property
    def asset(self) -> str:
        """What it offers."""
        return self.view.asset

    @property
    def state(self) -> str:
        """draft, published or hidden."""
        return self.view.state

    @property
    def terms(self) -> Terms:
        """Under which terms."""
        told = self.view
        return Terms(
            text=told.terms, sentences=tuple(told.plain), odrl=told.odrl, hash=told.terms_sha
        )

    def __repr__(self) -> str:
        return f"<Offer {short(self.id)} {self.asset} {self.state}>"
