# SPDX-License-Identifier: Apache-2.0
"""`corridor demo`: two real nodes on this computer, from nothing to proof (experience.md 2)."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer

from corridor.cli.demo_nodes import (
    PEOPLE,
    Pair,
    alive,
    living,
    new_folder,
    remove_profiles,
    write_profiles,
)
from corridor.cli.demo_story import SCRIPT, Story, play, slowest
from corridor.cli.ports import pair as find_ports
from corridor.cli.talk import Talk, duration, size, talk_of
from corridor.cli.version import current
from corridor.rooms.sandbox import lacking

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def demo(
    context: typer.Context,
    *,
    once: bool = typer.Option(False, "--once", help="Stop after the story, exit 0 or 1."),
    ports: str = typer.Option("", help="Two ports: 7001,7002."),
    keep: Path = typer.Option(None, help="Keep everything in this folder."),
    script: bool = typer.Option(False, "--script", help="Print the story as Python, and exit."),
) -> None:
    """Two nodes on this computer, from nothing to proof.

    On a terminal both stay up until Ctrl+C, which deletes all that they wrote; else, and with
    ONCE=1 or --once, they stop by themselves.

    corridor demo

    corridor demo --once --json
    """
    talk = talk_of(context)
    if script:
        talk.write(SCRIPT)
        return
    stays = talk.terminal and not once and talk.environ.get("ONCE", "") in ("", "0")
    found = living(talk.environ)
    if stays and found is not None:
        tell_living(talk, found)
        return
    chosen, taken = find_ports(ports)
    if taken:
        talk.say(taken)
    folder = new_folder(keep)
    nodes = Pair(folder, chosen, keep=keep is not None)
    head(talk)
    with stopping():
        try:
            if stays:
                with alive(nodes, talk.environ):
                    run(talk, nodes, stays=True)
            else:
                run(talk, nodes, stays=False)
        except KeyboardInterrupt:
            if not stays:
                raise
        finally:
            end(talk, nodes, stays=stays)


def run(talk: Talk, nodes: Pair, *, stays: bool) -> None:
    """Start, tell the story and, where somebody is there, wait for them."""
    begin = time.monotonic()
    nodes.start()
    if not talk.options.json:
        for it in nodes.nodes:
            about = PEOPLE[it.name][0]
            told = f"{it.name:11} {about:20} {it.url:24} ready in {duration(it.ready_s)}"
            talk.write(f"{talk.colour('✓', 'good')} {told}")
        talk.write("\nOne request, from nothing to proof")
    story = play(talk, nodes)
    took = time.monotonic() - begin
    if talk.options.json:
        talk.json(document(nodes, story, took))
    else:
        slow = slowest(story)
        talk.write(
            f"\nAll of it in {duration(took)}; slowest: {slow.name} ({duration(slow.seconds)})"
        )
    if stays:
        written = write_profiles(nodes, talk.environ)
        if not talk.options.json:
            for line in next_steps(nodes, written=written):
                talk.write(line)
        while True:
            signal.pause()


def head(talk: Talk) -> None:
    """The first lines."""
    if talk.options.json:
        return
    talk.write(
        f"Corridor {current()} · demonstration on this computer only: loopback, no certificate, "
        "nothing is sent out"
    )
    if missing := lacking():
        talk.write(
            f"Note: this kernel lacks {' and '.join(missing)}; tables are read without that wall, "
            "in the demonstration only"
        )
    talk.write("")


def end(talk: Talk, nodes: Pair, *, stays: bool) -> None:
    """Stop both, and leave nothing behind. A second Ctrl+C does not stop this."""
    with ignoring():
        begin = time.monotonic()
        if stays:
            remove_profiles(talk.environ)
        bytes_ = nodes.stop()
    if talk.options.json:
        return
    took = duration(time.monotonic() - begin)
    if nodes.keep:
        talk.write(f"Stopped in {took}; {size(bytes_)} kept in {nodes.folder}")
    else:
        talk.write(f"Stopped in {took}, {size(bytes_)} deleted.")


def next_steps(nodes: Pair, *, written: bool) -> Iterator[str]:
    """What to try in a second terminal."""
    consumer = "--profile demo" if written else f"--config {nodes.institute.config}"
    provider = "--profile demo-stat" if written else f"--config {nodes.stat.config}"
    yield "\nTry next, in a second terminal"
    yield f"  corridor {consumer} find"
    yield f"  corridor {consumer} deal list"
    yield f"  corridor {consumer} request population --purpose official-statistics --no-reuse"
    yield (
        f"  corridor {consumer} query population --select country,persons "
        "--where 'year = 2025' --limit 3"
    )
    yield f"  corridor {consumer} query population --select age_from   # is refused; read why"
    yield f"  corridor {consumer} request population-csv --purpose official-statistics"
    yield f"  corridor {consumer} fetch population-csv --to /tmp"
    yield f"  corridor {provider} deal list"
    yield f"  corridor {provider} audit verify"
    yield "\nCtrl+C stops the demonstration and deletes everything it wrote."


def document(nodes: Pair, story: Story, took: float) -> dict[str, Any]:
    """All of it as one document."""
    return {
        "ok": True,
        "seconds": round(took, 3),
        "slowest": slowest(story).name,
        "lacks": list(lacking()),
        "nodes": {
            it.name: {
                "url": it.url,
                "home": it.home_url,
                "did": it.did,
                "config": str(it.config),
                "ready_ms": round(it.ready_s * 1000),
            }
            for it in nodes.nodes
        },
        "steps": [it.document() for it in story.steps],
    }


def tell_living(talk: Talk, found: Mapping[str, Any]) -> None:
    """Another one runs: where it is."""
    nodes = found.get("nodes", {})
    rows: list[tuple[str, object]] = [
        ("runs already", f"process {found.get('process')}"),
        *((name, url) for name, url in nodes.items()),
        ("profiles", "demo, demo-stat"),
        ("folder", found.get("folder")),
    ]
    talk.fields(dict(found), rows)


@contextmanager
def stopping() -> Iterator[None]:
    """SIGTERM and a closed terminal end it as Ctrl+C does."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = {it: signal.signal(it, interrupt) for it in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for it, handler in before.items():
            signal.signal(it, handler)


@contextmanager
def ignoring() -> Iterator[None]:
    """Nothing interrupts the cleaning up."""
    names = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {it: signal.signal(it, signal.SIG_IGN) for it in names}
    try:
        yield
    finally:
        for it, handler in before.items():
            signal.signal(it, handler)
