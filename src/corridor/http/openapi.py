# SPDX-License-Identifier: Apache-2.0
"""The management API as OpenAPI 3.1, out of its operations, bodies, roles and codes."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from corridor.codes import CODES
from corridor.http.roles import ROLES
from corridor.wire.home import OPERATIONS, PROBLEM, Operation, ProblemBody

REFERENCE = "#/components/schemas/{name}"
ACCEPTED = frozenset({"request", "transfer.start"})
CREATED = frozenset({"token.add", "offer.add", "partner.add", "asset.upload"})
HEADERS = (("Idempotency-Key", "POST", "the same request again gets the same answer, for a day"),)


def openapi(version: str) -> dict[str, Any]:
    """The whole document; equal for equal code."""
    types = [ProblemBody]
    for it in OPERATIONS.values():
        types += [each for each in (it.ask, it.answer) if each and not isinstance(each, str)]
    unique = list(dict.fromkeys(types))
    schemas, components = msgspec.json.schema_components(unique, ref_template=REFERENCE)
    by_type = dict(zip(unique, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for name, it in OPERATIONS.items():
        path = it.path.replace("*}", "}")
        paths.setdefault(path, {})[it.method.lower()] = _operation(name, it, by_type)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Corridor management API",
            "version": version,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": dict(sorted(components.items())),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "responses": {
                "Problem": {
                    "description": "an error; its codes: " + ", ".join(sorted(CODES)),
                    "content": {PROBLEM: {"schema": by_type[ProblemBody]}},
                }
            },
        },
        "security": [{"token": []}],
    }


def _operation(name: str, it: Operation, schemas: dict[Any, Any]) -> dict[str, Any]:
    roles = sorted(ROLES[name].roles)
    told: dict[str, Any] = {
        "operationId": name,
        "summary": it.about,
        "description": f"Roles: {', '.join(roles) or 'any'}.",
        "x-roles": roles,
        "parameters": _parameters(it),
        "responses": {
            "default": {"$ref": "#/components/responses/Problem"},
            **{status: _answer(it, schemas) for status in _statuses(name, it)},
        },
    }
    if it.ask is not None:
        content = {"schema": schemas[it.ask]} if not isinstance(it.ask, str) else {}
        media = it.ask if isinstance(it.ask, str) else "application/json"
        told["requestBody"] = {"content": {media: content}, "required": True}
    return told


def _statuses(name: str, it: Operation) -> list[str]:
    if it.answer is None:
        return ["204"]
    if name in CREATED:
        return ["201"]
    if name in ACCEPTED:
        return ["200", "202"]
    return ["200", "206", "304", "416"] if name == "file" else ["200"]


def _answer(it: Operation, schemas: dict[Any, Any]) -> dict[str, Any]:
    if it.answer is None:
        return {"description": "done"}
    media = it.answer if isinstance(it.answer, str) else "application/json"
    content = {} if isinstance(it.answer, str) else {"schema": schemas[it.answer]}
    return {"description": it.about, "content": {media: content}}


def _parameters(it: Operation) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {
            "name": name.removesuffix("*"),
            "in": "path",
            "required": True,
            "schema": {"type": "string"},
        }
        for name in re.findall(r"\{([a-z_]+\*?)\}", it.path)
    ]
    for name in it.query:
        kind = {"limit": "integer", "on_its_way": "boolean"}.get(name, "string")
        found.append({"name": name, "in": "query", "schema": {"type": kind}})
    if it.method == "POST" and "{participant}" in it.path:
        found += [
            {
                "name": header,
                "in": "header",
                "description": about,
                "schema": {"type": "string", "maxLength": 64},
            }
            for header, method, about in HEADERS
            if method == it.method
        ]
    return found
