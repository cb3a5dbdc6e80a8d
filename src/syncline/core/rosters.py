"""An app's own list of people as it arrives: JSON, NDJSON or CSV, each row checked, each with its line."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from syncline.core.errors import FieldError, MalformedJson
from syncline.core.ids import Prefix
from syncline.core.json import Json, parse_json
from syncline.core.text import looks_like_email

MAX_ROWS = 1_000_000
MAX_RECORD = 64 * 1024
MAX_TEXT = 2_000
MAX_PROBLEMS = 50
"""How many bad rows are named; a roster with one is refused as a whole."""

CUSTOM = "custom_attributes"
_CUSTOM = f"{CUSTOM}."
IDENTIFIERS = ("directory_user_id", "idp_id", "email")
"""What a row is matched by: the first of these that it has."""
PROFILE = ("idp_id", "email", "first_name", "last_name", "name", "username", "job_title")
COLUMNS = ("app_id", "directory_user_id", *PROFILE, "active", "state", "role", "roles", CUSTOM)
_BOOLEANS = {
    **dict.fromkeys(("true", "t", "yes", "y", "1", "active"), True),
    **dict.fromkeys(("false", "f", "no", "n", "0", "inactive"), False),
}
_TOO_LONG = f"is longer than {MAX_RECORD} characters"
_ID = re.compile(f"{Prefix.DIRECTORY_USER}_[!-~]{{1,80}}")
_SEPARATORS = re.compile(r"[;,|\s]+")
_LONGEST_NAME = 100
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
NO_ROW = FieldError("row", "row_invalid")
"""What is wrong with a line that is no row at all."""


class RosterFormat(StrEnum):
    """How a roster is written: one object, an object a line, or a table with a header."""

    JSON = "json"
    NDJSON = "ndjson"
    CSV = "csv"


@dataclass(frozen=True, slots=True)
class RosterRow:
    """One person as the app knows them.

    `values` holds what the row says beyond who it is and whether it is active, by attribute (custom ones as
    `custom_attributes.<key>`, `role` a slug, `roles` a list of slugs); what the row does not have is not in
    it, and null is a value.
    """

    line: int
    app_id: str | None = None
    directory_user_id: str | None = None
    idp_id: str | None = None
    email: str | None = None
    active: bool = True
    values: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RowProblem:
    """Why a row is refused: what is wrong with which column, and a sentence about it."""

    line: int
    error: FieldError
    text: str


class RowRefused(Exception):
    """A row that is not one."""

    def __init__(self, problem: RowProblem) -> None:
        super().__init__(problem.text)
        self.problem = problem


class RosterUnreadable(RowRefused):
    """A roster that cannot be read any further: no header, not UTF-8, a record without an end."""


def read_row(line: int, given: Mapping[str, Json]) -> RosterRow:
    """Return the row of an object or of a record of a table. Raises `RowRefused`."""
    values: dict[str, Json] = {}
    texts: dict[str, str | None] = {}
    active: bool | None = None
    for name, value in given.items():
        if name in ("active", "state"):
            said = _active(line, name, value)
            if active is not None and said is not None and said is not active:
                raise _refused(line, "state", "state_invalid", "active and state contradict each other")
            active = active if said is None else said
        elif name in ("app_id", "directory_user_id", *PROFILE):
            texts[name] = _text(line, name, value)
        elif name == "role":
            values["role"] = _text(line, name, value)
        elif name == "roles":
            values["roles"] = _slugs(line, value)
        elif name == CUSTOM:
            values |= _custom(line, value)
        elif name.startswith(_CUSTOM) and len(name) > len(_CUSTOM):
            values |= _custom(line, {name.removeprefix(_CUSTOM): value})
        else:
            raise _refused(line, name[:100], f"{name[:100]}_unknown", f"there is no column {name[:100]!r}")
    _check_identity(line, texts)
    values |= {name: texts[name] for name in PROFILE if name in texts}
    return RosterRow(
        line=line,
        app_id=texts.get("app_id"),
        directory_user_id=texts.get("directory_user_id"),
        idp_id=texts.get("idp_id"),
        email=texts.get("email"),
        active=active is not False,
        values=values,
    )


def read_objects(items: Sequence[Json], first: int = 1) -> Iterator[RosterRow | RowProblem]:
    """Yield the rows of a list of objects, numbered from `first`; a problem for each bad one."""
    for line, item in enumerate(items, first):
        yield _row_or_problem(line, item)


class Records:
    """Cuts NDJSON or CSV into records, piece by piece; holds no more than one of them."""

    def __init__(self, form: RosterFormat, first: int = 1) -> None:
        """`first` is the number of the first line."""
        self.delimiter = ","
        self.line = first - 1
        self._is_table = form is RosterFormat.CSV
        self._text = codecs.getincrementaldecoder("utf-8-sig")()
        self._rest = ""
        self._held: list[str] = []
        self._begun = first

    def feed(self, chunk: bytes, *, last: bool = False) -> Iterator[tuple[int, str]]:
        """Yield what is complete after another piece: the line it begins at, and its text, also if blank.

        Raises `RosterUnreadable` where it makes no sense to go on.
        """
        try:
            text = self._text.decode(chunk, last)
        except UnicodeDecodeError:
            raise unreadable(self.line + 1, "is not UTF-8") from None
        lines = (self._rest + text).split("\n")
        self._rest = lines.pop()
        if last and self._rest:
            lines.append(self._rest)
            self._rest = ""
        elif len(self._rest) > MAX_RECORD:
            raise unreadable(self.line + 1, _TOO_LONG)
        for line in lines:
            record = self._take(line.removesuffix("\r"))
            if record is not None:
                yield self._begun, record
        if last and self._held:
            raise unreadable(self._begun, "has a quotation mark that is never closed")

    def _take(self, line: str) -> str | None:
        self.line += 1
        if not self._held:
            self._begun = self.line
        record = "\n".join([*self._held, line]) if self._held else line
        if len(record) > MAX_RECORD:
            raise unreadable(self._begun, _TOO_LONG)
        if self._is_table and '"' in record and _is_open(record, self.delimiter):
            self._held.append(line)
            return None
        self._held = []
        return record


class RosterReader:
    """Reads an NDJSON or CSV roster piece by piece; holds no more than one record."""

    def __init__(self, form: RosterFormat, first: int = 1) -> None:
        """`first` is the number of the first line."""
        self._is_table = form is RosterFormat.CSV
        self._read: Callable[[int, str], RosterRow | RowProblem | None] = self._read_object
        if self._is_table:
            self._read = self._read_record
        self._records = Records(form, first)
        self._header: list[str] = []

    @property
    def line(self) -> int:
        """The number of the last line that was read."""
        return self._records.line

    def feed(self, chunk: bytes, *, last: bool = False) -> Iterator[RosterRow | RowProblem]:
        """Yield what is complete after another piece, a problem for each bad row; `last` ends the roster.

        Raises `RosterUnreadable` where it makes no sense to go on.
        """
        for line, record in self._records.feed(chunk, last=last):
            found = self._read(line, record) if record.strip() else None
            if found is not None:
                yield found
        if last and self._is_table and not self._header:
            raise unreadable(1, "is missing: a table begins with the names of its columns")

    def _read_object(self, line: int, record: str) -> RosterRow | RowProblem:
        try:
            return _row_or_problem(line, parse_json(record.encode()))
        except MalformedJson as error:
            return RowProblem(line, NO_ROW, error.message)

    def _read_record(self, line: int, record: str) -> RosterRow | RowProblem | None:
        if not self._header:
            self._records.delimiter = next((sign for sign in ",;\t" if sign in record), ",")
        try:
            cells = next(csv.reader([record], delimiter=self._records.delimiter, strict=True))
        except csv.Error as error:
            return RowProblem(line, NO_ROW, str(error))
        if not self._header:
            self._header = _columns(line, cells)
            return None
        if len(cells) != len(self._header):
            wanted = f"the header has {len(self._header)} columns, this record {len(cells)}"
            return RowProblem(line, NO_ROW, wanted)
        return _row_or_problem(line, dict(zip(self._header, cells, strict=True)))


def unreadable(line: int, why: str, error: FieldError | None = None) -> RosterUnreadable:
    """Return the error of a roster that cannot be read from a line on; `error` is of a column, if of one."""
    return RosterUnreadable(RowProblem(line, error or NO_ROW, f"line {line} {why}"))


def _columns(line: int, cells: Sequence[str]) -> list[str]:
    """Return the names of a header. Raises `RosterUnreadable`."""
    found: list[str] = []
    for cell in cells:
        head, dot, key = cell.strip().partition(".")
        name = f"{head.lower()}{dot}{key}"
        shown = name[:_LONGEST_NAME]
        wrong = FieldError(shown, f"{shown}_unknown")
        is_known = name in COLUMNS and name != CUSTOM
        if not is_known and not (name.startswith(_CUSTOM) and key):
            raise unreadable(line, f"names a column {shown!r} that does not exist", wrong)
        if name in found:
            raise unreadable(line, f"names the column {shown!r} twice", wrong)
        found.append(name)
    if not any(name in IDENTIFIERS for name in found):
        wanted = FieldError(IDENTIFIERS[0], "directory_user_id_required")
        raise unreadable(line, f"names none of {', '.join(IDENTIFIERS)}", wanted)
    return found


def _row_or_problem(line: int, item: Json) -> RosterRow | RowProblem:
    if not isinstance(item, dict):
        return RowProblem(line, NO_ROW, "a row is an object")
    try:
        return read_row(line, item)
    except RowRefused as refused:
        return refused.problem


def _check_identity(line: int, texts: Mapping[str, str | None]) -> None:
    if not any(texts.get(name) for name in IDENTIFIERS):
        why = f"a row needs one of {', '.join(IDENTIFIERS)}"
        raise _refused(line, "directory_user_id", "directory_user_id_required", why)
    id_ = texts.get("directory_user_id")
    if id_ and _ID.fullmatch(id_) is None:
        why = f"the id of a directory user begins with {Prefix.DIRECTORY_USER}_"
        raise _refused(line, "directory_user_id", "directory_user_id_invalid", why)
    address = texts.get("email")
    if address and not looks_like_email(address):
        raise _refused(line, "email", "email_invalid", "this is no address")


def _text(line: int, name: str, value: Json) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool) and name in ("app_id", "idp_id"):
        value = str(value)
    if value is None:
        return None
    if not isinstance(value, str) or _CONTROL.search(value):
        raise _refused(line, name, f"{name}_invalid", "this is no text")
    if len(value) > MAX_TEXT:
        raise _refused(line, name, f"{name}_too_long", f"a text has at most {MAX_TEXT} characters")
    return value.strip() or None


def _active(line: int, name: str, value: Json) -> bool | None:
    if value is None or value == "":
        return None
    found = value if isinstance(value, bool) else _BOOLEANS.get(str(value).strip().lower())
    if found is None:
        raise _refused(line, name, f"{name}_invalid", "this is neither active nor inactive")
    return found


def _slugs(line: int, value: Json) -> list[Json]:
    if value is None:
        return []
    if isinstance(value, str):
        value = [part for part in _SEPARATORS.split(value) if part]
    if not isinstance(value, list):
        raise _refused(line, "roles", "roles_invalid", "roles are a list")
    slugs = [_text(line, "roles", part) for part in value]
    return [slug for slug in slugs if slug]


def _custom(line: int, value: Json) -> dict[str, Json]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _refused(line, CUSTOM, f"{CUSTOM}_invalid", f"{CUSTOM} is an object")
    if any(_CONTROL.search(key) or len(key) > _LONGEST_NAME for key in value):
        raise _refused(line, CUSTOM, f"{CUSTOM}_invalid", "a key is too long, or is no text")
    if any(isinstance(part, str) and _CONTROL.search(part) for part in value.values()):
        raise _refused(line, CUSTOM, f"{CUSTOM}_invalid", "this is no text")
    return {f"{_CUSTOM}{key}": _blank(part) for key, part in value.items()}


def _blank(value: Json) -> Json:
    return None if isinstance(value, str) and not value.strip() else value


def _is_open(record: str, delimiter: str) -> bool:
    """Tell whether a record of a table ends inside of quotation marks (RFC 4180)."""
    inside, at_start = False, True
    position = 0
    while position < len(record):
        char = record[position]
        if inside and char == '"':
            if record[position + 1 : position + 2] == '"':
                position += 1
            else:
                inside = False
        elif not inside:
            inside = at_start and char == '"'
            at_start = char in (delimiter, "\n")
        position += 1
    return inside


def _refused(line: int, name: str, code: str, text: str) -> RowRefused:
    return RowRefused(RowProblem(line, FieldError(name, code), text))
