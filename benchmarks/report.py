"""The table: each figure beside the best correct peer that keeps its data, and beside what was promised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.pipeline import Idle, Lag
from benchmarks.webhooks import Webhooks
from benchmarks.workloads import Figure

# The peers whose data survives a restart; a server that keeps nothing is shown, and not compared with.
PERSISTENT = ("scimmy + postgresql",)


@dataclass(frozen=True, slots=True)
class Budget:
    """What a ratio must and should reach."""

    must: float
    aim: float


BUDGETS: Mapping[str, Budget] = {
    "provision, 8 connections": Budget(2, 3),
    "provision, 64 connections": Budget(3, 5),
    "patch, Okta shape": Budget(4, 6),
    "patch, Entra shape": Budget(4, 5),
    "push, 1 member a request": Budget(25, 40),
    "push, 100 members a request": Budget(15, 25),
    "one member of 10,000": Budget(100, 300),
    "list, 100 a page": Budget(2, 4),
}

Results = dict[str, dict[str, Figure | str]]


def table(results: Results) -> str:
    """Return a Markdown table of every work (rows) on every server (columns) and the ratios."""
    servers = list(results)
    ours = [name for name in servers if name.startswith("syncline")]
    works = list(dict.fromkeys(work for figures in results.values() for work in figures))
    lines = [
        f"| work | {' | '.join(servers)} | ratio {' / '.join(map(_database, ours))} | must | aim |",
        "|---" * (len(servers) + 4) + "|",
    ]
    for work in works:
        budget = BUDGETS.get(work)
        cells = [_cell(results[server].get(work)) for server in servers]
        ratios = " / ".join(_ratio(results, server, work) for server in ours)
        promised = f"{budget.must:g}x | {budget.aim:g}x" if budget else "- | -"
        lines.append(f"| {work} | {' | '.join(cells)} | {ratios} | {promised} |")
    return "\n".join(lines)


def missed(results: Results) -> list[str]:
    """Return the works whose ratio is below what they must reach."""
    found = []
    for server in results:
        if not server.startswith("syncline"):
            continue
        for work, budget in BUDGETS.items():
            value = ratio(results, server, work)
            if value is not None and value < budget.must:
                found.append(f"{work} on {server}: {value:.1f}x, must be {budget.must:g}x")
    return found


def ratio(results: Results, server: str, work: str) -> float | None:
    """Return how many times the best persistent peer's rate a server reaches, None where nothing compares."""
    mine = results[server].get(work)
    others = [results[peer].get(work) for peer in PERSISTENT if peer in results]
    rates = [other.per_second for other in others if isinstance(other, Figure) and not other.wrong]
    if not isinstance(mine, Figure) or not rates:
        return None
    return mine.per_second / max(rates)


def details(results: Results) -> str:
    """Return the latency, the CPU and the growth behind each figure."""
    lines = [
        "| server | work | rate | p50 ms | p99 ms | CPU ms each | driver, others (cores) | p50 by tenths |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for server, figures in results.items():
        for work, figure in figures.items():
            if isinstance(figure, Figure):
                tenths = " ".join(f"{value:g}" for value in figure.tenths_ms) or "-"
                lines.append(
                    f"| {server} | {work} | {figure.per_second:,.0f} {figure.unit}/s | {figure.p50_ms:.2f} "
                    f"| {figure.p99_ms:.2f} | {figure.server_ms:.3f} "
                    f"| {figure.driver_share:.2f}, {figure.others_share:.2f} | {tenths} |"
                )
    return "\n".join(lines)


def errors(results: Results) -> list[str]:
    """Return every answer and effect that was wrong."""
    return [
        f"{server}, {work}: {wrong}"
        for server, figures in results.items()
        for work, figure in figures.items()
        for wrong in ([figure] if isinstance(figure, str) else figure.wrong)
    ]


def pipeline_lines(server: str, lag: Lag, sent: Webhooks, idle: Idle) -> Sequence[str]:
    """Return what was measured behind the log, a line each."""
    late = sent.late
    return (
        f"{server}: commit to event readable {lag.readable_p50 * 1000:.0f} ms p50, "
        f"{lag.readable_p99 * 1000:.0f} ms p99 (must < 100); {lag.arrived} of {lag.expected} arrived",
        *(
            f"{server}: {rate.work}: {rate.per_second:,.0f}/s (must 3,000), "
            f"{rate.per_second / rate.bare:.2f} of a bare sender's {rate.bare:,.0f}/s; "
            f"{rate.arrived} of {rate.expected} arrived"
            for rate in sent.rates
        ),
        f"{server}: commit to webhook {late.p50 * 1000:.0f} ms p50, {late.p99 * 1000:.0f} ms p99 "
        f"(must < 250); {late.arrived} of {late.expected} arrived",
        f"{server}: first answer after {idle.start_seconds:.1f} s (must 3), idle {idle.resident_mb:.0f} MB "
        f"(must 150), {idle.cpu_share * 100:.1f} % of a core",
    )


def _cell(figure: Figure | str | None) -> str:
    if figure is None:
        return "-"
    if isinstance(figure, str):
        return "failed"
    return f"{figure.per_second:,.0f} {figure.unit}/s{' (wrong)' if figure.wrong else ''}"


def _ratio(results: Results, server: str, work: str) -> str:
    value = ratio(results, server, work)
    return "-" if value is None else f"{value:.1f}x"


def _database(server: str) -> str:
    return server.partition(" + ")[2]
