"""OneLogin, as a SCIM client."""

from __future__ import annotations

from syncline.providers.profile import Profile

PROFILE = Profile(
    type="onelogin scim v2.0",
    label="OneLogin",
    quirks=(
        "L-01",
        "L-02",
        "L-03",
        "L-04",
        "L-05",
        "L-06",
        "E-21",
        "G-04",
        "G-06",
        "G-07",
    ),
    note="Bodies come from templates that admins edit.",
)
