"""Pages of a list: the rows of a span of ids, in its order."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select

from syncline.core.paging import Span


def within(statement: Select[Any], column: Any, span: Span) -> Select[Any]:
    """Return the statement narrowed to a span of a column's values, in the span's order and number."""
    if span.above is not None:
        statement = statement.where(column > span.above)
    if span.below is not None:
        statement = statement.where(column < span.below)
    return statement.order_by(column.desc() if span.descending else column).limit(span.limit)
