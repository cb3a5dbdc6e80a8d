"""Statements of the hot paths: compiled once for each engine, run on the driver's own cursor.

SQLAlchemy's way from a statement to its rows was measured at 80 to 150 µs where SQLite itself takes 5: on
the paths that every request takes that was most of the time. The statements stay SQLAlchemy Core, only the
running of them is shorter (docs/decisions/014).
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ClauseElement

_Parameters = Mapping[str, Any]
_Processor = Callable[[Any], Any]


class Prepared:
    """A statement whose parameters are all named and whose text never changes.

    `columns` are the keys of an INSERT's rows. Errors are SQLAlchemy's, as from `Connection.execute`.
    """

    def __init__(self, statement: ClauseElement, columns: Sequence[str] | None = None) -> None:
        self._statement = statement
        self._columns = columns
        self._compiled: dict[str, _Compiled] = {}

    def all(self, connection: Connection, parameters: _Parameters) -> list[Any]:
        """Run a query and return its rows as named tuples."""
        compiled = self._for(connection)
        cursor = compiled.execute(connection, parameters)
        return compiled.rows(cursor.fetchall())

    def one_or_none(self, connection: Connection, parameters: _Parameters) -> Any:
        """Run a query of at most one row and return that row or None."""
        rows = self.all(connection, parameters)
        return rows[0] if rows else None

    def run(self, connection: Connection, parameters: _Parameters | Sequence[_Parameters]) -> int:
        """Run a statement without rows, once or for each element of a list; return the rows it touched.

        The number is only meaningful for one set of parameters.
        """
        compiled = self._for(connection)
        if isinstance(parameters, Mapping):
            return int(compiled.execute(connection, parameters).rowcount)
        if len(parameters) == 1:
            return int(compiled.execute(connection, parameters[0]).rowcount)
        if parameters:
            compiled.execute_many(connection, parameters)
        return -1

    def _for(self, connection: Connection) -> _Compiled:
        found = self._compiled.get(connection.dialect.name)
        if found is None:
            found = _Compiled(self._statement, self._columns, connection.dialect)
            self._compiled[connection.dialect.name] = found
        return found


def insert_columns(table: Table, *without: str) -> list[str]:
    """Return the names of a table's columns but some, for the rows of an INSERT."""
    return [column.name for column in table.columns if column.name not in without]


class _Compiled:
    def __init__(self, statement: ClauseElement, columns: Sequence[str] | None, dialect: Dialect) -> None:
        compiled = statement.compile(
            dialect=dialect, column_keys=None if columns is None else list(columns), for_executemany=True
        )
        assert isinstance(compiled, SQLCompiler)
        self._dialect = dialect
        self._text = str(compiled)
        fixed = compiled.construct_params(_check=False)
        processors = compiled._bind_processors
        self._order: list[tuple[str, _Processor | None]] = []
        # Values that the statement itself carries, such as the number of a LIMIT.
        self._fixed: dict[str, Any] = {}
        for name in compiled.positiontup or ():
            processor = processors.get(name)
            assert processor is None or callable(processor)
            self._order.append((name, processor))
            if not compiled.binds[name].required:
                self._fixed[name] = fixed[name]
        entries = compiled._result_columns
        row = namedtuple("Row", [entry.keyname for entry in entries], rename=True)  # type: ignore[misc]
        self._make: Callable[[Sequence[Any]], Any] = row._make
        found = [(at, entry.type._cached_result_processor(dialect, None)) for at, entry in enumerate(entries)]
        self._results = [(at, processor) for at, processor in found if processor is not None]

    def execute(self, connection: Connection, parameters: _Parameters) -> Any:
        return self._call(connection, "execute", self._bound(parameters))

    def execute_many(self, connection: Connection, parameters: Sequence[_Parameters]) -> Any:
        return self._call(connection, "executemany", [self._bound(each) for each in parameters])

    def rows(self, fetched: Sequence[Sequence[Any]]) -> list[Any]:
        make = self._make
        if not self._results:
            return [make(row) for row in fetched]
        made = []
        for row in fetched:
            values = list(row)
            for at, processor in self._results:
                values[at] = processor(values[at])
            made.append(make(values))
        return made

    def _bound(self, parameters: _Parameters) -> tuple[Any, ...]:
        values = {**self._fixed, **parameters} if self._fixed else parameters
        return tuple(
            values[name] if processor is None else processor(values[name]) for name, processor in self._order
        )

    def _call(self, connection: Connection, method: str, arguments: Any) -> Any:
        dialect = self._dialect
        raw = connection.connection
        try:
            cursor = raw.cursor()
            getattr(cursor, method)(self._text, arguments)
        except dialect.loaded_dbapi.Error as error:
            is_lost = dialect.is_disconnect(error, raw, None)
            if is_lost:
                connection.invalidate(error)
            raise DBAPIError.instance(
                self._text,
                None,
                error,
                dialect.loaded_dbapi.Error,
                hide_parameters=True,
                connection_invalidated=is_lost,
                dialect=dialect,
            ) from error
        return cursor
