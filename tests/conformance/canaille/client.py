"""Canaille, an identity provider, pushes two people and a group: six checks of what arrives.

Runs in Canaille's own environment, never in Syncline's: `python client.py BASE` with the bearer token in
`SYNCLINE_TOKEN`. Prints the checks as JSON, each with whether it held.
"""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module
from typing import Any

import httpx

# Imported by name, because Canaille is not there where the types of this file are checked.
models: Any = import_module("canaille.app.models")
backends: Any = import_module("canaille.backends")
scim: Any = import_module("canaille.scim.client")
ServiceProviderConfig = import_module("scim2_models").ServiceProviderConfig
create_app = import_module("canaille").create_app

PASSWORD = "correct horse battery staple"
SETTINGS = {
    "SECRET_KEY": "only for this run",
    "TESTING": True,
    "SERVER_NAME": "idp.northwind.example",
    "CANAILLE": {"SENTRY_DSN": None},
    "CANAILLE_OIDC": {},
    "CANAILLE_SCIM": {"ENABLE_CLIENT": True},
}


class Directory:
    """What Syncline holds now, read over SCIM."""

    def __init__(self, base: str, token: str) -> None:
        self._http = httpx.Client(base_url=base, headers={"Authorization": f"Bearer {token}"}, timeout=30)

    def one(self, kind: str, external_id: str) -> dict[str, Any] | None:
        """Return the resource that carries an external id."""
        answer = self._http.get(f"/{kind}", params={"filter": f'externalId eq "{external_id}"'})
        found: list[dict[str, Any]] = answer.raise_for_status().json()["Resources"]
        return found[0] if len(found) == 1 else None

    def members(self, external_id: str) -> list[str]:
        """Return the SCIM ids of a group's members."""
        group = self.one("Groups", external_id)
        return sorted(member["value"] for member in group["members"]) if group else []


def push(base: str, token: str) -> dict[str, bool]:
    """Let Canaille create, change and delete, and look after each step what Syncline holds."""
    checks: dict[str, bool] = {}
    directory = Directory(base, token)
    save, delete = backends.Backend.instance.save, backends.Backend.instance.delete
    save(models.Client(client_id="syncline", client_name="Syncline", client_uri=base))
    ida = models.User(
        user_name="ida.brandt",
        formatted_name="Ida Brandt",
        given_name="Ida",
        family_name="Brandt",
        emails=["ida.brandt@northwind.example"],
        title="Miller",
        password=PASSWORD,
    )
    save(ida)
    pushed = directory.one("Users", ida.id)
    checks["a person is created with the external id"] = (
        pushed is not None and pushed["userName"] == "ida.brandt" and pushed["title"] == "Miller"
    )
    shown = json.dumps(pushed)
    checks["the password is never returned"] = (
        pushed is not None
        and ida.get_password_hash() is not None
        and "password" not in shown.lower()
        and str(ida.get_password_hash()) not in shown
        and PASSWORD not in shown
    )
    ida.title = "Head miller"
    save(ida)
    changed = directory.one("Users", ida.id)
    checks["a change arrives on the same resource"] = (
        changed is not None
        and pushed is not None
        and changed["title"] == "Head miller"
        and changed["id"] == pushed["id"]
    )
    ole = models.User(user_name="ole.brandt", formatted_name="Ole Brandt", family_name="Brandt")
    save(ole)
    other = directory.one("Users", ole.id)
    ids = sorted(str(user["id"]) for user in (pushed, other) if user)
    crew = models.Group(display_name="Mill crew", members=[ida, ole])
    save(crew)
    checks["a group is created with its members"] = len(ids) == 2 and directory.members(crew.id) == ids
    crew.members = [ida]
    save(crew)
    checks["a member is taken out"] = pushed is not None and directory.members(crew.id) == [pushed["id"]]
    delete(ida)
    gone = directory.one("Users", ida.id) is None
    checks["a person is deleted"] = gone and directory.one("Users", ole.id) is not None
    return checks


def main() -> None:
    """Push with one process and the memory backend: no broker, and Syncline's token instead of Canaille's."""
    # The models that Canaille 0.3.6 is bound to are older than RFC 9865 and refuse its `pagination` block.
    ServiceProviderConfig.model_config["extra"] = "ignore"
    ServiceProviderConfig.model_rebuild(force=True)
    base, token = sys.argv[1], os.environ["SYNCLINE_TOKEN"]
    scim.get_or_create_token = lambda client: type("Token", (), {"access_token": token})
    scim.execute_scim_user_action.send = scim.execute_scim_user_action.fn
    scim.get_clients_to_notify = lambda user: backends.Backend.instance.query(models.Client)
    app = create_app(config=SETTINGS)
    with app.app_context(), app.backend.session():
        print(json.dumps(push(base, token)))


if __name__ == "__main__":
    main()
