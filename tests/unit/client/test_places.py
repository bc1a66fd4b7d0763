# SPDX-License-Identifier: Apache-2.0
"""Where the node is: option before environment before profile, and no token in the open."""

from __future__ import annotations

from pathlib import Path

import pytest

from corridor.client.places import Secret, checked_url, find_place, profiles_path, read_profiles
from corridor.errors import Invalid, NotSignedIn


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}


def write(environ: dict[str, str], text: str, mode: int = 0o600) -> Path:
    path = profiles_path(environ)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


PROFILES = """
[default]
url = "http://localhost:7001"
token = "cor_a"
participant = "stat"
[far]
url = "https://node.example"
token_command = "printf cor_b"
"""


def test_nothing_says_where(environ: dict[str, str]) -> None:
    with pytest.raises(NotSignedIn):
        find_place(environ=environ)


def test_the_default_profile(environ: dict[str, str]) -> None:
    write(environ, PROFILES)
    place = find_place(environ=environ)
    assert (place.url, place.token.reveal(), place.participant) == (
        "http://localhost:7001", "cor_a", "stat",
    )  # fmt: skip


def test_the_environment_goes_before_the_profile(environ: dict[str, str]) -> None:
    write(environ, PROFILES)
    environ |= {"CORRIDOR_URL": "http://localhost:9", "CORRIDOR_TOKEN": "cor_e"}
    place = find_place(environ=environ)
    assert (place.url, place.token.reveal(), place.participant) == (
        "http://localhost:9",
        "cor_e",
        "",
    )


def test_a_named_profile_is_meant_whole(environ: dict[str, str]) -> None:
    write(environ, PROFILES)
    environ |= {"CORRIDOR_URL": "http://localhost:9", "CORRIDOR_TOKEN": "cor_e"}
    place = find_place(profile="far", environ=environ)
    assert (place.url, place.token.reveal()) == ("https://node.example", "cor_b")


def test_the_token_of_a_profile_is_not_sent_elsewhere(environ: dict[str, str]) -> None:
    write(environ, PROFILES)
    place = find_place(url="http://localhost:9", environ=environ)
    assert not place.token


def test_others_can_read_it(environ: dict[str, str]) -> None:
    path = write(environ, PROFILES, 0o644)
    with pytest.raises(Invalid) as caught:
        read_profiles(path)
    assert caught.value.mend == f"chmod 600 {path}"


@pytest.mark.parametrize(
    "text", ["[a]\ntoken = 'x'", "[a]\nurl = 1", "[a]\nurl = 'x'\nsecret = 'y'", "a", "x = 1"]
)
def test_a_profile_that_cannot_be_used(environ: dict[str, str], text: str) -> None:
    with pytest.raises(Invalid):
        read_profiles(write(environ, text))


@pytest.mark.parametrize(
    "url", ["http://node.example", "ftp://localhost", "localhost:1", "https://a:b@node.example"]
)
def test_no_token_goes_out_in_the_clear(url: str) -> None:
    with pytest.raises(Invalid):
        checked_url(url)


def test_a_secret_does_not_show_itself() -> None:
    secret = Secret("cor_x")
    assert "cor_x" not in f"{secret} {secret!r}"
