"""Evaluations in memory: they never change, so what was read once stays right."""

from __future__ import annotations

from syncline.core.evaluation import Evaluation, read_evaluation
from syncline.core.model import Directory
from syncline.store import evaluations as store
from syncline.store.database import Connection

_MOST = 1_000


class EvaluationCache:
    """The evaluations that directories of this process were seen to name."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Evaluation] = {}

    def of(self, connection: Connection, directory: Directory) -> Evaluation | None:
        """Return what a directory's people are evaluated by, None if nothing is defined."""
        if directory.evaluation_id is None:
            return None
        key = directory.environment_id, directory.evaluation_id
        found = self._known.get(key)
        if found is None:
            found = read_evaluation(key[1], store.body(connection, *key))
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[key] = found
        return found

    def shows_raw(self, connection: Connection, directory: Directory) -> bool:
        """Tell whether a directory's people are shown as the provider sent them as well."""
        found = self.of(connection, directory)
        return found is not None and found.raw_attributes
