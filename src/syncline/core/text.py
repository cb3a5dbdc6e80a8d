"""Comparison keys and recognition of text, the same on every database."""

import hashlib
import re
import unicodedata

MAX_KEY_BYTES = 1000

_EMAIL = re.compile(
    r"[^\s@<>()\[\]\\,;:\"]{1,64}@(?:[^\s@<>()\[\]\\,;:\".]{1,63}\.)+[^\s@<>()\[\]\\,;:\".]{1,63}"
)


def fold(text: str) -> str:
    """Return the key under which two spellings of the same text are equal.

    NFC, then Unicode case folding, then NFC again because folding may decompose. The key is made here
    and not in SQL: SQLite folds ASCII only.
    """
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def index_key(text: str, *, folded: bool = True) -> str:
    """Return the text as an index key of bounded size; `folded=False` keeps exact comparison.

    Keys above `MAX_KEY_BYTES` end in a digest, because PostgreSQL refuses index rows above 2.7 kB. Such a
    key is longer than any key that is kept whole, so the two kinds never meet.
    """
    key = fold(text) if folded else text
    if len(key) * 4 <= MAX_KEY_BYTES:
        return key
    encoded = key.encode()
    if len(encoded) <= MAX_KEY_BYTES:
        return key
    head = encoded[:MAX_KEY_BYTES].decode(errors="ignore")
    return f"{head}#{hashlib.sha256(encoded).hexdigest()}"


def looks_like_email(text: str) -> bool:
    """Tell whether a text has the shape of a mail address: a local part, `@`, a domain with a dot."""
    return len(text) <= 320 and _EMAIL.fullmatch(text) is not None
