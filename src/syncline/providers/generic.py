"""Any SCIM 2.0 or 1.1 client, as a SCIM client."""

from __future__ import annotations

from syncline.providers.profile import Profile

PROFILE = Profile(
    type="generic scim v2.0",
    label="Any SCIM 2.0 or 1.1 client",
    quirks=(
        "A-01",
        "A-02",
        "A-03",
        "A-04",
        "A-05",
        "A-06",
        "A-07",
        "K-01",
        "K-02",
        "K-03",
        "M-01",
        "M-02",
        "M-03",
        "M-04",
        "M-05",
        "M-06",
        "M-07",
        "M-08",
    ),
    note="authentik, Keycloak and every client that follows the RFC more or less.",
)
