"""Fresh statistics for PostgreSQL's planner while tables grow faster than autovacuum looks at them.

A table that was never analyzed seems to have a handful of rows for each directory, and hardly any that is not
deleted. Plans made then read a whole directory for one person, and stay until autovacuum comes by, once a
minute. So whoever writes looks now and then, and analyzes what has doubled (docs/decisions/017).
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Connection, Text, bindparam, text

from syncline.store import tables as t
from syncline.store.prepared import Prepared
from syncline.store.types import Array

LOOK_SECONDS = 1.0
"""How often a process that writes looks at the tables."""

# Beyond this a table that doubles keeps the kind of its plans, and autovacuum is early enough.
_LARGE = 500_000
_FEW = 50
_GROWING = (t.directory_users, t.directory_groups, t.memberships, t.group_edges, t.directories, t.event_log)
_doubled = Prepared(
    text(
        "SELECT CAST(relname AS text) AS relname FROM pg_class"
        " WHERE oid = ANY (CAST(CAST(:tables AS regclass[]) AS oid[])) AND reltuples < :large"
        " AND pg_stat_get_mod_since_analyze(oid) > :few + greatest(reltuples, 0)"
    )
    .bindparams(
        bindparam("tables", type_=Array(Text())),
        bindparam("large", type_=BigInteger()),
        bindparam("few", type_=BigInteger()),
    )
    .columns(relname=Text())
)

# Autovacuum may be at it already.
_analyze = {table.name: Prepared(text(f"ANALYZE (SKIP_LOCKED) {table.name}")) for table in _GROWING}


def analyze_doubled(connection: Connection) -> list[str]:
    """Analyze the tables that have doubled since that was last done, and return their names."""
    asked = {"tables": [table.name for table in _GROWING], "large": _LARGE, "few": _FEW}
    names = [row.relname for row in _doubled.all(connection, asked)]
    for name in names:
        _analyze[name].run(connection, {})
    return names
