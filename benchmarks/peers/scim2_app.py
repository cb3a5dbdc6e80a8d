"""scim2-server over its own in-memory storage, for uvicorn: `TOKEN=… uvicorn scim2_app:app`."""

from __future__ import annotations

import os
import secrets
from typing import Any

from scim2_models import ScimProvider, UnauthorizedException
from scim2_server.applications.asgi import ASGIApplication
from scim2_server.memory import AsyncInMemoryStorage
from scim2_server.service import ScimService
from scim2_server.testserver.application import BEARER_TOKEN_SCHEME
from scim2_server.utils import (
    load_default_resource_types,
    load_default_schemas,
    load_default_service_provider_config,
)

_EXPECTED = f"Bearer {os.environ['TOKEN']}"


class Application(ASGIApplication):
    """The server's ASGI application with one bearer token."""

    def check_auth(self, request: Any) -> None:
        """Refuse any other token."""
        if request.header("Authorization") != _EXPECTED:
            raise UnauthorizedException


def _build() -> Application:
    config = load_default_service_provider_config()
    config.authentication_schemes = [*(config.authentication_schemes or []), BEARER_TOKEN_SCHEME]
    schemas, types = load_default_schemas(), load_default_resource_types()
    provider = ScimProvider.from_discovery(
        list(schemas.values()) if isinstance(schemas, dict) else list(schemas),
        list(types.values()) if isinstance(types, dict) else list(types),
        config=config,
    )
    service = ScimService(provider, secret=secrets.token_urlsafe(32))
    return Application(AsyncInMemoryStorage(), provider, service=service)


app = _build()
