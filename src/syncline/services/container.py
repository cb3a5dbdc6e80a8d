"""Every service of one process, made from one kernel."""

from __future__ import annotations

from syncline.services.api_keys import ApiKeys
from syncline.services.apply import Writer
from syncline.services.delivery import Dispatcher
from syncline.services.directories import Directories
from syncline.services.domains import Domains
from syncline.services.endpoint_deliveries import EndpointDeliveries
from syncline.services.endpoint_tests import EndpointTests
from syncline.services.endpoints import Endpoints
from syncline.services.environments import Environments
from syncline.services.erasure import Erasures
from syncline.services.events import Events
from syncline.services.health import Health
from syncline.services.idempotency import Idempotency
from syncline.services.kernel import Kernel
from syncline.services.organizations import Organizations
from syncline.services.product import Product
from syncline.services.replays import Replays
from syncline.services.resources import Resources
from syncline.services.retention import Retention
from syncline.services.scim_access import ScimAccess
from syncline.services.sealing import Sealer
from syncline.services.sink_dispatch import SinkDispatcher
from syncline.services.sinks import EventSinks
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
        self.product = Product(kernel)
        self.events = Events(kernel)
        self.endpoints = Endpoints(kernel)
        self.endpoint_deliveries = EndpointDeliveries(kernel)
        self.endpoint_tests = EndpointTests(kernel)
        self.replays = Replays(kernel)
        self.dispatcher = Dispatcher(kernel)
        self.event_sinks = EventSinks(kernel)
        self.sink_dispatcher = SinkDispatcher(kernel)
        self.retention = Retention(kernel)
        self.erasures = Erasures(kernel, self.writer)
        self.health = Health(kernel)

    async def close(self) -> None:
        """Finish what requests have left behind; the database is closed after this."""
        await self.erasures.close()
        await self.writer.close()
        await self.scim_access.flush()
        await self.api_keys.flush()
