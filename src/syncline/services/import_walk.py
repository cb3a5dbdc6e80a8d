"""Walk through a service that speaks the WorkOS API, page by page, and take in what it shows.

Where the walk is stands in the import's row, written after each page, so that it goes on there after a
crash; the page that was under way is read once more, which changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar, cast

import msgspec

from syncline import faults
from syncline.core import import_workos as shapes
from syncline.core.errors import Overloaded
from syncline.core.ids import Prefix
from syncline.core.imports import Outcome, own_id
from syncline.core.json import Json
from syncline.core.model import Cause
from syncline.net.workos_source import Query, SourceBusy, SourceRefused, WorkosSource
from syncline.obs.logging import get_logger
from syncline.services.import_counts import MAX_PROBLEMS, counted
from syncline.services.import_managers import evaluate_again, noted
from syncline.services.import_records import ImportOptions, ImportRecords
from syncline.services.import_results import RecordResult
from syncline.services.kernel import Kernel
from syncline.store import directories
from syncline.store import imports as store
from syncline.store.database import Connection
from syncline.store.engine import database_now
from syncline.store.imports import Import, ImportState

_logger = get_logger(__name__)

_PAGE = 100
# A wait that a process sits out; for a longer one the import is put down.
_SHORT = 5.0
_AGAIN = 15.0
_FOREIGN = "What answers at the address does not speak the WorkOS API."

Progress = dict[str, Any]
T = TypeVar("T")


def begin(directory_ids: Sequence[str]) -> Progress:
    """Return where a walk begins: at the organizations, or at the directories that are named."""
    if directory_ids:
        return {"stage": "directory", "named": 0}
    return {"stage": "organizations", "after": None}


class _Stopped(Exception):
    """Somebody canceled the import."""


class Walk:
    """One import in the hands of one process."""

    def __init__(
        self,
        kernel: Kernel,
        records: ImportRecords,
        current: Import,
        options: ImportOptions,
        api_key: str,
        cause: Cause,
        hold: timedelta,
    ) -> None:
        self._kernel = kernel
        self._records = records
        self._current = current
        self._options = options
        self._api_key = api_key
        self._cause = cause
        self._hold = hold
        self._stages: Mapping[str, Callable[[WorkosSource], Any]] = {
            "organizations": self._organizations,
            "directories": self._directories,
            "directory": self._directory,
            "users": self._users,
            "groups": self._groups,
            "group": self._group,
            "members": self._members,
        }

    async def run(self) -> None:
        """Go on until everything is in, the source is busy for long, or it refuses."""
        failures = 0
        try:
            base_url = str(self._current.options["base_url"])
            async with WorkosSource(base_url, self._api_key, self._kernel.policy) as source:
                while self._current.progress["stage"] != "end":
                    try:
                        await self._stages[self._current.progress["stage"]](source)
                        failures = 0
                    except (SourceBusy, Overloaded) as busy:
                        failures += 1
                        wait = busy.retry_after or min(0.5 * 2**failures, _AGAIN)
                        if wait > _SHORT:
                            await self._put_down(busy.message, wait)
                            return
                        await asyncio.sleep(wait)
                    faults.hit("import.after_page")
        except SourceRefused as refusal:
            await self._fail(refusal.message)
        except _Stopped:
            return
        else:
            await self._complete()

    async def _organizations(self, source: WorkosSource) -> None:
        page = await self._page(source, "/organizations")
        results = await self._take_in(_shaped(shapes.organization, page["data"]))
        await self._advance(page, results, then={"stage": "directories", "after": None})

    async def _directories(self, source: WorkosSource) -> None:
        page = await self._page(source, "/directories")
        results = await self._take_in(_shaped(shapes.directory, page["data"]))
        await self._advance(page, results, then={"stage": "directory", "directory": None})

    async def _directory(self, source: WorkosSource) -> None:
        """Choose the next directory, if there is one, to read the people of."""
        results: list[RecordResult] = []
        named = self._current.options.get("directory_ids") or []
        if named:
            at = int(self._current.progress["named"])
            if at >= len(named):
                await self._save({"stage": "end"}, [])
                return
            found = await source.get(f"/directories/{named[at]}")
            owner = await source.get(f"/organizations/{found['organization_id']}")
            results = await self._take_in(
                [*_shaped(shapes.organization, [owner]), *_shaped(shapes.directory, [found])]
            )
            following: Progress = {"named": at + 1}
        else:
            after = self._current.progress["directory"]
            page = await source.get("/directories", {"order": "asc", "limit": 1, "after": after})
            if not page["data"]:
                await self._save({"stage": "end"}, [])
                return
            found = page["data"][0]
            following = {}
        following["directory"] = found["id"]
        people, groups = _sizes(found)
        if await self._is_here(found["id"]):
            following |= {"stage": "users", "after": None, "read": 0, "expected": people}
        else:
            following |= {"stage": "directory"}
            results += _left_out(found["id"], people, groups)
        await self._save(following, results)

    async def _users(self, source: WorkosSource) -> None:
        progress = self._current.progress
        page = await self._page(source, "/directory_users", directory=progress["directory"])
        prefixed = self._current.options.get("scim_ids") == "prefixed"
        people = page["data"]
        results = await self._take_in(_shaped(partial(shapes.user, keeps_id=prefixed), people))
        read = int(progress["read"]) + len(people)
        expected = progress.get("expected")
        extra: list[dict[str, Any]] = []
        if page["list_metadata"]["after"] is None and expected is not None and read < expected:
            counted = f"The source counts {expected} people in the directory and listed {read}."
            extra.append(
                {
                    "type": "directory",
                    "id": progress["directory"],
                    "code": "count_differs",
                    "message": counted,
                }
            )
        then = {"stage": "groups", "after": None}
        await self._advance(page, results, then=then, keep={"read": read}, extra=extra)

    async def _groups(self, source: WorkosSource) -> None:
        page = await self._page(source, "/directory_groups", directory=self._current.progress["directory"])
        prefixed = self._current.options.get("scim_ids") == "prefixed"
        results = await self._take_in(_shaped(partial(shapes.group, keeps_id=prefixed), page["data"]))
        await self._advance(page, results, then={"stage": "group", "group": None})

    async def _group(self, source: WorkosSource) -> None:
        """Choose the next group of the directory to read the members of."""
        progress = self._current.progress
        query: Query = {
            "directory": progress["directory"],
            "order": "asc",
            "limit": 1,
            "after": progress["group"],
        }
        page = await source.get("/directory_groups", query)
        if page["data"]:
            await self._save({"stage": "members", "group": page["data"][0]["id"], "after": None}, [])
        else:
            await self._save({"stage": "directory"}, [])

    async def _members(self, source: WorkosSource) -> None:
        progress = self._current.progress
        group = progress["group"]
        page = await self._page(source, "/directory_users", group=group)
        ids = [one["id"] for one in page["data"]]
        records = [shapes.membership(progress["directory"], group, ids)] if ids else []
        await self._advance(page, await self._take_in(records), then={"stage": "group"})

    async def _page(self, source: WorkosSource, path: str, **narrowed: str) -> dict[str, Any]:
        after = self._current.progress["after"]
        query: Query = {**narrowed, "order": "asc", "limit": _PAGE, "after": after}
        page = await source.get(path, query)
        if not isinstance(page.get("data"), list) or not isinstance(page.get("list_metadata"), dict):
            raise SourceRefused(200, _FOREIGN)
        return page

    async def _take_in(self, records: Sequence[Any]) -> list[RecordResult]:
        values = cast(list[Json], msgspec.to_builtins(list(records)))
        return await self._records.take_in(self._current.environment_id, values, self._options, self._cause)

    async def _advance(
        self,
        page: Mapping[str, Any],
        results: Sequence[RecordResult],
        *,
        then: Progress,
        keep: Progress | None = None,
        extra: Sequence[dict[str, Any]] = (),
    ) -> None:
        """Go on to the next page of the list, or behind its end."""
        after = page["list_metadata"].get("after")
        following = then if after is None or not page["data"] else {"after": after, **(keep or {})}
        await self._save(following, results, extra)

    async def _save(
        self,
        following: Progress,
        results: Sequence[RecordResult],
        extra: Sequence[dict[str, Any]] = (),
    ) -> None:
        def work(connection: Connection) -> Import:
            held = store.by_id(connection, self._current.id, lock=True)
            if held.state is not ImportState.RUNNING:
                raise _Stopped
            moved = noted(counted(held, results), results)
            moved = replace(moved, progress=moved.progress | following, error=None)
            moved = store.counted(moved, {}, list(extra), MAX_PROBLEMS)
            store.save(connection, moved, lease_until=database_now(connection) + self._hold)
            return moved

        self._current = await self._kernel.database.write(work)

    async def _is_here(self, source_id: str) -> bool:
        environment_id = self._current.environment_id
        id_ = own_id(Prefix.DIRECTORY, source_id, within=environment_id)
        return await self._kernel.database.read(
            lambda connection: directories.get(connection, environment_id, id_) is not None
        )

    async def _put_down(self, reason: str, seconds: float) -> None:
        await self._settle(ImportState.RUNNING, reason, wait=timedelta(seconds=seconds))
        _logger.info("import.waiting", import_id=self._current.id, seconds=seconds)

    async def _fail(self, reason: str) -> None:
        await self._settle(ImportState.FAILED, reason)
        _logger.warning("import.failed", import_id=self._current.id, reason=reason)

    async def _complete(self) -> None:
        await self._settle(ImportState.COMPLETE, None)
        _logger.info("import.complete", import_id=self._current.id)

    async def _settle(self, state: ImportState, error: str | None, *, wait: timedelta | None = None) -> None:
        def work(connection: Connection) -> None:
            held = store.by_id(connection, self._current.id, lock=True)
            if held.state is not ImportState.RUNNING:
                return
            now = database_now(connection)
            is_end = state is not ImportState.RUNNING
            settled = replace(held, state=state, error=error, finished_at=now if is_end else None)
            if state is ImportState.COMPLETE:
                settled = replace(settled, sealed=None)
                evaluate_again(self._kernel, connection, settled)
            due = None if is_end else now + (wait or timedelta())
            store.save(connection, settled, next_due_at=due, lease_until=None)

        await self._kernel.database.write(work)


def _sizes(found: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Return how many people and groups the source counts in a directory, None where it does not say."""
    sizes = found.get("metadata") or {}
    people, groups = sizes.get("users") or {}, sizes.get("groups")
    counted = sum(int(number) for number in people.values()) if people else None
    return counted, int(groups) if groups is not None else None


def _left_out(directory_id: str, people: int | None, groups: int | None) -> list[RecordResult]:
    """Return what becomes of those in a directory that is not taken in: they are left out, and told of."""
    told = "Its people and groups were left out, because the directory itself was not taken in"
    sizes = [f"{kind}: {number}" for kind, number in (("people", people), ("groups", groups)) if number]
    message = f"{told} ({', '.join(sizes)})." if sizes else f"{told}."
    of_users = RecordResult(
        "user",
        directory_id,
        Outcome.REFUSED,
        code="directory_left_out",
        message=message,
        number=people or 0,
        directory_id=directory_id,
    )
    return [of_users, replace(of_users, type="group", number=groups or 0)]


def _shaped(read: Callable[[Mapping[str, Any]], T], found: Sequence[Mapping[str, Any]]) -> list[T]:
    """Return objects of the API as records. Raises `SourceRefused` for what is no such object."""
    try:
        return [read(one) for one in found]
    except (KeyError, TypeError, AttributeError):
        raise SourceRefused(200, _FOREIGN) from None
