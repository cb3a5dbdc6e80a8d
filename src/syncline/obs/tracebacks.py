"""How an exception looks in a log line: types, places and reasons, and no text of a request.

Messages of libraries repeat what they were given: a database driver its parameters and whole rows, Python
the value it could not read. A log line carries no payload, so of a message only the part stays that cannot
hold one.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator

from structlog.typing import ExcInfo

_LONGEST_MESSAGE = 300
_CAUSE = "The above exception was the direct cause of the following exception:"
_CONTEXT = "During handling of the above exception, another exception occurred:"
# They name columns and constraints in double quotes, and values in single ones; so do our own sentences.
_PRECISE = frozenset({"syncline", "sqlalchemy", "asyncpg", "sqlite3", "alembic"})


def describe_exception(exc_info: ExcInfo) -> str:
    """Return the traceback of an exception and of those before it, oldest first, without payloads."""
    return "\n".join(_chain(exc_info[1], set()))


def safe_message(error: BaseException) -> str:
    """Return the first line of an exception's message, up to where a value of somebody else could begin."""
    text = str(error).partition("\n")[0][:_LONGEST_MESSAGE]
    is_precise = type(error).__module__.partition(".")[0] in _PRECISE
    # What could not be read as a number or a date is quoted like a name.
    quotes = "'" if is_precise and "DataError" not in f"{type(error).__name__} {text}" else "'\""
    ends = min((text.find(quote) for quote in quotes if quote in text), default=-1)
    return text if ends < 0 else f"{text[:ends]}…"


def _chain(error: BaseException, seen: set[int]) -> Iterator[str]:
    seen.add(id(error))
    before = error.__cause__
    if before is None and not error.__suppress_context__:
        before = error.__context__
    if before is not None and id(before) not in seen:
        yield from _chain(before, seen)
        yield f"\n{_CAUSE if error.__cause__ else _CONTEXT}\n"
    if error.__traceback__ is not None:
        yield "Traceback (most recent call last):"
        yield "".join(traceback.format_tb(error.__traceback__)).rstrip("\n")
    message = safe_message(error)
    name = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
    yield f"{name}: {message}" if message else name
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            if id(inner) not in seen:
                yield "\nOne of the group:\n"
                yield from _chain(inner, seen)
