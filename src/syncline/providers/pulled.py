"""Sources that are pulled: what is known of each. Data for connectors to come.

A person arrives as the provider shows them (`connectors.md` §2.1): default sources are paths into that.
"""

from __future__ import annotations

from syncline.providers import pulled_directories, pulled_files, pulled_google, pulled_hr
from syncline.providers.profile import Profile

PROFILES: tuple[Profile, ...] = (
    pulled_google.PROFILE,
    pulled_files.WORKDAY,
    *pulled_files.FILES,
    *pulled_hr.PROFILES,
    *pulled_directories.PROFILES,
)
"""Every pulled source; a new one is a line here."""
