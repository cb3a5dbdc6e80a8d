"""Examples of imports and further SCIM paths for the reference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from syncline.web.api.imports import ImportBody, RecordResultBody, RecordsTaken, ScimAlias

IMPORT_ID = "import_01KA0Z6E8G0J2M4P6R8T0V2X4Z"
ALIAS_ID = "scim_alias_01KA0Z6F9H1K3M5P7R9T1V3X5Z"
_PATH = "/api/scim/v2.0/7b1c9d3e"
_OWNER = "org_01KA0YPX7B9D1F3H5K7M9Q1S3A"

IMPORT = ImportBody(
    id=IMPORT_ID,
    source="records",
    state="open",
    events="none",
    live=False,
    next_record=1,
    stage=None,
    counts={},
    problems=[],
    error=None,
    created_at="2026-03-02T08:15:00.120Z",
    finished_at=None,
)
ANSWERS: Mapping[type[Any], Any] = {
    ImportBody: IMPORT,
    RecordsTaken: RecordsTaken(
        results=[RecordResultBody("organization", _OWNER, _OWNER, "created", None, None)],
        import_=replace(IMPORT, next_record=2, counts={"organizations": {"created": 1}}),
    ),
    ScimAlias: ScimAlias(
        id=ALIAS_ID,
        directory_id="directory_01KA0YQ2C4E6G8J0M2P4R6T8V0",
        path=_PATH,
        endpoint=f"https://syncline.example{_PATH}",
        created_at="2026-03-02T08:15:00.120Z",
    ),
}
