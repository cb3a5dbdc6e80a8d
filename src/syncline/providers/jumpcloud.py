"""JumpCloud, as a SCIM client."""

from __future__ import annotations

from syncline.providers.profile import Profile

PROFILE = Profile(
    type="jump cloud scim v2.0",
    label="JumpCloud",
    quirks=(
        "J-01",
        "J-02",
        "J-03",
        "J-04",
        "E-13",
        "O-08",
    ),
    note="Activation makes, changes and deletes a test person and a test group.",
)
