"""A roster is fetched from an address of the app: under the address policy, page by page, with its secret."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from sqlalchemy import select

from syncline.core import wire
from syncline.core.errors import ValidationFailed
from syncline.core.json import Json
from syncline.services.reconciliation_intake import Address
from syncline.store import tables as t
from tests.support.directory_world import CAUSE, DirectoryWorld, directory_world

SECRET = "a-secret-of-the-app"
Answer = Callable[[web.Request], web.StreamResponse]


@dataclass(slots=True)
class App:
    """An app that exposes its roster; `answer` is what it says."""

    url: str = ""
    answer: Answer = field(default=lambda _: web.json_response({"users": []}))
    asked: list[tuple[str, str | None]] = field(default_factory=list)


@pytest.fixture
async def app() -> AsyncIterator[App]:
    made = App()

    async def say(request: web.Request) -> web.StreamResponse:
        made.asked.append((request.path_qs, request.headers.get("Authorization")))
        return made.answer(request)

    served = web.Application()
    served.router.add_route("*", "/{tail:.*}", say)
    runner = web.AppRunner(served)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[DirectoryWorld]:
    async with directory_world(database_url) as made:
        for name in ("mira", "ivo", "ada"):
            emails: Json = [{"value": f"{name}@northwind.example", "primary": True}]
            await made.user(name, emails=emails)
        yield made


def rows(*names: str) -> list[dict[str, str]]:
    return [{"email": f"{name}@northwind.example"} for name in names]


async def fetched(world: DirectoryWorld, url: str, secret: str | None = None) -> wire.ReconciliationResult:
    return await world.services.reconciliations.fetch(
        world.environment, world.place.directory.id, CAUSE, Address(url, secret)
    )


def classes(found: wire.ReconciliationResult) -> list[str]:
    return [finding.class_ for finding in found.findings]


async def test_pages_are_followed_with_the_secret_which_is_never_shown_and_not_kept(
    world: DirectoryWorld, app: App
) -> None:
    def pages(request: web.Request) -> web.StreamResponse:
        if request.query.get("page") == "2":
            return web.json_response({"users": rows("ivo", "x"), "next": None})
        return web.json_response({"users": rows("mira"), "next": "?page=2"})

    app.answer = pages
    done = await fetched(world, f"{app.url}/roster", SECRET)
    assert (done.state, done.rows, classes(done)) == ("complete", 3, ["missing", "extra"])
    assert done.findings[1].line == 3
    assert app.asked == [("/roster", f"Bearer {SECRET}"), ("/roster?page=2", f"Bearer {SECRET}")]
    assert SECRET not in repr(done)
    sealed = await world.services.kernel.database.read(
        lambda connection: connection.execute(select(t.reconciliations.c.sealed)).scalar_one()
    )
    assert sealed is None


async def test_tables_and_lines_are_streamed_and_a_link_names_the_next_page(
    world: DirectoryWorld, app: App
) -> None:
    def pages(request: web.Request) -> web.StreamResponse:
        if request.path == "/second":
            return web.Response(text='{"email":"ada@northwind.example"}', content_type="application/x-ndjson")
        table = "email\nmira@northwind.example\nivo@northwind.example\n"
        link = {"Link": f'<{app.url}/second>; rel="next"'}
        return web.Response(text=table, content_type="text/csv", headers=link)

    app.answer = pages
    done = await fetched(world, f"{app.url}/first")
    assert (done.state, done.rows, classes(done)) == ("complete", 3, [])


async def refused(world: DirectoryWorld, app: App, answer: Answer) -> str:
    """Return why a roster cannot be used; there are no findings then."""
    app.answer = answer
    done = await fetched(world, app.url, SECRET)
    assert (done.state, done.findings) == ("failed", [])
    assert done.error is not None
    assert SECRET not in done.error
    return done.error


def answering(body: Any, **more: Any) -> Answer:
    if isinstance(body, str):
        return lambda _: web.Response(text=body, **more)
    return lambda _: web.json_response(body, **more)


async def test_what_is_no_roster_fails_with_a_sentence_and_finds_nothing(
    world: DirectoryWorld, app: App
) -> None:
    cases: list[tuple[Any, str]] = [
        (answering({"users": rows("mira"), "next": "http://localhost/x"}), "another host"),
        (answering({"users": rows("mira"), "next": "?"}), "do not come to an end"),
        (answering({"people": []}), "a list `users`"),
        (answering("<html>"), "no JSON"),
        (answering({}, status=404), "answers 404"),
        (answering({}, status=302, headers={"Location": app.url}), "answers 302"),
        (answering({"users": [*rows("mira"), {"email": "nobody"}]}), "line 2, email"),
        (answering("mail\nx\n", content_type="text/csv"), "'mail'"),
    ]
    for answer, said in cases:
        assert said in await refused(world, app, answer)
    assert not any(path.startswith("//localhost") for path, _ in app.asked)


async def test_an_address_that_fails_is_asked_again_and_then_the_roster_is_complete(
    world: DirectoryWorld, app: App
) -> None:
    app.answer = answering({}, status=503)
    waiting = await fetched(world, app.url)
    assert (waiting.state, waiting.error) == ("fetching", "The address of the roster answers 503.")
    app.answer = answering({"users": rows("mira", "ivo", "ada")})
    place = (world.environment, world.place.directory.id)
    done = await world.services.reconciliations.start(*place, waiting.id)
    assert (done.state, done.error, classes(done)) == ("complete", None, [])


async def test_an_address_that_never_works_fails_in_the_end(world: DirectoryWorld, app: App) -> None:
    app.answer = answering({}, status=503)
    waiting = await fetched(world, app.url)
    place = (world.environment, world.place.directory.id)
    for _ in range(3):
        done = await world.services.reconciliations.start(*place, waiting.id)
    assert done.state == "failed"
    assert "503" in str(done.error)


@pytest.mark.parametrize("url", ["http://10.0.0.1/x", "https://169.254.169.254/x", "ftp://x", "file:///etc"])
async def test_addresses_that_may_not_be_called_are_refused(world: DirectoryWorld, url: str) -> None:
    with pytest.raises(ValidationFailed) as refusal:
        await fetched(world, url)
    assert refusal.value.code == "invalid_url"


async def test_a_fetch_that_broke_off_begins_again_and_counts_nobody_twice(
    world: DirectoryWorld, app: App
) -> None:
    strangers = [f"x{number}" for number in range(1_000)]
    pages_seen: list[str] = []

    def pages(request: web.Request) -> web.StreamResponse:
        pages_seen.append(request.path_qs)
        if "page" not in request.query:
            return web.json_response({"users": rows(*strangers, "mira"), "next": "?page=2"})
        if len(pages_seen) == 2:
            return web.json_response({}, status=502)
        return web.json_response({"users": rows("ivo", "ada")})

    app.answer = pages
    waiting = await fetched(world, app.url)
    assert waiting.state == "fetching"
    place = (world.environment, world.place.directory.id)
    done = await world.services.reconciliations.start(*place, waiting.id)
    assert (done.state, done.rows) == ("complete", 1_003)
    assert (done.counts.extra, done.counts.ambiguous, done.counts.missing) == (1_000, 0, 0)
