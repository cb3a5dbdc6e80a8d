"""Every service of one process, made from one kernel."""

from __future__ import annotations

from syncline.services.api_keys import ApiKeys
from syncline.services.apply import Writer
from syncline.services.attribute_gaps import AttributeGaps
from syncline.services.attribute_maps import AttributeMaps
from syncline.services.attribute_previews import AttributePreviews
from syncline.services.attributes import Attributes
from syncline.services.definition_versions import DefinitionVersions
from syncline.services.delivery import Dispatcher
from syncline.services.directories import Directories
from syncline.services.domains import Domains
from syncline.services.endpoint_deliveries import EndpointDeliveries
from syncline.services.endpoint_tests import EndpointTests
from syncline.services.endpoints import Endpoints
from syncline.services.environments import Environments
from syncline.services.erasure import Erasures
from syncline.services.events import Events
from syncline.services.explain import Explain
from syncline.services.health import Health
from syncline.services.held_changes import HeldChanges
from syncline.services.history import History
from syncline.services.idempotency import Idempotency
from syncline.services.imports import Imports
from syncline.services.kernel import Kernel
from syncline.services.memberships import Memberships
from syncline.services.observed_attributes import ObservedAttributes
from syncline.services.organizations import Organizations
from syncline.services.product import Product
from syncline.services.reconciliation import Reconciliations
from syncline.services.reevaluation import Reevaluations
from syncline.services.replays import Replays
from syncline.services.resource_aliases import ResourceAliases
from syncline.services.resources import Resources
from syncline.services.retention import Retention
from syncline.services.role_grants import RoleGrants
from syncline.services.role_previews import RolePreviews
from syncline.services.role_rules import RoleRuleSets
from syncline.services.role_set_previews import RoleSetPreviews
from syncline.services.roles import Roles
from syncline.services.scim_access import ScimAccess
from syncline.services.scim_aliases import ScimAliases
from syncline.services.sealing import Sealer
from syncline.services.sink_dispatch import SinkDispatcher
from syncline.services.sinks import EventSinks
from syncline.services.token_import import ImportedTokens
from syncline.services.tokens import BearerTokens


class Services:
    """Every service of one process; `writer` is started by whoever serves requests."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.writer = Writer(kernel)
        self.sealer = Sealer(kernel)
        self.resources = Resources(kernel)
        self.scim_access = ScimAccess(kernel)
        self.environments = Environments(kernel)
        self.api_keys = ApiKeys(kernel)
        self.idempotency = Idempotency(kernel)
        self.organizations = Organizations(kernel)
        self.domains = Domains(kernel)
        self.directories = Directories(kernel)
        self.tokens = BearerTokens(kernel)
        self.imported_tokens = ImportedTokens(kernel)
        self.scim_aliases = ScimAliases(kernel)
        self.resource_aliases = ResourceAliases(kernel)
        self.product = Product(kernel)
        self.history = History(kernel)
        self.explain = Explain(kernel)
        self.memberships = Memberships(kernel)
        self.attributes = Attributes(kernel)
        self.attribute_gaps = AttributeGaps(kernel)
        self.attribute_maps = AttributeMaps(kernel)
        self.attribute_previews = AttributePreviews(kernel)
        self.definition_versions = DefinitionVersions(kernel)
        self.observed_attributes = ObservedAttributes(kernel)
        self.roles = Roles(kernel)
        self.role_rules = RoleRuleSets(kernel)
        self.role_previews = RolePreviews(kernel)
        self.role_set_previews = RoleSetPreviews(kernel)
        self.role_grants = RoleGrants(kernel)
        self.held_changes = HeldChanges(kernel)
        self.events = Events(kernel)
        self.endpoints = Endpoints(kernel)
        self.endpoint_deliveries = EndpointDeliveries(kernel)
        self.endpoint_tests = EndpointTests(kernel)
        self.replays = Replays(kernel)
        self.dispatcher = Dispatcher(kernel)
        self.event_sinks = EventSinks(kernel)
        self.sink_dispatcher = SinkDispatcher(kernel)
        self.retention = Retention(kernel)
        self.reevaluations = Reevaluations(kernel)
        self.erasures = Erasures(kernel, self.writer)
        self.imports = Imports(kernel, self.writer)
        self.reconciliations = Reconciliations(kernel)
        self.health = Health(kernel)

    async def close(self) -> None:
        """Finish what requests have left behind; the database is closed after this."""
        await self.erasures.close()
        await self.imports.close()
        await self.reconciliations.close()
        await self.writer.close()
        await self.scim_access.flush()
        await self.api_keys.flush()
