"""Reading and comparing rosters: pieces do not matter, and a person's own row differs in nothing."""

from __future__ import annotations

import csv
import io
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from syncline.core.events import UserUpdated, builtins
from syncline.core.reconcile import as_the_app_has_it, compare, differences
from syncline.core.rosters import PROFILE, RosterFormat, RosterReader, RosterRow, RowProblem, read_row
from tests.unit.test_reconcile import shown

_TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from('",;\n\t '), max_size=12)
_TABLE = st.lists(st.tuples(st.text("abc", min_size=1, max_size=3), _TEXT, _TEXT), max_size=6)
_FIELDS = st.dictionaries(
    st.sampled_from([name for name in PROFILE if name not in ("email", "idp_id")]), st.none() | _TEXT
)
_CUSTOM = st.dictionaries(
    st.sampled_from(["cost_center", "level", "remote", "more"]),
    st.none() | st.booleans() | st.integers(-9, 9) | _TEXT,
)


def _read(raw: bytes, cuts: list[int]) -> list[RosterRow | RowProblem]:
    reader = RosterReader(RosterFormat.CSV)
    found: list[RosterRow | RowProblem] = []
    ends = [*sorted({cut % (len(raw) + 1) for cut in cuts}), len(raw)]
    start = 0
    for end in ends:
        found += reader.feed(raw[start:end])
        start = end
    return [*found, *reader.feed(b"", last=True)]


@given(_TABLE, st.lists(st.integers(0, 500), max_size=5), st.sampled_from(["\n", "\r\n"]))
def test_a_table_reads_alike_however_it_is_cut_and_as_it_was_written(
    rows: list[tuple[str, str, str]], cuts: list[int], ending: str
) -> None:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator=ending)
    writer.writerow(["idp_id", "name", "job_title"])
    writer.writerows(rows)
    raw = out.getvalue().encode()
    whole = _read(raw, [])
    assert whole == _read(raw, cuts)
    read = [(one.values["idp_id"], one.values["name"], one.values["job_title"]) for one in whole]  # type: ignore[union-attr]
    assert read == [(id_, name.strip() or None, title.strip() or None) for id_, name, title in rows]


@given(_FIELDS, _CUSTOM)
def test_a_row_made_of_the_person_differs_in_nothing(fields: dict[str, Any], custom: dict[str, Any]) -> None:
    person = shown(**fields, custom_attributes=custom)
    row = read_row(1, {"email": person.email, **fields, "custom_attributes": custom})
    assert list(compare(row, "scim", person)) == []


@given(_FIELDS, _CUSTOM, _FIELDS, _CUSTOM)
def test_the_missed_event_names_exactly_what_differs(
    fields: dict[str, Any], custom: dict[str, Any], theirs: dict[str, Any], their_custom: dict[str, Any]
) -> None:
    """`previous_attributes` are the app's values of what differs, and applying the event leaves nothing."""
    person = shown(**fields, custom_attributes=custom)
    row = read_row(1, {"email": person.email, **theirs, "custom_attributes": their_custom})
    found = differences(row.values, builtins(person))
    previous = msgspec.json.decode(UserUpdated(as_the_app_has_it(person, found), person).text())[
        "previous_attributes"
    ]
    nested = previous.pop("custom_attributes", {})
    assert isinstance(nested, dict)
    named = {**previous, **{f"custom_attributes.{key}": value for key, value in nested.items()}}
    assert named == {name: one.app for name, one in found.items()}
    after = {**row.values, **{name: one.directory for name, one in found.items()}}
    assert differences(after, msgspec.to_builtins(person)) == {}
