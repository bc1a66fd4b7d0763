# SPDX-License-Identifier: Apache-2.0
"""`corridor partner`: whom we know."""

from __future__ import annotations

import typer

from corridor.cli.away import home_of
from corridor.cli.talk import moment, talk_of
from corridor.errors import Exit
from corridor.wire.home import PartnerAsk, PartnerTest, PartnerView

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="Whom we know: list, add, show, test.",
)
ID = typer.Argument(..., metavar="PARTNER", help="Handle or DID.")
SIGNS = {"ok": "✓", "warning": "!", "failed": "✗", "skipped": "·"}


@app.command("list")
def list_partners(context: typer.Context) -> None:
    """Whom we know.

    corridor partner list

    corridor partner list --json
    """
    talk = talk_of(context)
    with home_of(context) as home:
        found = [it.view for it in home.partners()]
    rows = [
        (it.handle, it.title, it.did, it.deals, "no answer" if it.down else "answers",
         moment(it.last_seen))
        for it in found
    ]  # fmt: skip
    names = ("PARTNER", "TITLE", "DID", "DEALS", "STATE", "LAST SEEN")
    talk.table({"items": found}, names, rows, empty="nobody yet: corridor partner add DID")


@app.command()
def add(
    context: typer.Context,
    *,
    did_or_url: str = typer.Argument(..., metavar="DID|URL", help="Its DID, or its address."),
    handle: str = typer.Option("", help="A short name for it here."),
    title: str = typer.Option("", help="Its name; else what it says of itself."),
) -> None:
    """Get to know a partner by its DID, or by an address below which its did.json lies.

    corridor partner add did:web:corridor.stat.example:stat --handle stat

    corridor partner add https://corridor.stat.example/stat
    """
    did = did_or_url if did_or_url.startswith("did:") else ""
    body = PartnerAsk(did=did, url="" if did else did_or_url, handle=handle, title=title)
    with home_of(context) as home:
        _show(context, home.call("partner.add", body=body))


@app.command()
def show(context: typer.Context, partner: str = ID) -> None:
    """One partner.

    corridor partner show stat

    corridor partner show did:web:corridor.stat.example:stat --json
    """
    with home_of(context) as home:
        _show(context, home.partner(partner).view)


@app.command("test")
def check_connection(context: typer.Context, partner: str = ID) -> None:
    """Six checks of the connection: exit 0 where all hold, 7 where one fails.

    corridor partner test stat

    corridor partner test stat --json
    """
    talk = talk_of(context)
    with home_of(context) as home:
        told: PartnerTest = home.call("partner.test", id=partner)
    rows = [(SIGNS.get(it.state, "?"), it.name, it.value, it.mend) for it in told.checks]
    talk.table(told, ("", "CHECK", "VALUE", "MEND"), rows)
    if not told.ok:
        raise typer.Exit(int(Exit.UNREACHABLE))


@app.command()
def remove(context: typer.Context, partner: str = ID) -> None:
    """Forget a partner. Agreements with it stay.

    corridor partner remove stat

    corridor partner remove stat --yes
    """
    talk = talk_of(context)
    with home_of(context) as home:
        found = home.partner(partner)
        talk.confirm(f"Forget {found.handle} ({found.did})?")
        home.call("partner.remove", id=partner)
    talk.object({"removed": found.did}, lambda: [f"forgotten: {found.did}"])


def _show(context: typer.Context, it: PartnerView) -> None:
    rows: list[tuple[str, object]] = [
        ("partner", it.handle),
        ("did", it.did),
        ("title", it.title),
        ("address", it.address),
        ("protocol", it.version),
        ("state", "does not answer" if it.down else "answers"),
        ("last seen", moment(it.last_seen)),
        ("deals", it.deals),
    ]
    talk_of(context).fields(it, rows)
