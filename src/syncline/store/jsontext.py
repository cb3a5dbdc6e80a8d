"""JSON text of columns: compact out, plain values in."""

from __future__ import annotations

from typing import Any

import msgspec

from syncline.core.json import Json
from syncline.core.model import Document

_decode = msgspec.json.Decoder(dict[str, Any]).decode
_decode_any = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


def dump(value: Json) -> str:
    """Return compact JSON text for a column."""
    return _encode(value).decode()


def load_any(text: str) -> Json:
    """Return the value of a JSON column that may hold something else than an object."""
    value: Json = _decode_any(text)
    return value


def load(text: str) -> Document:
    """Return the object of a JSON column."""
    return _decode(text)
