"""Rippling, as a SCIM client."""

from __future__ import annotations

from syncline.providers.profile import Profile

PROFILE = Profile(
    type="rippling scim v2.0",
    label="Rippling",
    quirks=(
        "R-01",
        "G-02",
        "G-04",
    ),
    note="Repeats requests; a duplicate must be a 409.",
)
