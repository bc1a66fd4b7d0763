# SPDX-License-Identifier: Apache-2.0
"""The shipped manual: short pages by topic, and what each error code means."""

from __future__ import annotations

from collections.abc import Mapping

from corridor.errors import CODES, Exit
from corridor.settings import PARTICIPANT, REQUIRED, SECTIONS

OPTIONS = """\
Options that every command has, anywhere on the line:
  --json             one document on standard output; errors as JSON on standard error
  --yes              answers confirmations; never a reason
  --quiet            errors only
  --verbose          where a bug shows itself
  --profile NAME     which node, from the file of profiles
  --participant NAME for whom, where a node serves several
  --config FILE      the settings of this computer's node
  --no-color         no colours (also NO_COLOR)
  --no-input         never ask; a question that nobody answers ends with exit 2
  --lang en          the language of terms in words
Environment: CORRIDOR_URL, CORRIDOR_TOKEN, CORRIDOR_PROFILE, CORRIDOR_CONFIG,
CORRIDOR_<SECTION>__<KEY> for each setting, NO_COLOR, FORCE_COLOR, CLICOLOR, COLUMNS."""
PROFILES = """\
~/.config/corridor/profiles.toml, readable by you alone (chmod 600):
  [default]
  url = "https://node.example:7001"
  participant = "institute"
  token = "cor_…"
A token_command instead of token is run, and its output taken. Which node a command talks to:
--profile, else CORRIDOR_URL and CORRIDOR_TOKEN, else the profile CORRIDOR_PROFILE or default, else
the node of this computer, by its configuration and the operator.token in its data folder."""
TERMS = """\
A terms file says who may do what with an asset (YAML):
  title: Population
  asset: population
  allow:
    - action: read
      purpose: official-statistics
      columns: {country: dimension, year: dimension, persons: measure}
      rows: [year >= 2000]
      quota: {requests: {day: 100}}
      until: 2027-12-31
corridor offer new FILE writes a first one; corridor offer check FILE tells all of its faults."""
FIRST = """\
  corridor demo                      see it on this computer
  corridor init DIR                  write the settings of a node
  corridor up --config DIR/corridor.toml
  corridor doctor                    what is still wrong
  corridor partner add DID           get to know a partner
  corridor offer new FILE            offer data; corridor find, corridor request ask for some"""


DEVELOPERS = """\
  corridor sim --seed S --until N    replay one run, with N virtual seconds of trouble
  corridor sim --seeds N --from K    N runs from seed K; a failure says how to replay it
    --jobs J          on so many processes
    --peer P          against corridor, sloppy or hostile
    --trace FILE      write the events of one run
    --sweep NAME      one conversation, dying at each point where a node may
  corridor sim --help tells the rest. make test runs everything that is checked."""


def settings_text() -> str:
    """Every section of corridor.toml."""
    lines = ["corridor.toml, all settings (limits: corridor limits):"]
    for section, rows in {**SECTIONS, "participant": PARTICIPANT}.items():
        if section == "limits":
            continue
        lines += ["", f"[[{section}]]" if section == "participant" else f"[{section}]"]
        for name, row in rows.items():
            default = "required" if row.default is REQUIRED else f"{row.default!r}"
            lines.append(f"  {name} = {default}    {row.about}")
    return "\n".join(lines)


def exits_text() -> str:
    """The exit codes."""
    about = {
        Exit.DONE: "done",
        Exit.FAILED: "failed",
        Exit.USAGE: "wrong usage",
        Exit.REFUSED: "refused: policy, gate or identity; final",
        Exit.NOT_ALLOWED: "not signed in, or not allowed",
        Exit.WAITING: "waiting for a person",
        Exit.NOT_FOUND: "not found",
        Exit.UNREACHABLE: "partner unreachable; try later",
        Exit.CHANGED: "changed meanwhile",
        Exit.NOT_VERIFIED: "evidence does not verify",
        Exit.CONFIGURATION: "configuration wrong",
        Exit.SPENT: "budget or quota spent",
        Exit.INTERRUPTED: "interrupted",
    }
    return "\n".join(f"  {int(it):3}  {about[it]}" for it in Exit)


def topics() -> Mapping[str, str]:
    """Topic to page."""
    return {
        "first": FIRST,
        "options": OPTIONS,
        "profiles": PROFILES,
        "terms": TERMS,
        "developers": DEVELOPERS,
        "settings": settings_text(),
        "exit": exits_text(),
    }


def code_text(code: str) -> str:
    """What an error code means."""
    known = CODES[code]
    return (
        f"{code}: {known.title}\n"
        f"  mend         {known.mend}\n"
        f"  exit         {int(known.exit)}\n"
        f"  HTTP status  {known.status}"
    )
