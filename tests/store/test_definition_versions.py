"""What environments defined before there were versions is the first of them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, insert

from syncline.core.attribute_definitions import DefinedAttribute
from syncline.core.attribute_map import AttributeKind, AttributeType
from syncline.store import attributes, definition_versions, migrate, tables
from syncline.store.attributes import Definition
from syncline.store.definition_versions import DefinitionChange
from syncline.store.migrate import on_connection, upgrade

MADE, CHANGED = datetime(2026, 3, 2, tzinfo=UTC), datetime(2026, 3, 4, 5, 6, 7, 89_000, tzinfo=UTC)
ENVIRONMENT = "environment_01KA0YN1B3D5F7H9K1M3P5R7T9"
SOURCE = {"path": "urn:acme:2.0:user.größe", "transforms": [{"name": "trim", "arguments": {}}]}


def _definition(key: str, number: int, **more: Any) -> Definition:
    attribute = DefinedAttribute(key, AttributeKind.CUSTOM, AttributeType.LIST, **more)
    return Definition(f"attribute_{number}", attribute, MADE, CHANGED if number else MADE)


DEFINED = [_definition("pool", 0), _definition("size", 1, required=True, description="é", sources=(SOURCE,))]


def _fill(connection: Connection) -> None:
    environment = {"id": ENVIRONMENT, "name": "old", "inactive_users": "delete", "settings": "{}"}
    connection.execute(insert(tables.environments), environment | {"created_at": MADE, "updated_at": MADE})
    for one in DEFINED:
        attributes.add(connection, ENVIRONMENT, one)


def _down(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrate.__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    before = ScriptDirectory.from_config(config).get_revision("0008").down_revision
    assert isinstance(before, str)
    command.downgrade(config, before)


def test_what_is_defined_already_is_the_first_version_and_of_nobody(database_url: str) -> None:
    on_connection(database_url, _fill)
    on_connection(database_url, _down)
    upgrade(database_url)
    found: list[Any] = []
    on_connection(database_url, lambda one: found.append(definition_versions.get(one, ENVIRONMENT, 1)))
    ((version, definitions),) = found
    assert definitions == DEFINED
    assert (version.version, version.cause, version.restored) == (1, None, None)
    assert version.change == DefinitionChange(added=["pool", "size"], changed=[], removed=[])
    assert version.created_at == CHANGED
