# SPDX-License-Identifier: Apache-2.0
"""`corridor help`: the shipped manual, offline."""

from __future__ import annotations

import difflib

import typer

from corridor.cli.manual import code_text, topics
from corridor.cli.talk import talk_of
from corridor.errors import CODES, NotFound

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command("help")
def help_(
    context: typer.Context, topic: str = typer.Argument("", help="A topic, or an error code.")
) -> None:
    """The shipped manual: a topic or an error code.

    corridor help settings

    corridor help query-refused
    """
    talk = talk_of(context)
    known = topics()
    if not topic:
        words = [
            "Topics: " + ", ".join(known),
            "Error codes: " + ", ".join(sorted(CODES)),
            "Commands: corridor --help",
        ]
        talk.object({"topics": list(known), "codes": sorted(CODES)}, lambda: words)
    elif topic in known:
        talk.object({"topic": topic, "text": known[topic]}, lambda: [known[topic]])
    elif topic in CODES:
        it = CODES[topic]
        document = {"code": topic, "title": it.title, "mend": it.mend, "exit": int(it.exit),
                    "status": it.status}  # fmt: skip
        talk.object(document, lambda: [code_text(topic)])
    else:
        near = difflib.get_close_matches(topic, [*known, *CODES], n=1)
        raise NotFound(
            f"no page about {topic}", mend=f"corridor help {near[0]}" if near else "corridor help"
        )
