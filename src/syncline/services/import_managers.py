"""People who were imported before their managers: evaluated again once all are in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from syncline.core.evaluation import Evaluation
from syncline.core.ids import Prefix
from syncline.core.imports import own_id
from syncline.core.model import Cause
from syncline.services.import_results import RecordResult
from syncline.services.kernel import Kernel
from syncline.store import directories, reevaluations
from syncline.store.database import Connection
from syncline.store.imports import Import

_PEOPLED = "peopled"


def noted(current: Import, results: Sequence[RecordResult]) -> Import:
    """Return an import that knows the directories which people were made in."""
    peopled = {
        own_id(Prefix.DIRECTORY, one.directory_id, within=current.environment_id)
        for one in results
        if one.type == "user" and one.created and one.directory_id is not None
    }
    known = set(current.progress.get(_PEOPLED, ()))
    if peopled <= known:
        return current
    return replace(current, progress=current.progress | {_PEOPLED: sorted(known | peopled)})


def evaluate_again(kernel: Kernel, connection: Connection, ended: Import) -> None:
    """Have everybody evaluated where people were made and what they show depends on their managers."""
    cause = Cause(ended.cause, actor_source="system", actor_name=ended.id)
    begun = False
    for directory_id in sorted(ended.progress.get(_PEOPLED, ())):
        directory = directories.get(connection, ended.environment_id, directory_id)
        if directory is None or not _needs_manager(kernel.evaluations.of(connection, directory)):
            continue
        held = directories.lock(connection, ended.environment_id, directory_id)
        if held is not None:
            reevaluations.begin(connection, held, cause, kernel.clock())
            begun = True
    if begun:
        kernel.reevaluations.notify(ended.environment_id)


def _needs_manager(evaluation: Evaluation | None) -> bool:
    return (
        evaluation is not None and evaluation.attributes is not None and evaluation.attributes.needs_manager
    )
