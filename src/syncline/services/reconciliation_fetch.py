"""Fetch a roster from an address of the app, page by page, into the table it is compared from."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

from yarl import URL

from syncline.core.errors import MalformedJson
from syncline.core.json import Json, parse_json
from syncline.core.rosters import (
    MAX_PROBLEMS,
    MAX_ROWS,
    RosterFormat,
    RosterReader,
    RosterRow,
    RosterUnreadable,
    RowProblem,
    read_objects,
)
from syncline.net.http import FailureKind, OutboundFailure
from syncline.net.pages import PAGE_SECONDS, Page, PageClient
from syncline.net.policy import AddressRefused, parse_url
from syncline.services.keyring import place
from syncline.services.reconciliation_run import Claim, scope_of
from syncline.services.reconciliation_shapes import summary
from syncline.store import reconciliation_rows as staging
from syncline.store.database import Connection
from syncline.store.reconciliations import Phase, Reconciliation, State

STAGED = 1_000
MAX_JSON_PAGE = 16 * 1024 * 1024
MAX_PAGES = 10_000
HOLD = timedelta(seconds=PAGE_SECONDS + 60)
_TABLE = ("text/csv", "application/csv")
_LINES = ("application/x-ndjson", "application/jsonl", "application/x-jsonlines", "application/ndjson")
_NEXT = re.compile(r'<([^<>]*)>\s*;(?:[^,]*;)?\s*rel="?next"?', re.IGNORECASE)


class RosterRefused(Exception):
    """A roster that cannot be used, and will not be usable by asking again; the sentence says why."""

    def __init__(self, message: str, problems: Iterable[RowProblem] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)


class RosterFetch:
    """Takes the pages of one claimed reconciliation's address and stages their rows."""

    def __init__(self, claim: Claim) -> None:
        self._claim = replace(claim, hold=HOLD)
        self._rows: list[RosterRow] = []
        self._problems: list[RowProblem] = []
        self._line = 0

    async def carry_out(self, at: Reconciliation) -> Reconciliation:
        """Fetch everything from the beginning and return the reconciliation, ready to be compared.

        Raises `RosterRefused`, `OutboundFailure` for what may pass, and `ClaimLost`.
        """
        await self._clear(at)
        secret = secret_of(self._claim, at)
        headers = {"Accept": "application/json, application/x-ndjson, text/csv"}
        if secret is not None:
            headers["Authorization"] = f"Bearer {secret}"
        url: str | None = at.url
        seen: set[str] = set()
        async with PageClient(self._claim.kernel.policy) as client:
            while url is not None:
                seen.add(url)
                async with client.get(url, headers) as page:
                    follows = await self._take(page)
                url = _next(url, follows)
                if url in seen or len(seen) >= MAX_PAGES:
                    raise RosterRefused("The pages of the roster do not come to an end.")
        await self._stage()
        if self._problems:
            raise RosterRefused(summary(self._problems, len(self._problems) >= MAX_PROBLEMS), self._problems)

        return await self._claim.step(ready)

    async def _clear(self, at: Reconciliation) -> None:
        """Take away what an attempt before this one has left behind."""
        cleared = -1
        while cleared:

            def work(connection: Connection, current: Reconciliation) -> Reconciliation:
                nonlocal cleared
                cleared = staging.clear(connection, at.id, STAGED)
                return replace(current, done=0)

            await self._claim.step(work)

    async def _take(self, page: Page) -> str | None:
        """Stage the rows of a page and return the address that it says comes next."""
        if page.status != 200:
            detail = f"The address of the roster answers {page.status}."
            if page.status in (408, 425, 429) or page.status >= 500:
                raise OutboundFailure(FailureKind.BAD_RESPONSE, detail, 0.0)
            raise RosterRefused(detail)
        link = _NEXT.search(page.headers.get("link", ""))
        follows = link.group(1) if link else None
        if page.media_type in (*_TABLE, *_LINES):
            form = RosterFormat.CSV if page.media_type in _TABLE else RosterFormat.NDJSON
            reader = RosterReader(form, self._line + 1)
            try:
                async for piece in page.pieces:
                    await self._keep(reader.feed(piece))
                await self._keep(reader.feed(b"", last=True))
            except RosterUnreadable as refused:
                raise RosterRefused(summary([refused.problem], more=False), [refused.problem]) from None
            self._line = reader.line
            return follows
        items, named = await _json_page(page)
        await self._keep(read_objects(items, self._line + 1))
        self._line += len(items)
        return named or follows

    async def _keep(self, rows: Iterable[RosterRow | RowProblem]) -> None:
        for row in rows:
            if isinstance(row, RowProblem):
                self._problems.append(row)
                if len(self._problems) >= MAX_PROBLEMS:
                    raise RosterRefused(summary(self._problems, more=True), self._problems)
                continue
            if row.line > MAX_ROWS:
                raise RosterRefused(f"The roster has more than {MAX_ROWS} rows.")
            self._rows.append(row)
            if len(self._rows) >= STAGED:
                await self._stage()

    async def _stage(self) -> None:
        rows, self._rows = self._rows, []

        def work(connection: Connection, current: Reconciliation) -> Reconciliation:
            staging.stage(connection, current, rows)
            return replace(current, done=current.done + len(rows))

        if rows:
            await self._claim.step(work)


def ready(connection: Connection, current: Reconciliation) -> Reconciliation:
    """Return a reconciliation whose rows are all there, to be compared at once."""
    count, _ = staging.extent(connection, current.id)
    scope = scope_of(current)
    total = count + staging.count_people(connection, scope)
    return replace(
        current,
        state=State.COMPARING,
        phase=Phase.ROWS,
        cursor="",
        rows=count,
        done=0,
        total=total,
        attempts=0,
        error=None,
    )


def secret_of(claim: Claim, at: Reconciliation) -> str | None:
    """Return the secret that is sent to the address, None without one."""
    if at.sealed is None:
        return None
    return claim.kernel.keyring.open(at.sealed, secret_place(at.id)).decode()


def secret_place(reconciliation_id: str) -> str:
    """Return the context in which the secret of an address is sealed."""
    return place("reconciliations", reconciliation_id, "sealed")


async def _json_page(page: Page) -> tuple[list[Json], str | None]:
    raw = bytearray()
    async for piece in page.pieces:
        raw += piece
        if len(raw) > MAX_JSON_PAGE:
            raise RosterRefused(
                f"A page of JSON is larger than {MAX_JSON_PAGE} bytes: use pages, or lines of NDJSON or CSV."
            )
    try:
        body = parse_json(bytes(raw))
    except MalformedJson as error:
        raise RosterRefused(f"The address of the roster answers with no JSON: {error.message}") from None
    if isinstance(body, list):
        return body, None
    users = body.get("users") if isinstance(body, dict) else None
    if not isinstance(body, dict) or not isinstance(users, list):
        raise RosterRefused("A page of the roster is an object with a list `users`.")
    follows = body.get("next")
    if follows is not None and not isinstance(follows, str):
        raise RosterRefused("`next` of a page is an address or null.")
    return users, follows or None


def _next(url: str, follows: str | None) -> str | None:
    """Return the address of the next page. Raises `RosterRefused` if the secret would go somewhere else."""
    if follows is None:
        return None
    here = URL(url)
    try:
        there = parse_url(str(here.join(URL(follows))))
    except (AddressRefused, ValueError) as error:
        raise RosterRefused(f"The address of the next page cannot be used: {error}") from None
    if there.origin() != here.origin():
        raise RosterRefused("The next page is at another host, scheme or port than the first one.")
    return str(there)
