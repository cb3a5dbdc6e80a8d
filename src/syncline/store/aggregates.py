"""Many values in one row, for either engine: a row costs both drivers more than what is in it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction


class joined_ids(GenericFunction[str]):
    """Ids in one text, separated by commas."""

    type = Text()
    inherit_cache = True


class json_object_of(GenericFunction[str]):
    """The text of a JSON object of keys and texts; null of no rows on PostgreSQL, empty on SQLite."""

    type = Text()
    inherit_cache = True


@compiles(joined_ids, "postgresql")
def _string_agg(element: joined_ids, compiler: SQLCompiler, **kw: Any) -> str:
    return f"string_agg({compiler.process(element.clauses, **kw)}, ',')"


@compiles(joined_ids, "sqlite")
def _group_concat(element: joined_ids, compiler: SQLCompiler, **kw: Any) -> str:
    return f"group_concat({compiler.process(element.clauses, **kw)})"


@compiles(json_object_of, "postgresql")
def _json_object_agg(element: json_object_of, compiler: SQLCompiler, **kw: Any) -> str:
    return f"CAST(json_object_agg({compiler.process(element.clauses, **kw)}) AS text)"


@compiles(json_object_of, "sqlite")
def _json_group_object(element: json_object_of, compiler: SQLCompiler, **kw: Any) -> str:
    return f"json_group_object({compiler.process(element.clauses, **kw)})"
