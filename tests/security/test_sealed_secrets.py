"""Threat: somebody who can write to the database, and not read the key, makes Syncline sign for them.

A signing secret opens for its own endpoint only. Whatever else is put into its place, another endpoint's
value, another's whole row, a changed one, does not open: nothing is sent with it, the error is told, and
everybody else's deliveries go on. The keyring by itself: `tests/unit/test_keyring.py`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from structlog.testing import capture_logs

from syncline.core.signing import verify_standard, verify_workos
from syncline.core.wire import WebhookEndpoint
from syncline.services.idempotency import Idempotency, KeptAnswer
from syncline.services.kernel import Kernel
from syncline.services.keyring import Keyring, SealBroken
from syncline.store import tables as t
from tests.support.deliveries import QUICK, Stage, dispatching
from tests.support.kernels import kernel, seed
from tests.support.receiver import Received, Receiver, receiver
from tests.support.waiting import wait_until

SETTINGS = replace(QUICK, hold=timedelta(milliseconds=30))
OLD_KEY, NEW_KEY = "a key for tests that is long enough", "another key that is long enough as well"
A = "directory_A"
Rows = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Scene:
    """A victim's endpoint and an attacker's, in environments of their own."""

    within: Kernel
    hooks: Receiver
    victim: Stage
    attacker: Stage
    victims: WebhookEndpoint
    attackers: WebhookEndpoint

    async def secrets(self) -> Rows:
        """Return the row of each endpoint's secret."""
        statement = select(t.endpoint_secrets)
        rows = await self.within.database.read(lambda connection: connection.execute(statement).all())
        return {row.endpoint_id: dict(row._mapping) for row in rows}

    async def put(self, before: Rows, after: Rows) -> None:
        """Write rows in the place of others, as somebody with a database client would."""
        c = t.endpoint_secrets.c

        def work(connection: Any) -> None:
            # Away first, so that ids can change places.
            for row in before.values():
                away = {"id": f"-{row['id']}"}
                connection.execute(update(t.endpoint_secrets).where(c.id == row["id"]).values(away))
            for endpoint_id, row in before.items():
                values = after[endpoint_id]
                connection.execute(update(t.endpoint_secrets).where(c.id == f"-{row['id']}").values(values))

        await self.within.database.write(work)


@pytest.fixture
async def scene(database_url: str) -> AsyncIterator[Scene]:
    async with kernel(database_url) as within, receiver() as hooks:
        victim, attacker = [Stage(within, (await seed(within)).environment_id) for _ in range(2)]
        yield Scene(
            within,
            hooks,
            victim,
            attacker,
            await victim.endpoint(hooks.url("/victim")),
            await attacker.endpoint(hooks.url("/attacker")),
        )


Row = dict[str, Any]
_PLACE = ("endpoint_id", "environment_id")


def values_swapped(victim: Row, attacker: Row) -> tuple[Row, Row]:
    """Only the sealed values change places."""
    return victim | {"sealed": attacker["sealed"]}, attacker | {"sealed": victim["sealed"]}


def rows_swapped(victim: Row, attacker: Row) -> tuple[Row, Row]:
    """The whole rows change endpoints, so that the attacker's deliveries would be signed as the victim's."""
    return (
        attacker | {name: victim[name] for name in _PLACE},
        victim | {name: attacker[name] for name in _PLACE},
    )


def bit_flipped(victim: Row, attacker: Row) -> tuple[Row, Row]:
    """One character of the value is another one."""
    sealed = attacker["sealed"]
    middle = len(sealed) // 2
    other = "A" if sealed[middle] != "A" else "B"
    return victim, attacker | {"sealed": sealed[:middle] + other + sealed[middle + 1 :]}


def cut(victim: Row, attacker: Row) -> tuple[Row, Row]:
    """The end is missing."""
    return victim, attacker | {"sealed": attacker["sealed"][:-24]}


def plain(victim: Row, attacker: Row) -> tuple[Row, Row]:
    """A secret of the attacker's own choice, not sealed at all."""
    return victim, attacker | {"sealed": "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}


@pytest.mark.parametrize("damage", [values_swapped, rows_swapped, bit_flipped, cut, plain])
async def test_a_secret_that_is_not_the_endpoints_own_signs_nothing(
    scene: Scene, damage: Callable[[Row, Row], tuple[Row, Row]]
) -> None:
    """What it would sign is not sent, the error says so, others flow; mended, everything arrives."""
    rows = await scene.secrets()
    victims, attackers = scene.victims.id, scene.attackers.id
    damaged = dict(zip((victims, attackers), damage(rows[victims], rows[attackers]), strict=True))
    await scene.put(rows, damaged)
    whole = [one for one in (victims, attackers) if damaged[one] == rows[one]]
    [own] = await scene.victim.emit(A)
    [theirs] = await scene.attacker.emit(A)
    with capture_logs() as logs:
        async with dispatching(scene.within, SETTINGS):
            await wait_until(lambda: len(complaints(logs, attackers)) > 1)
            if victims in whole:
                await wait_until(lambda: scene.hooks.at("/victim"))
    assert {path for path in ("/victim", "/attacker") if scene.hooks.at(path)} == (
        {"/victim"} if victims in whole else set()
    )
    assert all(
        "another place" in text or "key" in text or "damaged" in text for text in complaints(logs, attackers)
    )

    await scene.put(damaged, rows)
    async with dispatching(scene.within, SETTINGS):
        await wait_until(lambda: scene.hooks.at("/attacker") and scene.hooks.at("/victim"))
    assert signed_by(scene.hooks.at("/attacker")[0], scene.attackers.secret) == theirs
    assert signed_by(scene.hooks.at("/victim")[0], scene.victims.secret) == own


def complaints(logs: list[Any], endpoint_id: str) -> list[str]:
    """Return what the operator is told about an endpoint."""
    told = [line for line in logs if line["event"] == "endpoint.secret_unreadable"]
    return [line["error"] for line in told if line["endpoint_id"] == endpoint_id]


def signed_by(request: Received, secret: str) -> str:
    """Return the event id of a request that both signatures prove to come from the holder of a secret."""
    timestamp = int(request.headers["webhook-timestamp"])
    verify_standard([secret], request.headers, request.body, now_s=timestamp)
    verify_workos(secret, request.headers["workos-signature"], request.body, now_ms=timestamp * 1000)
    return request.id


async def test_with_another_key_nothing_opens_and_with_the_former_one_beside_it_everything(
    scene: Scene,
) -> None:
    """After a change of the operator's key deliveries wait, until the former one is named as well."""
    [event] = await scene.victim.emit(A)
    changed = replace(scene.within, keyring=Keyring.from_secret(NEW_KEY))
    with capture_logs() as logs:
        async with dispatching(changed, SETTINGS):
            await wait_until(lambda: len(complaints(logs, scene.victims.id)) > 1)
    assert scene.hooks.received == []
    rotated = replace(scene.within, keyring=Keyring.from_secret(NEW_KEY, [OLD_KEY]))
    async with dispatching(rotated, SETTINGS):
        await wait_until(lambda: scene.hooks.at("/victim"))
        made_since = await Stage(rotated, scene.victim.environment_id).endpoint(scene.hooks.url("/since"))
        [later] = await scene.victim.emit(A)
        await wait_until(lambda: scene.hooks.at("/since"))
    assert signed_by(scene.hooks.at("/victim")[0], scene.victims.secret) == event
    assert signed_by(scene.hooks.at("/since")[0], made_since.secret) == later


async def test_a_kept_answer_opens_for_its_own_key_only(scene: Scene) -> None:
    """Kept answers hold secrets: one moved to another idempotency key, or environment, is not given out."""
    kept = Idempotency(scene.within)
    mine, theirs = scene.attacker.environment_id, scene.victim.environment_id
    made = {mine: b'{"value": "sk_mine"}', theirs: b'{"value": "sk_theirs"}'}
    calls: list[str] = []

    async def once(environment_id: str) -> KeptAnswer:
        async def answer() -> KeptAnswer:
            calls.append(environment_id)
            return KeptAnswer(201, made[environment_id])

        return await kept.once(environment_id, "key", b"the same request", answer)

    for environment_id in made:
        await once(environment_id)
    assert (await once(mine)).body == made[mine]
    c = t.idempotency_keys.c
    stolen = select(c.sealed_body).where(c.environment_id == theirs).scalar_subquery()
    await scene.within.database.write(
        lambda connection: connection.execute(
            update(t.idempotency_keys).where(c.environment_id == mine).values(sealed_body=stolen)
        )
    )
    with pytest.raises(SealBroken):
        await once(mine)
    assert (await once(theirs)).replayed
    assert calls == [mine, theirs]
