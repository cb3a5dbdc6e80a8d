"""SCIM filters (RFC 7644 §3.4.2.2): text to tree, and the tree's meaning on a rendered resource."""

from syncline.core.scim.filter.evaluate import matches, matches_entry, values_at
from syncline.core.scim.filter.nodes import (
    And,
    Comparison,
    Filter,
    Literal,
    Not,
    Operator,
    Or,
    Present,
    ValuePath,
    equality_terms,
    size,
    to_text,
)
from syncline.core.scim.filter.parser import parse_filter, parse_value_filter
from syncline.core.scim.filter.values import fold_value, parse_instant

__all__ = [
    "And",
    "Comparison",
    "Filter",
    "Literal",
    "Not",
    "Operator",
    "Or",
    "Present",
    "ValuePath",
    "equality_terms",
    "fold_value",
    "matches",
    "matches_entry",
    "parse_filter",
    "parse_instant",
    "parse_value_filter",
    "size",
    "to_text",
    "values_at",
]
