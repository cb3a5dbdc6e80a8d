"""PingFederate, as a SCIM client."""

from __future__ import annotations

from syncline.providers.profile import Profile

PROFILE = Profile(
    type="pingfederate scim v2.0",
    label="PingFederate",
    quirks=(
        "P-01",
        "P-02",
        "G-10",
        "G-11",
        "O-05",
        "S11-7",
    ),
    note="Replaces people, patches groups; the built-in outbound speaks SCIM 1.1.",
)
