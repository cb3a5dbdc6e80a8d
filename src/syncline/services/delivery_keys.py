"""The opened secrets of endpoints, kept from one turn to the next.

Whatever replaces a secret changes the endpoint's `updated_at` in the same commit, and they are read after the
claim that says it. So what was read under one `updated_at` holds as long as claims say the same. It is read
again after a minute all the same: which secrets had expired was judged by a clock that may have been wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from syncline.services.coalesce import Coalescer
from syncline.services.delivery_request import SigningSecret, open_secrets
from syncline.services.kernel import Kernel
from syncline.store import endpoints
from syncline.store.deliveries import Claim
from syncline.store.endpoints import EndpointSecret

# About a kilobyte each.
_MOST_KEPT = 2_000
TRUST_SECONDS = 60.0

_Owner = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Known:
    changed_at: datetime
    asked_at: float
    secrets: list[SigningSecret]


class Keys:
    """What the turns of a process sign with."""

    def __init__(self, kernel: Kernel, time: Callable[[], float]) -> None:
        """`time` counts seconds from any moment on."""
        self._kernel = kernel
        self._time = time
        self._kept: dict[_Owner, _Known] = {}
        collects = not kernel.database.looks_up_in_place
        self._sealed: Coalescer[_Owner, list[EndpointSecret]] = Coalescer(self._load, collects=collects)

    async def of(self, claim: Claim) -> list[SigningSecret]:
        """Return the secrets of a claimed endpoint, newest first; some of them may have expired since.

        Raises `SealBroken` and what the query raises.
        """
        owner = claim.environment_id, claim.id
        known = self._kept.pop(owner, None)
        now = self._time()
        if known is None or known.changed_at != claim.updated_at or now - known.asked_at > TRUST_SECONDS:
            sealed = await self._sealed.get(owner) or []
            opened = open_secrets(self._kernel, claim.environment_id, claim.id, sealed)
            known = _Known(claim.updated_at, now, opened)
        # The last one used is the last one dropped.
        self._kept[owner] = known
        if len(self._kept) > _MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        return known.secrets

    async def _load(self, owners: Sequence[_Owner]) -> Mapping[_Owner, list[EndpointSecret]]:
        now = self._kernel.clock()
        return await self._kernel.database.look_up(
            lambda connection: endpoints.secrets_of_any(connection, owners, now)
        )
