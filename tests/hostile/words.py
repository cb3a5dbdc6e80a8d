"""The words that hostile requests are made of: names, segments, headers, filters and paths."""

from __future__ import annotations

from random import Random

from tests.hostile import values

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
USER = "urn:ietf:params:scim:schemas:core:2.0:User"

ATTRIBUTES = (
    "userName", "active", "emails", "emails.value", "name.familyName", "members", "id", "meta.created",
    "title", "externalId", "displayName", "password", "schemas", "groups", "addresses", "x.y.z",
    "manager", "$ref", "value", f"{ENTERPRISE}:department", f"{USER}:userName", "urn:x", "urn:a:b:c:d",
    'emails[type eq "work"].value',
)  # fmt: skip
SEGMENTS = (
    "..", ".", "%2e%2e", "%2E", "%2F", "a%2Fb", "%5C", "%00", "x%00y", "%", "%zz", "%ff%fe", "%C0%AF",
    "%ED%A0%80", "%F0%9F%98%80", "%25%32%46", "%u0041", ".search", "Users%00", "%55sers", "users",
    "USERS", "Users ", "*", "{id}", "'", "%27--", "a" * 3000, "%0d%0aX:1", "%E2%80%AE",
)  # fmt: skip
BASES = (
    "", "/scim", "/scim/v2", "/scim/v3/x", "/scim/v1/", "/SCIM/v2/x", "/scim//v2", "/api", "//",
    "/scim/v2/%00",
)  # fmt: skip
SCIM_NAMES = (
    "Users", "Groups", "Bulk", "Me", "Schemas", "ResourceTypes", "ServiceProviderConfig", ".search",
    "Users/.search", "Nothing", "ServiceProviderConfigs", "Schemas/x", "ResourceTypes/User",
)  # fmt: skip
REST_NAMES = (
    "organizations", "directories", "directory_users", "directory_groups", "events",
    "webhook_endpoints", "api_keys", "organization_domains", "openapi.json", "health/live",
    "health/ready", "nothing", "portal", "organizations/x/roles",
)  # fmt: skip
METHODS = (
    "GET", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "PROPFIND", "get", "brew", "CONNECT",
    "QUERY",
)  # fmt: skip
OVERRIDES = ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override")
HEADERS = (
    "Content-Type", "If-Match", "If-None-Match", "Accept", "User-Agent", "Cookie", "X-Forwarded-For",
    "X-Request-Id", "Range", "Accept-Encoding", "Idempotency-Key", "Origin", "Referer",
    "Accept-Language", "X-HTTP-Method-Override",
)  # fmt: skip
MEDIA_TYPES: tuple[str | bytes, ...] = (
    "text/xml", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
    "application/", "/json", "json", ";;;", "application/json; charset=utf-16",
    "application/json; charset=nonsense", "application/scim+json;charset=\"", b"\xff\xfe",
    "application/jsonx", "APPLICATION/SCIM+JSON; Charset=UTF-8", "",
)  # fmt: skip
ENCODINGS = ("gzip", "br", "deflate", "identity, gzip", "x", "GZIP", "")
SCIM_PARAMETERS = (
    "filter", "count", "startIndex", "sortBy", "sortOrder", "attributes", "excludedAttributes",
    "cursor", "Filter",
)  # fmt: skip
REST_PARAMETERS = (
    "limit", "order", "after", "before", "organization_id", "search", "domain", "domains", "directory",
    "group", "idp_id", "email", "user", "events", "range_start", "range_end", "events[]", "limit[]",
)  # fmt: skip
KINDS = {
    "organizations": "org",
    "directories": "directory",
    "organization_domains": "org_domain",
    "api_keys": "key",
    "directory_users": "directory_user",
    "directory_groups": "directory_group",
    "webhook_endpoints": "we",
}


def patch_path(random: Random) -> str:
    """Return something like the path of a PATCH operation."""
    name = random.choice(ATTRIBUTES)
    match random.randrange(6):
        case 0:
            return f"{name}[{filter_text(random)}]"
        case 1:
            return f"{name}[{filter_text(random)}].{random.choice(ATTRIBUTES)}"
        case 2:
            return f"{name}.{random.choice(ATTRIBUTES)}"
        case 3:
            return name + random.choice(("[", "]", ".", "..", "[]", "[].", " ", ":", "[value", '[value eq "'))
    return name


def filter_text(random: Random) -> str:
    """Return something like a filter."""
    terms = []
    for _ in range(random.choice((1, 1, 2, 3, 12))):
        left = random.choice((*ATTRIBUTES, values.text(random)[:50]))
        operator = random.choice(
            ("eq", "ne", "co", "sw", "ew", "gt", "le", "pr", "EQ", "==", "regex", "like", "")
        )
        right = random.choice(
            (
                '"mira"',
                "true",
                "null",
                "1",
                "-1.5e3",
                '"',
                '"\\u12"',
                '"\\ud800"',
                '"\\u0000"',
                "NaN",
                "bare",
                "",
            )
        )
        if random.random() < 0.2:
            right = '"' + values.text(random)[:300] + '"'
        terms.append(f"{left} {operator} {right}")
    found = random.choice((" and ", " or ", " AND ", " xor ", " ")).join(terms)
    match random.randrange(8):
        case 0:
            return "(" * random.choice((1, 49, 60, 3000)) + found
        case 1:
            return f"not ({found})" * random.choice((1, 2))
        case 2:
            return " or ".join(['userName eq "x"'] * random.choice((100, 501, 2000)))
        case 3:
            return found[: random.randrange(len(found) + 1)]
    return found
