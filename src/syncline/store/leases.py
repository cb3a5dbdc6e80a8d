"""Leases: the right to work on a row until a time."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, or_


def is_free(lease_until: Any, now: datetime | ColumnElement[Any]) -> ColumnElement[bool]:
    """Return the condition that nobody works on a row: its lease was given up, or has run out."""
    return or_(lease_until.is_(None), lease_until <= now)
