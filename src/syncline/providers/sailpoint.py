"""SailPoint, as a SCIM client."""

from __future__ import annotations

from syncline.providers.profile import Profile

PROFILE = Profile(
    type="sailpoint scim v2.0",
    label="SailPoint",
    quirks=(
        "C-01",
        "S-01",
        "S-02",
        "S-03",
    ),
    note="Reads everything page by page and takes entitlements from a person's groups.",
)
