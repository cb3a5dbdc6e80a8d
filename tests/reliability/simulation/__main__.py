"""Command line of the simulation: run seeds, or one seed with everything that happens in it."""

from __future__ import annotations

import argparse
import sys
import time

from tests.reliability.simulation.plan import make_plan
from tests.reliability.simulation.simulate import Simulator, run_seeds


def main() -> int:
    """Return 0 if every seed kept all promises."""
    parser = argparse.ArgumentParser(prog="python -m tests.reliability.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="run this seed only")
    parser.add_argument("--seeds", type=int, default=500, help="how many seeds to run (default: 500)")
    parser.add_argument("--first", type=int, default=1, help="the first of them (default: 1)")
    parser.add_argument("--processes", type=int, help="how many processes (default: one per core)")
    parser.add_argument("--trace", action="store_true", help="with --seed: print every step")
    chosen = parser.parse_args()
    return _one(chosen.seed, chosen.trace) if chosen.seed is not None else _many(chosen)


def _one(seed: int, trace: bool) -> int:
    plan = make_plan(seed)
    print("\n".join(plan.lines()))
    verdict = Simulator().plan(plan, trace=trace)
    print("\n".join(verdict.trace))
    if verdict.problems:
        print("\n".join((f"seed {seed} is broken:", *(f"  {problem}" for problem in verdict.problems))))
        return 1
    print(f"seed {seed} kept every promise: {verdict.requests} requests in {verdict.seconds:.0f} virtual s")
    return 0


def _many(chosen: argparse.Namespace) -> int:
    begun = time.monotonic()
    broken, requests, seconds = 0, 0, 0.0
    seeds = range(chosen.first, chosen.first + chosen.seeds)
    for done, verdict in enumerate(run_seeds(seeds, chosen.processes), 1):
        requests, seconds = requests + verdict.requests, seconds + verdict.seconds
        if verdict.problems:
            broken += 1
            print(verdict)
        if sys.stderr.isatty():
            print(f"\r{done}/{chosen.seeds} seeds, {broken} broken", end="", file=sys.stderr)
    print(
        f"{chosen.seeds} seeds, {broken} broken: {requests} requests in {seconds / 86_400:.1f} virtual days,"
        f" {time.monotonic() - begun:.0f} s"
    )
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
