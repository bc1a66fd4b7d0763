# SPDX-License-Identifier: Apache-2.0
"""The catalogue as a peer reads it: pages without loss or repeat, and only what it may see."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from tests.pair.pair import Pair
from tests.pair.puppet import DID, Heard, Puppet, said, stage
from tests.pair.using import USE, limit, limited
from tests.spec import spec

from corridor.store.unit import Unit

REQUEST = "/catalog/request"


def checked(answer: Heard, kind: str) -> Any:
    """The answer, if it is what the specification's schema wants."""
    assert answer.headers["content-type"] == "application/json"
    assert answer.value["@type"] == kind, answer
    if spec.SPEC.is_dir():
        assert spec.faults(answer.value, kind) == []
    return answer.value


def links(answer: Heard) -> dict[str, str]:
    """Links by their rel, without the base."""
    found = re.findall(r'<([^>]*)>; rel="(\w+)"', answer.headers.get("link", ""))
    return {rel: url.partition("/dsp/2025-1")[2] for url, rel in found}


async def ask(puppet: Puppet, path: str = REQUEST, **told: Any) -> tuple[list[str], Heard]:
    answer = await puppet.post(path, said("CatalogRequestMessage", **told))
    assert answer.status == 200, answer
    catalog = checked(answer, "Catalog")
    return [it["@id"] for it in catalog.get("dataset", [])], answer


async def publish(p: Pair, count: int, **told: Any) -> list[str]:
    names = [f"d-{number:03}" for number in range(count)]
    for name in names:
        await p.offer(USE, asset=name, **told)
    return names


def test_two_hundred_and_fifty_offers(tmp_path: Path) -> None:
    """Forwards and backwards: nothing is lost, nothing comes twice."""

    async def story(p: Pair, puppet: Puppet) -> None:
        names = await publish(p, 250)
        pages, path = [], REQUEST
        while True:
            found, answer = await ask(puppet, path)
            pages.append(found)
            if "next" not in links(answer):
                break
            path = links(answer)["next"]
        assert [len(each) for each in pages] == [100, 100, 50]
        assert [name for each in pages for name in each] == names
        back = [pages[-1]]
        while "previous" in links(answer):
            found, answer = await ask(puppet, links(answer)["previous"])
            back.insert(0, found)
        assert back == pages

    stage(tmp_path, story)


@pytest.mark.parametrize("size", [1, 7, 50])
def test_pages_of_any_size_both_ways(tmp_path: Path, size: int) -> None:
    """With offers in between that this peer may not see, and several offers of one dataset."""

    async def story(p: Pair, puppet: Puppet) -> None:
        names = []
        for number in range(23):
            shown = number % 3 != 1
            audience = {} if shown else {"show_to": {"recipient": [p.home("consumer").did]}}
            name = f"d-{number:03}"
            await p.offer(USE, asset=name, audience=audience)
            if number % 5 == 0:
                await p.offer(USE, asset=name, audience=audience)
            names += [name] if shown else []
        told = {
            "filter": [{"@type": "QuerySpec", "offset": 0, "limit": size, "filterExpression": []}]
        }
        forward, path = [], REQUEST
        while True:
            found, answer = await ask(puppet, path, **told)
            forward += found
            if "next" not in links(answer):
                break
            path = links(answer)["next"]
        assert forward == names
        back = found
        while "previous" in links(answer):
            found, answer = await ask(puppet, links(answer)["previous"], **told)
            back = found + back
        assert back == names
        again = found
        while "next" in links(answer):
            found, answer = await ask(puppet, links(answer)["next"], **told)
            again = again + found
        assert again == names

    stage(tmp_path, story)


def test_a_continuation_is_for_who_asked(tmp_path: Path) -> None:
    async def story(p: Pair, puppet: Puppet) -> None:
        await publish(p, 101)
        _, answer = await ask(puppet)
        following = links(answer)["next"]
        told = {
            "filter": [{"@type": "QuerySpec", "offset": 0, "limit": 50, "filterExpression": []}]
        }
        forged = following[:-2] + ("AA" if following[-2:] != "AA" else "BB")
        for path, more in (
            (following, told),
            (forged, {}),
            (f"{REQUEST}?continuationToken=x", {}),
            (f"{REQUEST}?continuationToken=%FF%00", {}),
        ):
            refused = await puppet.post(path, said("CatalogRequestMessage", **more))
            assert (refused.status, refused.code) == (400, "filter"), path
            checked(refused, "CatalogError")

    stage(tmp_path, story)


def test_offers_that_a_peer_may_not_see(tmp_path: Path) -> None:
    async def story(p: Pair, puppet: Puppet) -> None:
        consumer = p.home("consumer").did
        await p.offer(USE, asset="open")
        await p.offer(USE, asset="named", audience={"show_to": {"recipient": [consumer]}})
        await p.offer(USE, asset="mine", audience={"show_to": {"recipient": [DID]}})
        await p.offer(limited(limit("odrl:spatial", "isAnyOf", ["RS"])), asset="here")
        await p.offer(limited(limit("odrl:recipient", "isAnyOf", [consumer])), asset="theirs")
        await p.offer(limited(limit("odrl:dateTime", "lt", "2020-01-01T00:00:00Z")), asset="over")
        hidden = await p.offer(USE, asset="hidden")
        store = p.provider.store.of("provider")
        record = store.offers.get(hidden["@id"])
        await p.provider.store.run(Unit((store.offers.update(record, state="hidden"),)))
        # Of one dataset only the offers that it may see.
        await p.offer(USE, asset="mixed", audience={"show_to": {"recipient": [consumer]}})
        seen = await p.offer(USE, asset="mixed")
        found, answer = await ask(puppet)
        assert found == ["open", "mine", "mixed"]
        mixed = answer.value["dataset"][2]
        assert [it["@id"] for it in mixed["hasPolicy"]] == [seen["@id"]]
        for name in ("named", "here", "theirs", "over", "hidden", "nothing"):
            refused = await puppet.get(f"/catalog/datasets/{name}")
            assert (refused.status, refused.code) == (404, "not-found")
            checked(refused, "CatalogError")
        one = checked(await puppet.get("/catalog/datasets/mixed"), "Dataset")
        assert [it["@id"] for it in one["hasPolicy"]] == [seen["@id"]]
        assert isinstance(one["distribution"][0]["accessService"], dict)

    stage(tmp_path, story)


def test_what_is_shown_says_how_to_get_it(tmp_path: Path) -> None:
    async def story(p: Pair, puppet: Puppet) -> None:
        offer = await p.offer(limited(limit("odrl:count", "lteq", "3")))
        _, answer = await ask(puppet)
        catalog = answer.value
        assert catalog["participantId"] == p.home("provider").did
        assert catalog["service"][0]["endpointURL"] == p.home("provider").dsp_url
        (dataset,) = catalog["dataset"]
        (policy,) = dataset["hasPolicy"]
        assert policy == {"@id": offer["@id"], "@type": "Offer", "permission": offer["permission"]}
        formats = {it["format"] for it in dataset["distribution"]}
        assert formats == {"HttpData-PULL", "HttpData-PUSH"}
        assert str(p.folder) not in json.dumps(catalog)

    stage(tmp_path, story)


def query(*expression: dict[str, str], **told: int) -> dict[str, Any]:
    spec_ = {"@type": "QuerySpec", "offset": 0, "limit": 50, "sortOrder": "ASC", **told}
    return {"filter": [{**spec_, "filterExpression": list(expression)}]}


def equals(left: str, right: str) -> dict[str, str]:
    return {"operandLeft": left, "operator": "=", "operandRight": right}


def test_the_filter_of_edc(tmp_path: Path) -> None:
    async def story(p: Pair, puppet: Puppet) -> None:
        names = await publish(p, 6)
        edc = "https://w3id.org/edc/v0.0.1/ns/id"
        assert (await ask(puppet, **query()))[0] == names
        assert (await ask(puppet, filter=[]))[0] == names
        assert (await ask(puppet, **query(offset=2, limit=3)))[0] == names[2:5]
        assert (await ask(puppet, **query(offset=9)))[0] == []
        assert (await ask(puppet, **query(equals(edc, "d-003"))))[0] == ["d-003"]
        assert (await ask(puppet, **query(equals(edc, "nothing"))))[0] == []
        both = query(equals(edc, "d-003"), equals(edc, "d-004"))
        assert (await ask(puppet, **both))[0] == []
        prefixed = {
            "@type": "edc:QuerySpec", "edc:offset": 1, "edc:limit": 1, "edc:filterExpression": [],
        }  # fmt: skip
        assert (await ask(puppet, filter=[prefixed]))[0] == ["d-001"]
        for wrong in (
            query(equals("owner", "me")),
            query({**equals(edc, "d-003"), "operator": "like"}),
            {"filter": ["everything"]},
            query(offset=-1),
        ):
            refused = await puppet.post(REQUEST, said("CatalogRequestMessage", **wrong))
            assert refused.status == 400, wrong
            assert refused.code in ("filter", "malformed")
            checked(refused, "CatalogError")

    stage(tmp_path, story)


def test_an_empty_catalogue(tmp_path: Path) -> None:
    async def story(p: Pair, puppet: Puppet) -> None:
        found, answer = await ask(puppet)
        assert found == []
        assert "dataset" not in answer.value
        assert "link" not in answer.headers

    stage(tmp_path, story)
