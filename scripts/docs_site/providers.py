"""Pages about providers, read from their profiles."""

from __future__ import annotations

from collections.abc import Iterator

from scripts.docs_site.markdown import code, joined, pretty, slug, table
from syncline.core.scim.quirks import CATALOG
from syncline.providers.profile import Profile
from syncline.providers.registry import BUILT_METHODS, DIRECTORY_TYPES, PROFILES


def pages() -> Iterator[tuple[str, str]]:
    """Yield path and text of a page for each provider."""
    for profile in sorted(PROFILES, key=lambda one: one.label.lower()):
        yield f"providers/{slug(profile.label)}.md", _page(profile)


def overview() -> str:
    """Return a table of all providers, and the types that are known and not built."""
    rows = [
        (f"[{one.label}]({slug(one.label)}.md)", f"`{one.type}`", one.note)
        for one in sorted(PROFILES, key=lambda one: one.label.lower())
    ]
    later = [f"`{name}`" for name, method in DIRECTORY_TYPES.items() if method not in BUILT_METHODS]
    return joined(
        table(("provider", "`type`", "how it speaks"), rows),
        f"Known, not built yet, and refused with `type_unsupported`: {', '.join(later)}.",
    )


def _page(profile: Profile) -> str:
    body = pretty({"organization_id": "org_…", "name": f"Northwind {profile.label}", "type": profile.type})
    return joined(
        f"# {profile.label}",
        profile.note,
        f"A directory of this provider has the type `{profile.type}`.",
        "## Connect it",
        "Create the directory, then paste `scim.endpoint` and `scim.bearer_token` of the answer into the "
        "provider's provisioning screen. The token is shown this once. Step by step: "
        "[Connect a provider](../guides/connect-a-provider.md).",
        code(
            "bash",
            "curl -X POST http://localhost:8000/directories \\\n"
            '  -H "Authorization: Bearer $SYNCLINE_API_KEY" -H "Content-Type: application/json" \\\n'
            f"  -d '{body}'",
        ),
        "The directory is `validating` until the provider's first request, which its connection test makes; "
        "then it is `linked` and `dsync.activated` is in the log.",
        "## What it sends",
        "Syncline speaks SCIM 2.0 at `/scim/v2/…` and SCIM 1.1 at `/scim/v1/…` on the same data. "
        f"A PATCH of a group with more than {profile.group_members_answered:,} members is answered with 204 "
        "instead of the group.",
        _quirks(profile),
    )


def _quirks(profile: Profile) -> str:
    if not profile.quirks:
        return ""
    rows = [(f"[`{id_}`](../reference/quirks.md#{id_.lower()})", CATALOG[id_].text) for id_ in profile.quirks]
    return joined(
        "It is known to need these leniencies. They are on for every directory, whatever its type.",
        table(("quirk", "what Syncline does"), rows),
    )
