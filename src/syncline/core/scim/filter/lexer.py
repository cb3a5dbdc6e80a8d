"""Filter text to tokens in one pass, without backtracking."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import Enum

from syncline.core.scim.errors import invalid_filter

MAX_BYTES = 8192

_SPACES = " \t\r\n"
_BRACKETS = "()[]"
_WORD = re.compile(r"[^ \t\r\n\"()\[\]]+")


class Kind(Enum):
    """What a token is."""

    WORD = "word"
    TEXT = "text"
    BRACKET = "bracket"
    END = "end"


@dataclass(frozen=True, slots=True)
class Token:
    """One token: its text (strings already decoded), its position, and whether no space precedes it."""

    kind: Kind
    text: str
    at: int
    glued: bool


def tokenize(text: str) -> list[Token]:
    """Cut a filter into tokens, the last of kind END.

    Raises `ScimError` 400 `invalidFilter` for text above 8 KiB, strings that are no JSON strings, and
    characters that no store can hold (NUL, lone surrogates).
    """
    check_text(text)
    tokens: list[Token] = []
    at, end, glued = 0, len(text), False
    while at < end:
        character = text[at]
        if character in _SPACES:
            at, glued = at + 1, False
            continue
        token, at = _token(text, at, glued)
        tokens.append(token)
        glued = True
    tokens.append(Token(Kind.END, "", end, glued))
    return tokens


def check_text(text: str) -> None:
    """Raise `ScimError` 400 `invalidFilter` for text that is too long or cannot be stored as UTF-8."""
    if len(text) > MAX_BYTES or (not text.isascii() and len(_encoded(text)) > MAX_BYTES):
        raise invalid_filter(f"The filter is longer than {MAX_BYTES} bytes.")
    if "\x00" in text:
        raise invalid_filter("The filter contains a NUL character.")


def _token(text: str, at: int, glued: bool) -> tuple[Token, int]:
    character = text[at]
    if character in _BRACKETS:
        return Token(Kind.BRACKET, character, at, glued), at + 1
    if character == '"':
        stop = _closing_quote(text, at)
        return Token(Kind.TEXT, _decoded(text[at:stop], at), at, glued), stop
    found = _WORD.match(text, at)
    assert found is not None
    return Token(Kind.WORD, found[0], at, glued), found.end()


def _closing_quote(text: str, at: int) -> int:
    """Return the position after the quote that closes the string opened at `at`."""
    position = at + 1
    while position < len(text):
        if text[position] == "\\":
            position += 2
        elif text[position] == '"':
            return position + 1
        else:
            position += 1
    raise invalid_filter(f"The string at position {at + 1} of the filter is not closed.")


def _decoded(quoted: str, at: int) -> str:
    try:
        value = json.loads(quoted)
    except ValueError:
        raise invalid_filter(f"The string at position {at + 1} of the filter is no JSON string.") from None
    text = str(value)
    if "\x00" in text:
        raise invalid_filter(f"The string at position {at + 1} of the filter contains a NUL character.")
    if not text.isascii():
        _encoded(text)
    return text


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise invalid_filter("The filter contains half of a surrogate pair.") from None
