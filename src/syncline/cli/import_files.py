"""Read the files of an import record by record: NDJSON, or one CSV file for each kind of record."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from syncline.cli.client import UNUSABLE, CommandFailed

CSV_NAMES = {
    "organizations.csv": "organization",
    "directories.csv": "directory",
    "users.csv": "user",
    "groups.csv": "group",
    "memberships.csv": "membership",
}
_NDJSON = (".ndjson", ".jsonl")
_LONGEST_LINE = 900 * 1024
_CHUNK_BYTES = 700 * 1024
_CHUNK = 200
_MEMBERS = 500
_MEMBER_LISTS = ("user_ids", "member_group_ids")

Record = dict[str, Any]


def ordered(paths: Sequence[Path]) -> list[Path]:
    """Return the files in the order of an import. Raises `CommandFailed` for one that is of no known kind."""
    kinds = list(CSV_NAMES)
    for path in paths:
        if path.suffix.lower() not in _NDJSON and path.name.lower() not in kinds:
            raise CommandFailed(
                f"'{path.name}' is no file of an import: give NDJSON files (.ndjson), or CSV files named "
                f"{', '.join(kinds)}.",
                UNUSABLE,
            )
        if not path.is_file():
            raise CommandFailed(f"There is no file '{path}'.", UNUSABLE)

    def place(path: Path) -> int:
        name = path.name.lower()
        return kinds.index(name) if name in kinds else -1

    return sorted(paths, key=place)


def records(paths: Iterable[Path]) -> Iterator[Record]:
    """Yield the records of files in order. Raises `CommandFailed` naming the file and the line."""
    for path in paths:
        try:
            with path.open(encoding="utf-8-sig", newline="") as file:
                kind = CSV_NAMES.get(path.name.lower())
                yield from _lines(file, path) if kind is None else _rows(file, path, kind)
        except (OSError, UnicodeDecodeError) as error:
            raise CommandFailed(f"{path.name} cannot be read: {error}", UNUSABLE) from None


def chunks(found: Iterable[Record], first: int) -> Iterator[tuple[int, list[Record]]]:
    """Yield records in parts that a call takes, each with the number of its first, from a number on."""
    part: list[Record] = []
    size = start = 0
    for number, record in enumerate(found, 1):
        if number < first:
            continue
        length = len(json.dumps(record, ensure_ascii=False).encode())
        if part and (len(part) >= _CHUNK or size + length > _CHUNK_BYTES):
            yield start, part
            part, size = [], 0
        if not part:
            start = number
        part.append(record)
        size += length
    if part:
        yield start, part


def _lines(file: IO[str], path: Path) -> Iterator[Record]:
    for number, line in enumerate(file, 1):
        text = line.strip()
        if not text:
            continue
        if len(text) > _LONGEST_LINE:
            raise CommandFailed(f"{path.name}, line {number}: a record may have {_LONGEST_LINE} characters.")
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            raise CommandFailed(f"{path.name}, line {number}: this is no JSON.", UNUSABLE) from None
        if not isinstance(found, dict):
            raise CommandFailed(f"{path.name}, line {number}: a record is a JSON object.", UNUSABLE)
        yield found


def _rows(file: IO[str], path: Path, kind: str) -> Iterator[Record]:
    from syncline.core.import_csv import record_of
    from syncline.core.imports import RecordRefused

    reader = csv.DictReader(file, strict=True)
    members: Record | None = None
    try:
        for row in reader:
            if None in row:
                raise CommandFailed(
                    f"{path.name}, line {reader.line_num}: more cells than columns.", UNUSABLE
                )
            record = record_of(kind, {str(name).strip().lower(): value or "" for name, value in row.items()})
            if kind != "membership":
                yield record
                continue
            # Rows of one group that follow each other are one record.
            if members is not None and _joins(members, record):
                for name in _MEMBER_LISTS:
                    members[name] += record[name]
                continue
            if members is not None:
                yield members
            members = record
        if members is not None:
            yield members
    except csv.Error as error:
        raise CommandFailed(f"{path.name}, line {reader.line_num}: {error}.", UNUSABLE) from None
    except RecordRefused as refusal:
        raise CommandFailed(f"{path.name}, line {reader.line_num}: {refusal.message}", UNUSABLE) from None


def _joins(members: Record, record: Record) -> bool:
    same = all(members.get(name) == record.get(name) for name in ("directory_id", "group_id"))
    return same and sum(len(members[name]) for name in _MEMBER_LISTS) < _MEMBERS
