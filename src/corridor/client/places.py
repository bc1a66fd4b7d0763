# SPDX-License-Identifier: Apache-2.0
"""Where our own node is and with which token: option, environment, profile (experience.md 3.2).

The only reader of the environment in the SDK. `~/.config/corridor/profiles.toml` holds one table a
profile: `url`, `participant`, `token` or `token_command`; it is refused when others can read it.
"""

from __future__ import annotations

import os
import shlex
import stat
import subprocess
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from corridor.errors import Invalid, NotSignedIn

PROFILES_BYTES_MAX = 1 << 20
TOKEN_COMMAND_S = 30.0
KEYS = frozenset({"url", "participant", "token", "token_command"})


class Secret:
    """A text that does not show itself."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return "Secret(…)"

    def __bool__(self) -> bool:
        return bool(self._text)

    def reveal(self) -> str:
        """The text, to be sent and not to be shown."""
        return self._text


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A node to talk to. `participant` empty: the only one that the token is good for."""

    url: str
    token: Secret
    participant: str = ""


def profiles_path(environ: Mapping[str, str]) -> Path:
    """The file of profiles."""
    given = environ.get("XDG_CONFIG_HOME", "")
    folder = Path(given) if given else Path(environ.get("HOME") or Path.home()) / ".config"
    return folder / "corridor" / "profiles.toml"


def read_profiles(path: Path) -> dict[str, dict[str, str]]:
    """Every profile by name; none where there is no file. Invalid where it cannot be trusted."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return {}
    except OSError as error:
        why = error.strerror or str(error)
        raise Invalid(f"{path} cannot be read", code="profile", cause=why) from error
    with os.fdopen(number, "rb") as file:
        # The open file is judged, not its name.
        found = os.fstat(number)
        if stat.S_IMODE(found.st_mode) & 0o077 or found.st_uid != os.geteuid():
            raise Invalid(f"{path} can be read by others", code="profile", mend=f"chmod 600 {path}")
        data = file.read(PROFILES_BYTES_MAX + 1)
    if len(data) > PROFILES_BYTES_MAX:
        raise Invalid(f"{path} is over {PROFILES_BYTES_MAX} bytes", code="profile")
    try:
        told = tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise Invalid(f"{path} cannot be read", code="profile", cause=str(error)) from error
    for name, table in told.items():
        _check(path, name, table)
    return told


def _check(path: Path, name: str, table: Any) -> None:
    if not isinstance(table, dict) or not all(isinstance(it, str) for it in table.values()):
        raise Invalid(f"{path}: [{name}] needs texts", code="profile")
    if strange := sorted(table.keys() - KEYS):
        known = ", ".join(sorted(KEYS))
        raise Invalid(f"{path}: [{name}] {strange[0]} is not known", code="profile", cause=known)
    if "url" not in table:
        raise Invalid(f"{path}: [{name}] has no url", code="profile")


def find_place(
    *,
    url: str | None = None,
    token: str | None = None,
    profile: str | None = None,
    participant: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> Place:
    """Option before environment before profile. NotSignedIn where nothing says where the node is.

    Profile `default` is taken where none is named.
    """
    environ = os.environ if environ is None else environ
    named = profile or environ.get("CORRIDOR_PROFILE", "")
    table: Mapping[str, str] = {}
    # A named profile is meant whole; else the environment may say all that is needed.
    if profile or not (url or environ.get("CORRIDOR_URL")):
        table = _profile(named, environ)
    surrounding = {} if profile else environ
    found_url = url or surrounding.get("CORRIDOR_URL", "") or table.get("url", "")
    if not found_url:
        raise NotSignedIn(
            "nothing says which node is yours",
            cause="no url, no CORRIDOR_URL, no profile",
            mend="set CORRIDOR_URL and CORRIDOR_TOKEN, or --profile NAME",
        )
    found = token or surrounding.get("CORRIDOR_TOKEN", "") or table.get("token", "")
    # The token of a profile belongs to its node alone.
    if not found and not url and "token_command" in table:
        found = _command(table["token_command"])
    return Place(
        url=checked_url(found_url),
        token=Secret(found),
        participant=participant or table.get("participant", ""),
    )


def _profile(named: str, environ: Mapping[str, str]) -> Mapping[str, str]:
    path = profiles_path(environ)
    known = read_profiles(path)
    if named and named not in known:
        raise Invalid(
            f"no profile {named}", code="profile", cause=f"{path} has: {', '.join(known) or 'none'}"
        )
    return known.get(named or "default", {})


def checked_url(url: str) -> str:
    """The address without its last slash; Invalid where a token would go out in the clear."""
    parts = urlsplit(url)
    local = parts.hostname in ("localhost", "127.0.0.1", "::1")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise Invalid(f"{url} is no address of a node", code="profile")
    if parts.scheme == "http" and not local:
        raise Invalid(
            f"{url} would send the token in the clear", code="profile", mend="use https://"
        )
    if parts.username or parts.password:
        raise Invalid("an address with a password in it", code="profile", mend="use a token")
    return url.rstrip("/")


def _command(line: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - the user's own profile names it, no shell reads it
            shlex.split(line), capture_output=True, check=True, timeout=TOKEN_COMMAND_S
        )
        return done.stdout.decode().strip()
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise NotSignedIn(
            "token_command of the profile failed", cause=type(error).__name__
        ) from error
