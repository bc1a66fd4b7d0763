# SPDX-License-Identifier: Apache-2.0
"""`corridor audit`: the ledger, and receipts that were saved."""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path

import typer

from corridor.cli.away import home_of
from corridor.cli.partner import SIGNS
from corridor.cli.talk import Talk, moment, short, talk_of
from corridor.client.receipts import load_receipt
from corridor.errors import EvidenceBroken, Invalid
from corridor.wire.home import EntryView, LedgerCheck, VerifiedView

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="The ledger: read it, verify it, verify receipts.",
)


@app.command()
def log(
    context: typer.Context,
    *,
    since: str = typer.Option("", help="Behind this time, ISO 8601."),
    partner: str = typer.Option("", help="Only with this partner."),
    deal: str = typer.Option("", help="Only of this agreement."),
    kind: str = typer.Option("", help="Only of this type: receipt, decision …"),
    limit: int = typer.Option(100, min=1, help="At most so many, the newest."),
) -> None:
    """Entries of our ledger, oldest first.

    corridor audit log --deal population

    corridor audit log --kind receipt --since 2026-11-01T00:00:00Z --json
    """
    talk = talk_of(context)
    if since and not re.match(r"\d{4}-\d\d-\d\d", since):
        raise Invalid(f"{since} is no time", code="usage", mend="--since 2026-11-01T00:00:00Z")
    query = {"since": since, "partner": partner, "deal": deal, "kind": kind, "order": "newest"}
    with home_of(context) as home:
        pages = home.pages("entries", query={name: it for name, it in query.items() if it})
        # One deal's thread comes oldest first whatever is asked, the whole ledger newest first.
        found: list[EntryView] = sorted(islice(pages, limit), key=_place)
    rows = [
        ("" if it.index is None else str(it.index), it.at[:23], it.type, short(it.thread), it.words)
        for it in found
    ]
    names = ("INDEX", "AT (UTC)", "TYPE", "THREAD", "WHAT")
    talk.table({"items": found}, names, rows, empty="no such entries")


def _place(it: EntryView) -> tuple[bool, int, str]:
    """Oldest first; what has no place yet is the newest."""
    return it.index is None, it.index or 0, it.at


@app.command()
def verify(
    context: typer.Context,
    *,
    files: list[Path] = typer.Argument(None, metavar="[RECEIPT …]", help="Saved receipts."),
    trust: Path = typer.Option(None, help="The provider's DID document, from elsewhere."),
) -> None:
    """Verify our own ledger; or, offline, receipts that were saved. Exit 9 where one does not.

    corridor audit verify

    corridor audit verify answer.receipt.json --trust stat-did.json
    """
    talk = talk_of(context)
    if files:
        _verify_files(talk, files, trust)
        return
    with home_of(context) as home:
        told: LedgerCheck = home.call("ledger.verify")
    rows = [(SIGNS.get(it.state, "?"), it.name, it.value, it.mend) for it in told.steps]
    talk.table(told, ("", "STEP", "VALUE", "MEND"), rows)
    talk.say(f"{told.size:,} entries, signed up to {told.checkpoint_size:,} of {told.origin}")
    if not told.ok:
        bad = next((at for at, it in enumerate(told.steps, 1) if it.state == "failed"), 0)
        raise EvidenceBroken("our own ledger does not verify", step=bad, mend="see the table")


@app.command()
def receipts(
    context: typer.Context,
    *,
    deal: str = typer.Argument(..., metavar="DEAL", help="Agreement or asset."),
    save: Path = typer.Option(None, help="A folder: write each receipt there."),
) -> None:
    """The receipts of an agreement, each verified here.

    corridor audit receipts population

    corridor audit receipts population --save receipts/
    """
    talk = talk_of(context)
    rows: list[tuple[object, ...]] = []
    broken = 0
    with home_of(context) as home:
        found = home.deal(deal)
        document = []
        for it in found.receipts:
            try:
                verified = it.verify()
                state, why = "✓", f"entry {verified.index} of {verified.size}"
            except EvidenceBroken as error:
                broken += 1
                state, why = "✗", f"step {error.step}: {error.what}"
            rows.append((state, short(it.id), it.act, moment(it.at), why))
            document.append({"id": it.id, "act": it.act, "at": it.at, "ok": state == "✓",
                             "why": why, "receipt": it.view})  # fmt: skip
            if save is not None:
                save.mkdir(parents=True, exist_ok=True)
                it.save(save / f"{it.id}.receipt.json")
    names = ("", "RECEIPT", "ACT", "AT", "WHAT")
    talk.table({"items": document}, names, rows, empty="not used yet: no receipts")
    if broken:
        raise EvidenceBroken(f"{broken} of {len(rows)} receipts do not verify")


@app.command()
def receipt(
    context: typer.Context,
    *,
    deal: str = typer.Argument(..., metavar="DEAL", help="Agreement or asset."),
    id_: str = typer.Argument(..., metavar="RECEIPT", help="Its id."),
) -> None:
    """One receipt, verified by our node step by step.

    corridor audit receipt population 0193c1f0-8a41-7000-8000-000000000000

    corridor audit receipt population 0193c1f0-8a41-7000-8000-000000000000 --json
    """
    talk = talk_of(context)
    with home_of(context) as home:
        it: VerifiedView = home.call("receipt.verify", id=home.deal(deal).id, receipt=id_)
    rows = [(SIGNS.get(step.state, "?"), step.name, step.value, step.mend) for step in it.steps]
    talk.table(it, ("", "STEP", "VALUE", "MEND"), rows)
    if not it.ok:
        bad = next((at for at, step in enumerate(it.steps, 1) if step.state == "failed"), 0)
        raise EvidenceBroken("the receipt does not verify", step=bad)


def _verify_files(talk: Talk, files: list[Path], trust: Path | None) -> None:
    rows: list[tuple[object, ...]] = []
    document: list[dict[str, object]] = []
    broken: EvidenceBroken | None = None
    for path in files:
        it = load_receipt(path)
        try:
            verified = it.verify(keys=trust)
        except EvidenceBroken as error:
            rows.append(("✗", path, it.act, it.by, moment(it.at), "", error.what))
            document.append({"file": str(path), "id": it.id, "ok": False, "step": error.step,
                             "why": error.what})  # fmt: skip
            broken = broken or error
            continue
        compared = [
            slot
            for slot, done in (("request", verified.request), ("response", verified.response))
            if done
        ]
        rows.append(("✓", path, it.act, it.by, moment(it.at), verified.index,
                     ", ".join(compared) or "none"))  # fmt: skip
        document.append({"file": str(path), "id": it.id, "ok": True, "by": it.by,
                         "index": verified.index,
                         "size": verified.size, "compared": compared})  # fmt: skip
    if trust is None:
        talk.warn(
            "checked with the DID document that was saved beside the receipt; --trust FILE takes "
            "one that you got elsewhere"
        )
    names = ("", "FILE", "ACT", "BY", "AT", "ENTRY", "COMPARED")
    talk.table({"items": document}, names, rows)
    if broken is not None:
        count = sum(row[0] == "✗" for row in rows)
        raise EvidenceBroken(
            f"{count} of {len(rows)} receipts do not verify",
            step=broken.step,
            cause=broken.what,
            mend="corridor audit receipts DEAL --save FOLDER fetches them again",
        )
