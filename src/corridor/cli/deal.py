# SPDX-License-Identifier: Apache-2.0
"""`corridor deal`: agreements of both roles."""

from __future__ import annotations

import typer

from corridor.cli.away import home_of
from corridor.cli.talk import Talk, moment, short, talk_of
from corridor.client.home import Deal, Home
from corridor.errors import Invalid
from corridor.wire.home import Consequences, DealView

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="Agreements: list, show, withdraw, give back.",
)
ID = typer.Argument(..., help="Its id (8 characters do), or the asset.")
REASON = typer.Option("", help="Why: the partner reads it.")
DRY = typer.Option(False, "--dry-run", help="Only say what would follow.")


@app.command("list")
def list_deals(
    context: typer.Context,
    *,
    role: str = typer.Option("", help="provider, or consumer."),
    state: str = typer.Option("", help="live, withdrawn, returned, expired …"),
    partner: str = typer.Option("", help="Only with this partner."),
) -> None:
    """Agreements, and negotiations on their way to one.

    corridor deal list

    corridor deal list --state live --json
    """
    talk = talk_of(context)
    query = {"role": role, "state": state, "partner": partner}
    query = {name: it for name, it in query.items() if it}
    if not state:
        query["on_its_way"] = "true"
    with home_of(context) as home:
        found: list[DealView] = list(home.pages("deals", query=query))
    rows = [
        (short(it.id), it.role, it.partner, it.asset, it.state, it.purpose, moment(it.ends),
         it.what_next)
        for it in found
    ]  # fmt: skip
    names = ("ID", "ROLE", "PARTNER", "ASSET", "STATE", "PURPOSE", "ENDS", "NEXT")
    talk.table({"items": found}, names, rows, empty="no agreements yet: corridor find")


@app.command()
def show(
    context: typer.Context, id_: str = typer.Argument(..., metavar="ID", help=ID.help)
) -> None:
    """One agreement: what it allows, what is used, whose turn it is, what happened.

    corridor deal show 0193c1f0

    corridor deal show population --json
    """
    talk = talk_of(context)
    with home_of(context) as home:
        show_deal(talk, home.deal(id_).view, whole=True)


def show_deal(talk: Talk, it: DealView, *, whole: bool = False) -> None:
    """One deal for people."""
    rows: list[tuple[str, object]] = [
        ("agreement" if it.agreement else "negotiation", it.id),
        ("asset", f"{it.asset} of {it.partner if it.role == 'consumer' else 'ours'}"),
        (
            "partner",
            it.partner if it.partner == it.partner_did else f"{it.partner}  {it.partner_did}",
        ),
        ("role", it.role),
        ("state", it.state),
        ("next", it.what_next),
        ("waiting for", f"{it.waiting_for}, since {moment(it.since)}" if it.waiting_for else ""),
        ("purpose", it.purpose),
        ("signed", moment(it.signed_at)),
        ("ends", moment(it.ends)),
        ("reason", it.reason),
        ("terms", "\n".join(it.plain)),
    ]
    rows += [
        (
            f"used {used.quota}",
            f"{used.used} of {used.cap}"
            + (f", resets {moment(used.resets_at)}" if used.resets_at else ""),
        )
        for used in it.usage
    ]
    if whole:
        lines = [
            f"{moment(said.at)}  {said.who}: {said.what} {said.code} {said.reason}".rstrip()
            for said in it.timeline
        ]
        rows += [("columns", it.columns), ("timeline", "\n".join(lines))]
    talk.fields(it, rows)


@app.command()
def withdraw(
    context: typer.Context,
    *,
    id_: str = typer.Argument(..., metavar="ID", help=ID.help),
    reason: str = REASON,
    dry_run: bool = DRY,
) -> None:
    """End an agreement as its provider: nothing is answered any more.

    corridor deal withdraw 0193c1f0 --dry-run

    corridor deal withdraw 0193c1f0 --reason "legal basis ended" --yes
    """
    with home_of(context) as home:
        _end(talk_of(context), home.deal(id_), home, reason, back=False, dry_run=dry_run)


@app.command("give-back")
def give_back(
    context: typer.Context,
    *,
    id_: str = typer.Argument(..., metavar="ID", help=ID.help),
    reason: str = REASON,
    dry_run: bool = DRY,
) -> None:
    """End an agreement as its consumer: the rights are given back.

    corridor deal give-back 0193c1f0 --dry-run

    corridor deal give-back population --reason "study ended" --yes
    """
    with home_of(context) as home:
        _end(talk_of(context), home.deal(id_), home, reason, back=True, dry_run=dry_run)


def _end(talk: Talk, deal: Deal, home: Home, reason: str, *, back: bool, dry_run: bool) -> None:
    """Show what would follow; do it once it is confirmed."""
    del home
    act = deal.give_back if back else deal.withdraw
    if not dry_run and not reason:
        raise Invalid("an end needs its reason", code="usage", mend='--reason "…"')
    if dry_run or not talk.options.yes:
        would = act(reason, dry_run=True)
        if dry_run:
            _tell(talk, would)
            return
        for line in would.words:
            talk.say(line)
        talk.confirm("End it for good?")
    _tell(talk, act(reason))


def _tell(talk: Talk, it: Consequences) -> None:
    rows: list[tuple[str, object]] = [
        ("agreement", it.deal),
        ("done", it.done),
        ("takes effect", moment(it.takes_effect)),
        ("sessions closed", it.sessions),
        ("streams cut", it.streams),
        ("transfers ended", it.transfers),
        ("entry", it.entry),
        ("", "\n".join(it.words)),
    ]
    talk.fields(it, rows)
