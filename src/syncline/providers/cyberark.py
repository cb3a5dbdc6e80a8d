"""CyberArk, as a SCIM client."""

from __future__ import annotations

from syncline.providers.profile import Profile

PROFILE = Profile(
    type="cyberark scim v2.0",
    label="CyberArk",
    quirks=(
        "C-01",
        "C-02",
        "E-13",
        "G-13",
    ),
    note="Verifies the connection with a list of one person.",
)
