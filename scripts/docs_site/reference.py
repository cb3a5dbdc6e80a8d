"""The parts of the reference that have one place in the code each: settings, metrics, quirks, SCIM."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Any, get_args

from prometheus_client.metrics import MetricWrapperBase
from pydantic.fields import FieldInfo

from scripts.docs_site.codes import ANY, found
from scripts.docs_site.markdown import joined, slug, table
from syncline.config import PREFIX, Settings
from syncline.core.scim import discovery
from syncline.core.scim.quirks import CATALOG, Quirk
from syncline.core.scim.schema import Attribute
from syncline.obs.metrics import Metrics
from syncline.providers.registry import PROFILES
from syncline.web.scim import parameters, request, resources

_FAMILIES = {
    "G": "Any provider",
    "M": "Any provider, in small ways",
    "E": "Microsoft Entra ID",
    "O": "Okta",
    "S11": "SCIM 1.1",
    "L": "OneLogin",
    "J": "JumpCloud",
    "P": "Ping",
    "C": "CyberArk",
    "S": "SailPoint",
    "R": "Rippling",
    "A": "authentik",
    "K": "Keycloak",
    "H": "Hostile input",
}


def settings() -> str:
    """Return a table of all settings."""
    rows = (_setting(name, info) for name, info in Settings.model_fields.items())
    return table(("setting", "default", "meaning"), rows)


def setting_name(name: str) -> str:
    """Return the variable of a setting."""
    return f"{PREFIX}{name.upper()}"


def _setting(name: str, info: FieldInfo) -> tuple[str, str, str]:
    if not info.description:
        raise LookupError(f"the setting {name} has no description")
    default = info.default.value if isinstance(info.default, Enum) else info.default
    shown = "none" if default is None else f"`{default}`" if str(default) else "empty"
    anchor = f'<span id="{slug(name)}"></span>'
    meaning = "; ".join([info.description, *_limits(info)])
    return f"{anchor}`{setting_name(name)}`", shown, meaning


def _limits(info: FieldInfo) -> Iterator[str]:
    bounds = {type(rule).__name__.lower(): rule for rule in info.metadata}
    low, high = getattr(bounds.get("ge"), "ge", None), getattr(bounds.get("le"), "le", None)
    if low is not None and high is not None:
        yield f"from {low:,} to {high:,}"
    kinds = [kind for kind in (info.annotation, *get_args(info.annotation)) if isinstance(kind, type)]
    for kind in kinds:
        if issubclass(kind, Enum):
            yield "one of " + ", ".join(f"`{one.value}`" for one in kind)


def metrics() -> str:
    """Return a table of all metrics, under the names that `/metrics` shows."""
    return table(("metric", "kind", "labels", "meaning"), (_metric(one) for one in collectors()))


def collectors() -> list[MetricWrapperBase]:
    """Return the metrics of a process."""
    return [one for one in vars(Metrics()).values() if isinstance(one, MetricWrapperBase)]


def metric_name(collector: MetricWrapperBase) -> str:
    """Return the name under which a metric is shown; counters end in `_total`."""
    [family] = collector.describe()
    return f"{family.name}_total" if family.type == "counter" else family.name


def _metric(collector: MetricWrapperBase) -> tuple[str, ...]:
    [family] = collector.describe()
    if not family.documentation:
        raise LookupError(f"the metric {family.name} has no words")
    labels = ", ".join(f"`{label}`" for label in collector._labelnames)
    return f"`{metric_name(collector)}`", family.type, labels, family.documentation


def quirk_catalog() -> str:
    """Return a table of quirks for each family of clients."""
    families = dict.fromkeys(quirk.family for quirk in CATALOG.values())
    parts = []
    for family in families:
        rows = [_quirk(quirk) for quirk in CATALOG.values() if quirk.family == family]
        head = ("quirk", "what Syncline does", "known to need it")
        parts += [f"## {_FAMILIES.get(family, family)}", table(head, rows)]
    return joined(*parts)


def _quirk(quirk: Quirk) -> tuple[str, str, str]:
    anchor = f'<span id="{quirk.id.lower()}"></span>'
    needed = [profile.label for profile in PROFILES if quirk.id in profile.quirks]
    return f"{anchor}`{quirk.id}`", quirk.text, ", ".join(needed)


def scim_attributes() -> str:
    """Return a table of attributes for each schema that is announced."""
    parts = []
    for urn, (name, _, attributes) in discovery._SCHEMAS.items():
        rows = [row for attribute in attributes for row in _attribute(attribute, "")]
        parts += [
            f"### {name}",
            f"`{urn}`",
            table(("attribute", "type", "may be written", "returned", "meaning"), rows),
        ]
    return joined(*parts)


def _attribute(attribute: Attribute, prefix: str) -> Iterable[tuple[str, ...]]:
    kind = attribute.type.value + (", several" if attribute.multi_valued else "")
    notes = [
        text
        for text, is_so in (
            ("Required.", attribute.required),
            ("Compared exactly.", attribute.case_exact and not prefix),
        )
        if is_so
    ]
    yield (
        f"`{prefix}{attribute.name}`",
        kind,
        attribute.mutability.value,
        attribute.returned.value,
        " ".join([attribute.description, *notes]),
    )
    for sub in attribute.sub_attributes:
        yield from _attribute(sub, f"{prefix}{attribute.name}.")


def scim_limits() -> str:
    """Return a table of what one request may hold."""
    rows: list[tuple[str, Any, str]] = [
        ("address with its query", f"{request.MAX_URL // 1024} KiB", "414"),
        ("body", f"{request.SMALL_BODY // 1024**2} MiB", "413"),
        ("body on `/Groups` and `/Bulk`", f"{request.LARGE_BODY // 1024**2} MiB", "413"),
        ("time for a body", f"{request.BODY_SECONDS:g} s", "408"),
        ("any text", f"{request.MAX_STRING // 1024} KiB", "400 `invalidValue`"),
        (
            "`userName`, `displayName`, `externalId`",
            f"{request.MAX_KEY_STRING:,} characters",
            "400 `invalidValue`",
        ),
        ("attributes of one object", f"{request.MAX_ATTRIBUTES:,}", "400 `invalidValue`"),
        ("operations of a PATCH", f"{resources.MAX_PATCH_OPERATIONS:,}", "413"),
        ("operations of a Bulk request", f"{parameters.MAX_OPERATIONS:,}", "413"),
        ("`count` of a page", f"{parameters.MAX_COUNT:,}, default {parameters.DEFAULT_COUNT}", "lowered"),
    ]
    return table(("what", "limit", "above it"), rows)


def field_codes() -> str:
    """Return the codes of fields that are written out in the code, as one line."""
    return ", ".join(f"`{code}`" for code in sorted(found().field_codes) if ANY not in code)
