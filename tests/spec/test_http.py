# SPDX-License-Identifier: Apache-2.0
"""What the protocol demands of its HTTP binding, of a whole node: one test a MUST."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.pair.pair import Pair
from tests.pair.puppet import BASE, Heard, Puppet, said, stage
from tests.pair.test_repeats import Silent
from tests.pair.using import USE
from tests.spec import spec
from tests.spec.musts import must

from corridor.wire.codec import CONTEXT
from corridor.world import Request


def valid(answer: Heard, kind: str) -> Any:
    """The answer, if the schema of this kind takes it."""
    assert answer.value.get("@type", "VersionDocument") == kind, answer
    if spec.SPEC.is_dir():
        assert spec.faults(answer.value, kind) == []
    return answer.value


def silently(tmp_path: Path, story: Any) -> None:
    stage(tmp_path, story, seams={"provider": Silent})


async def begun(p: Pair, puppet: Puppet) -> tuple[dict[str, Any], str, dict[str, str]]:
    offer = await p.offer(USE)
    theirs = await puppet.begin(offer)
    return offer, theirs, {"consumerPid": "pc-1", "providerPid": theirs}


@must("dsp.md 1.1", "the version document is unversioned, unauthenticated and valid")
def test_versions(tmp_path: Path) -> None:
    async def story(p: Pair, puppet: Puppet) -> None:
        url = f"{p.home('provider').base_url}/.well-known/dspace-version"
        found = await p.net.fetch(Request(purpose="dsp", method="GET", url=url))
        assert found.status == 200
        value = valid(Heard(found), "VersionDocument")
        (entry,) = value["protocolVersions"]
        assert entry["version"] == "2025-1"
        assert p.home("provider").base_url + entry["path"] == p.home("provider").dsp_url

    silently(tmp_path, story)


@must("dsp.md 1.2", "a creation is answered 201 with the process, what follows 200 with it")
def test_statuses(tmp_path: Path) -> None:
    async def story(p: Pair, puppet: Puppet) -> None:
        offer = await p.offer(USE)
        answer = await puppet.post("/negotiations/request", puppet.first(offer))
        assert answer.status == 201
        told = valid(answer, "ContractNegotiation")
        assert (told["state"], told["consumerPid"]) == ("REQUESTED", "pc-1")
        theirs = told["providerPid"]
        assert valid(await puppet.get(f"/negotiations/{theirs}"), "ContractNegotiation") == told
        pids = {"consumerPid": "pc-1", "providerPid": theirs}
        ended = said("ContractNegotiationTerminationMessage", **pids)
        answer = await puppet.post(f"/negotiations/{theirs}/termination", ended)
        assert answer.status == 200
        assert valid(answer, "ContractNegotiation")["state"] == "TERMINATED"

    silently(tmp_path, story)


@must("dsp.md 1.3", "either side's process is shown at its pid, transfers too")
def test_transfers_are_shown(tmp_path: Path) -> None:
    async def story(p: Pair, puppet: Puppet) -> None:
        it = await puppet.started(await puppet.finalize(await p.offer(USE)))
        await p.until("provider", "transfers", it.theirs, ("STARTED",))
        shown = valid(await puppet.get(f"/transfers/{it.theirs}"), "TransferProcess")
        assert shown["state"] == "STARTED"

    stage(tmp_path, story)


@must("dsp.md 1.3", "a path with a slash at its end is the same path, without a redirect")
def test_trailing_slashes(tmp_path: Path) -> None:
    async def story(p: Pair, puppet: Puppet) -> None:
        offer, theirs, pids = await begun(p, puppet)
        assert (await puppet.get(f"/negotiations/{theirs}/")).status == 200
        assert (await puppet.get("/catalog/datasets/greeting/")).status == 200
        asked = said("CatalogRequestMessage")
        assert (await puppet.post("/catalog/request/", asked)).status == 200
        first = puppet.first(offer, "pc-2")
        assert (await puppet.post("/negotiations/request/", first)).status == 201
        ended = said("ContractNegotiationTerminationMessage", **pids)
        assert (await puppet.post(f"/negotiations/{theirs}/termination/", ended)).status == 200

    silently(tmp_path, story)


@must("dsp.md 1.4", "bodies are application/json, and are read whatever they are called")
def test_media_types(tmp_path: Path) -> None:
    async def story(p: Pair, puppet: Puppet) -> None:
        for name in ("application/json; charset=utf-8", "application/ld+json", "text/plain", None):
            headers = {"content-type": name} if name else {}
            asked = said("CatalogRequestMessage")
            answer = await puppet.post("/catalog/request", asked, headers=headers)
            assert answer.status == 200
            assert answer.headers["content-type"] == "application/json"

    silently(tmp_path, story)


@must("dsp.md 1.4", "a callback address may end with a slash; ours has none")
def test_callbacks(tmp_path: Path) -> None:
    async def story(p: Pair, puppet: Puppet) -> None:
        await puppet.begin(await p.offer(USE), callbackAddress=BASE + "/")
        heard = await puppet.hears("ContractAgreementMessage")
        assert heard.path == "/negotiations/pc-1/agreement"
        assert not p.home("provider").dsp_url.endswith("/")

    stage(tmp_path, story)


@must("dsp.md 1.5", "an error is of its protocol's type and valid, with the status of its cause")
@pytest.mark.parametrize("case", ["malformed", "pid-mismatch", "not-found", "no token", "illegal"])
def test_errors(tmp_path: Path, case: str) -> None:
    async def story(p: Pair, puppet: Puppet) -> None:
        _, theirs, pids = await begun(p, puppet)
        message = "ContractAgreementVerificationMessage"
        path = f"/negotiations/{theirs}/agreement/verification"
        good = said(message, **pids)
        told: dict[str, Any] = {
            "malformed": (path, b"{", ""),
            "pid-mismatch": (path, said(message, **{**pids, "consumerPid": "x"}), ""),
            "not-found": (path.replace(theirs, "x"), good, ""),
            "no token": (path, good, None),
            "illegal": (path, good, ""),
        }
        where, body, authorization = told[case]
        answer = await puppet.post(where, body, authorization=authorization)
        expected = {"not-found": 404, "no token": 401}.get(case, 400)
        assert answer.status == expected
        value = valid(answer, "ContractNegotiationError")
        assert value["@context"] == [CONTEXT]
        assert isinstance(value["code"], str)
        assert (await puppet.get(f"/negotiations/{theirs}")).value["state"] == "REQUESTED"

    silently(tmp_path, story)


@must("dsp.md 1.5", "an unknown path is answered in the words of its protocol")
def test_unknown_paths(tmp_path: Path) -> None:
    async def story(p: Pair, puppet: Puppet) -> None:
        for path, kind in (
            ("/nothing", "CatalogError"),
            ("/catalog", "CatalogError"),
            ("/negotiations/x/y/z/w", "ContractNegotiationError"),
            ("/negotiations/x/unknown", "ContractNegotiationError"),
            ("/transfers/x/unknown", "TransferError"),
        ):
            answer = await puppet.post(path, b"{}")
            assert answer.status == 404
            valid(answer, kind)

    silently(tmp_path, story)


@must("dsp.md 3", "a dataset that is not there is 404 with a CatalogError")
def test_unknown_dataset(tmp_path: Path) -> None:
    async def story(p: Pair, puppet: Puppet) -> None:
        answer = await puppet.get("/catalog/datasets/nothing")
        assert answer.status == 404
        valid(answer, "CatalogError")

    silently(tmp_path, story)


@must("dsp.md 2.2", "each message that a node says is valid against its schema")
def test_what_is_said(tmp_path: Path) -> None:
    async def story(p: Pair, puppet: Puppet) -> None:
        it = await puppet.started(await puppet.finalize(await p.offer(USE)))
        ended = said("TransferTerminationMessage", consumerPid="pc-9", providerPid=it.theirs)
        await puppet.post(f"/transfers/{it.theirs}/termination", ended)
        kinds = [spoken.message["@type"] for spoken in puppet.spoken]
        assert kinds == [
            "ContractAgreementMessage", "ContractNegotiationEventMessage", "TransferStartMessage",
        ]  # fmt: skip
        for spoken in puppet.spoken:
            assert json.loads(spoken.raw) == spoken.message
            if spec.SPEC.is_dir():
                assert spec.faults(spoken.message, spoken.message["@type"]) == []

    stage(tmp_path, story)
