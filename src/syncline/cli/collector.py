"""How often a process that serves looks for cyclic garbage.

Nearly everything a request or a step of a job makes is freed at once, by counting references. The usual
thresholds were measured to take an eighth of the time of a re-evaluation, most of it looking again at what
was loaded at the start and never goes.
"""

from __future__ import annotations

import gc

# New containers until the youngest are looked at, and how many times that until the older ones are.
_THRESHOLDS = (20_000, 20, 50)


def settle() -> None:
    """Leave what has been loaded so far out of every collection, and collect the rest less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
