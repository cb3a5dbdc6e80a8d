"""Statements of the hot paths: compiled once for each engine, run on the driver itself.

SQLAlchemy's way from a statement to its rows was measured at 80 to 150 µs where SQLite itself takes 5: on
the paths that every request takes that was most of the time. The statements stay SQLAlchemy Core, only the
running of them is shorter (docs/decisions/014, 015).
"""

from __future__ import annotations

import re
from collections import namedtuple
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import cached_property
from operator import itemgetter
from typing import Any, NoReturn

from sqlalchemy import Connection, Table
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ClauseElement
from sqlalchemy.sql.visitors import iterate
from sqlalchemy.util import await_only

from syncline.store.types import Among

_Parameters = Mapping[str, Any]
_Processor = Callable[[Any], Any]


class Prepared:
    """A statement whose parameters are all named and whose text never changes.

    `columns` are the keys of an INSERT's rows. Errors are SQLAlchemy's, as from `Connection.execute`.
    """

    def __init__(self, statement: ClauseElement, columns: Sequence[str] | None = None) -> None:
        self._statement = statement
        self._columns = columns
        self._compiled: dict[tuple[str, tuple[str, ...]], _Compiled] = {}
        among = (element for element in iterate(statement) if isinstance(element, Among))
        self._lists = tuple({str(element.values.key) for element in among})

    def all(self, connection: Connection, parameters: _Parameters) -> list[Any]:
        """Run a query and return its rows as named tuples."""
        compiled = self._for(connection, parameters)
        return compiled.rows(compiled.fetch(connection, compiled.bound(parameters)))

    def one_or_none(self, connection: Connection, parameters: _Parameters) -> Any:
        """Run a query of at most one row and return that row or None."""
        rows = self.all(connection, parameters)
        return rows[0] if rows else None

    def run(self, connection: Connection, parameters: _Parameters | Sequence[_Parameters]) -> int:
        """Run a statement without rows, once or for each element of a list; return the rows it touched.

        The number is only meaningful for one set of parameters.
        """
        if not isinstance(parameters, Mapping) and len(parameters) == 1:
            parameters = parameters[0]
        if isinstance(parameters, Mapping):
            compiled = self._for(connection, parameters)
            return compiled.run(connection, compiled.bound(parameters))
        if parameters:
            compiled = self._for(connection, parameters[0])
            compiled.run_many(connection, [compiled.bound(each) for each in parameters])
        return -1

    def _for(self, connection: Connection, parameters: _Parameters) -> _Compiled:
        # A list of one is most of the traffic. SQLite looks one value up in half the time, and PostgreSQL
        # sees that a unique index has at most one row for it, while it takes any list for ten values.
        single = tuple([key for key in self._lists if len(parameters[key]) == 1])
        name = connection.dialect.name
        found = self._compiled.get((name, single))
        if found is None:
            kind = _PostgresStatement if name == "postgresql" else _SqliteStatement
            found = kind(self._statement, self._columns, connection.dialect, single)
            self._compiled[name, single] = found
        return found


def insert_columns(table: Table, *without: str) -> list[str]:
    """Return the names of a table's columns but some, for the rows of an INSERT."""
    return [column.name for column in table.columns if column.name not in without]


class _Compiled:
    """A statement for one engine: its text, the order of its parameters, and the converters of both ways."""

    def __init__(
        self,
        statement: ClauseElement,
        columns: Sequence[str] | None,
        dialect: Dialect,
        single: Sequence[str] = (),
    ) -> None:
        """`single` are the parameters whose list has one element, which is bound in its place."""
        compiled = statement.compile(
            dialect=dialect,
            column_keys=None if columns is None else list(columns),
            for_executemany=True,
            compile_kwargs={"single": single},
        )
        assert isinstance(compiled, SQLCompiler)
        self.dialect = dialect
        self.text = str(compiled)
        names = list(compiled.positiontup or ())
        fixed = compiled.construct_params(_check=False)
        # Values that the statement itself carries, such as the number of a LIMIT.
        self._fixed = {name: fixed[name] for name in names if not compiled.binds[name].required}
        self._pick = _picker(names)
        self._converted: list[tuple[int, _Processor]] = []
        for at, name in enumerate(names):
            processor = itemgetter(0) if name in single else compiled._bind_processors.get(name)
            assert processor is None or callable(processor)
            if processor is not None:
                self._converted.append((at, processor))
        entries = compiled._result_columns
        row = namedtuple("Row", [entry.keyname for entry in entries], rename=True)  # type: ignore[misc]
        self._make: Callable[[Sequence[Any]], Any] = row._make
        found = [(at, entry.type._cached_result_processor(dialect, None)) for at, entry in enumerate(entries)]
        self._results = [(at, processor) for at, processor in found if processor is not None]

    def bound(self, parameters: _Parameters) -> Sequence[Any]:
        """Return the values in the order of the text, as the driver takes them."""
        values = self._pick({**self._fixed, **parameters} if self._fixed else parameters)
        if not self._converted:
            return values
        converted = list(values)
        for at, processor in self._converted:
            converted[at] = processor(converted[at])
        return converted

    def rows(self, fetched: Sequence[Sequence[Any]]) -> list[Any]:
        """Return the driver's rows as named tuples."""
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

    def fetch(self, connection: Connection, values: Sequence[Any]) -> Sequence[Sequence[Any]]:
        """Run a query and return the driver's rows."""
        raise NotImplementedError

    def run(self, connection: Connection, values: Sequence[Any]) -> int:
        """Run a statement without rows and return how many it touched."""
        raise NotImplementedError

    def run_many(self, connection: Connection, rows: Sequence[Sequence[Any]]) -> None:
        """Run a statement for each of several sets of values."""
        raise NotImplementedError

    def _fail(self, connection: Connection, error: Exception) -> NoReturn:
        raw = connection.connection
        dialect = self.dialect
        is_lost = dialect.is_disconnect(error, raw, None)  # type: ignore[arg-type]
        if is_lost:
            connection.invalidate(error)
        raise DBAPIError.instance(
            self.text,
            None,
            error,
            dialect.loaded_dbapi.Error,
            hide_parameters=True,
            connection_invalidated=is_lost,
            dialect=dialect,
        ) from error


TOGETHER = 50
"""So many rows SQLite is given in one statement."""

_VALUES = re.compile(r"(INSERT (?:OR IGNORE )?INTO .* VALUES )(\(\?(?:, \?)*\))(.*)", re.DOTALL)


class _SqliteStatement(_Compiled):
    """SQLite gives the interpreter's lock away at each step of a statement, and taking it back may last.

    So rows are inserted many at a time where there are many.
    """

    def fetch(self, connection: Connection, values: Sequence[Any]) -> Sequence[Sequence[Any]]:
        rows: list[Sequence[Any]] = self._cursor(connection, "execute", values).fetchall()
        return rows

    def run(self, connection: Connection, values: Sequence[Any]) -> int:
        return int(self._cursor(connection, "execute", values).rowcount)

    def run_many(self, connection: Connection, rows: Sequence[Sequence[Any]]) -> None:
        together = self._together if len(rows) >= TOGETHER else None
        rest = len(rows) if together is None else len(rows) % TOGETHER
        if together is not None:
            for begin in range(0, len(rows) - rest, TOGETHER):
                values = [value for row in rows[begin : begin + TOGETHER] for value in row]
                self._cursor(connection, "execute", values, together)
        if rest:
            self._cursor(connection, "executemany", rows[-rest:])

    @cached_property
    def _together(self) -> str | None:
        """The statement for `TOGETHER` rows at once, None if it is not an INSERT of values."""
        parts = _VALUES.fullmatch(self.text)
        if parts is None:
            return None
        before, values, after = parts.groups()
        return f"{before}{', '.join([values] * TOGETHER)}{after}"

    def _cursor(self, connection: Connection, method: str, arguments: Any, text: str | None = None) -> Any:
        cursor = connection.connection.cursor()
        try:
            getattr(cursor, method)(text or self.text, arguments)
        except self.dialect.loaded_dbapi.Error as error:
            self._fail(connection, error)
        return cursor


class _PostgresStatement(_Compiled):
    """Straight to asyncpg: SQLAlchemy's stand-in for a cursor costs as much as the statement."""

    def fetch(self, connection: Connection, values: Sequence[Any]) -> Sequence[Sequence[Any]]:
        raw = connection.connection.driver_connection
        rows: list[Sequence[Any]] = self._awaited(connection, raw.fetch(self.text, *values))  # type: ignore[union-attr]
        return rows

    def run(self, connection: Connection, values: Sequence[Any]) -> int:
        raw = connection.connection.driver_connection
        # The tag of the command, such as `UPDATE 3`; some have no number.
        tag = str(self._awaited(connection, raw.execute(self.text, *values)))  # type: ignore[union-attr]
        touched = tag.rpartition(" ")[2]
        return int(touched) if touched.isdigit() else -1

    def run_many(self, connection: Connection, rows: Sequence[Sequence[Any]]) -> None:
        raw = connection.connection.driver_connection
        self._awaited(connection, raw.executemany(self.text, rows))  # type: ignore[union-attr]

    def _awaited(self, connection: Connection, answer: Coroutine[Any, Any, Any]) -> Any:
        try:
            return await_only(answer)
        except Exception as error:
            adapted: Any = connection.connection.dbapi_connection
            try:
                # Turns the driver's errors into those of the DBAPI, which SQLAlchemy sorts into kinds.
                adapted._handle_exception(error)
            except self.dialect.loaded_dbapi.Error as known:
                self._fail(connection, known)


def _picker(names: Sequence[str]) -> Callable[[_Parameters], Sequence[Any]]:
    """Return what takes the values of these names out of a mapping, in order."""
    if not names:
        return lambda _: ()
    if len(names) == 1:
        name = names[0]
        return lambda parameters: (parameters[name],)
    return itemgetter(*names)
