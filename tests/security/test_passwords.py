"""Threat: a provider sends people's passwords, and they stay: in the copy, in the log of events, in webhooks.

Several providers send one with every creation. Whatever an attribute is called `password`, for a person or a
group, at the top or in an extension, in a document, an operation or a bulk request: it is accepted, and gone
before anything is stored (O-02). Everything around it is kept.
"""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from syncline.core.redact import may_name_a_password, without_passwords
from syncline.store import tables as t
from tests.support.api import Api, api
from tests.support.directory_world import CAUSE

CORE, CORE_V1 = "urn:ietf:params:scim:schemas:core:2.0:User", "urn:scim:schemas:core:1.0"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
CUSTOM = "urn:okta:northwind:1.0:user:custom"
KEPT = "kept beside it"


def spellings(secret: str) -> list[dict[str, Any]]:
    """Return attributes that carry a password, each with something that must stay."""
    beside = {"title": KEPT}
    return [
        {"password": secret, **beside},
        {"PassWord": secret, **beside},
        {f"{CORE}:password": secret, **beside},
        {f"{CORE}.password": secret, **beside},
        {f"{CORE_V1}:password": secret, **beside},
        {CORE: {"password": secret, **beside}},
        {CORE_V1: {"Password": secret, **beside}},
        {ENTERPRISE: {"password": secret, "department": KEPT}},
        {f"{ENTERPRISE}:password": secret, **beside},
        {CUSTOM: {"password": secret, "badge": KEPT}},
        {f"{CUSTOM}:password": secret, **beside},
        {"password.value": secret, **beside},
        {"password": {"value": secret}, **beside},
        {"password": [{"value": secret}], **beside},
        {"credentials": {"password": secret, "method": KEPT}},
        {" password": secret, **beside},
    ]


def operations(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the attributes as operations with a path, and all of them as one without."""
    with_path = [{"op": "replace", "path": name, "value": value} for name, value in attributes.items()]
    return [*with_path, {"op": "Add", "value": attributes}]


async def test_no_spelling_of_a_password_is_stored_and_nothing_else_is_lost(database_url: str) -> None:
    """Creations, replacements, patches and bulk requests over both versions, for people and groups."""
    async with api(database_url) as here:
        world = here.world
        directory = world.place.directory
        token = (await world.services.tokens.create(world.environment, directory.id, CAUSE)).secret
        base = f"/scim/v2/{directory.id.removeprefix('directory_')}"
        answers: list[httpx.Response] = []
        secrets: list[str] = []

        async def send(method: str, path: str, body: object, *, v1: bool = False) -> httpx.Response:
            address = base.replace("v2", "v1") if v1 else base
            answer = await here.client.request(
                method, f"{address}{path}", json=body, headers={"Authorization": f"Bearer {token}"}
            )
            answers.append(answer)
            return answer

        for n in range(len(spellings(""))):

            def attributes(n: int = n) -> dict[str, Any]:
                secrets.append(f"horse-{len(secrets):03d}-battery")
                return spellings(secrets[-1])[n]

            for kind, name in (("Users", "userName"), ("Groups", "displayName")):
                made = await send("POST", f"/{kind}", {name: f"a{n}", **attributes()})
                one = f"/{kind}/{made.json()['id']}"
                await send("PATCH", one, {"Operations": operations(attributes())})
                await send("POST", f"/{kind}", {name: f"b{n}", **attributes()}, v1=True)
                await send("PATCH", one, attributes(), v1=True)
                data = {name: f"c{n}", **attributes()}
                step = {"method": "POST", "path": f"/{kind}", "bulkId": "1", "data": data}
                await send("POST", "/Bulk", {"Operations": [step]})
                put = await send("POST", f"/{kind}", {name: f"d{n}"})
                replaced = {name: f"d{n}", **attributes()}
                await send("PUT", f"/{kind}/{put.json()['id']}", replaced)
        await world.rows()
        held = await everything(here)
        await world.services.scim_access.flush()
        await world.services.api_keys.flush()
    assert {answer.status_code for answer in answers} <= {200, 201}
    assert held.count(KEPT) > len(answers) / 2
    assert [secret for secret in secrets if secret in held] == []
    assert [secret for answer in answers for secret in secrets if secret in answer.text] == []


async def everything(here: Api) -> str:
    """Return every row of every table as text."""

    def read(connection: Any) -> str:
        rows = [row for table in t.metadata.sorted_tables for row in connection.execute(select(table))]
        return "\n".join(map(str, rows))

    return await here.world.services.kernel.database.read(read)


@pytest.mark.parametrize(
    "name", ["passwordHint", "lastPasswordSet", "password_id", "compassword", "pass.word"]
)
def test_what_only_sounds_like_a_password_stays(name: str) -> None:
    body: dict[str, Any] = {name: KEPT, "Operations": [{"op": "add", "path": name, "value": KEPT}]}
    assert without_passwords(body) == body


def test_a_text_that_may_hold_one_is_never_passed_over() -> None:
    for raw in (b'{"PASSWORD": 1}', b'{"pass\\u0077ord": 1}', b'{"\\u0050assword": 1}'):
        assert may_name_a_password(raw)
        assert without_passwords(json.loads(raw)) == {}
    assert not may_name_a_password(b'{"userName": "mira", "title": "Miller"}')
