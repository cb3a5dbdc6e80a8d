"""`syncline check-receiver`: find out whether a webhook receiver is safe before production does."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from syncline.cli.client import CommandFailed
from syncline.cli.output import Output

if TYPE_CHECKING:
    from syncline.testing.consumer import Report, Result


def check_receiver(
    url: Annotated[str, typer.Argument(help="Address of the receiver.")],
    secret: Annotated[str, typer.Option(help="The endpoint's secret, whsec_….")],
    new_secret: Annotated[
        str | None, typer.Option(help="The next secret, which the receiver knows as well.")
    ] = None,
    state: Annotated[
        str | None, typer.Option(help="Address that shows the receiver's people and memberships as JSON.")
    ] = None,
    only: Annotated[list[str] | None, typer.Option(help="Only this check; may be repeated.")] = None,
    timeout: Annotated[float, typer.Option(help="Seconds after which an answer is a failure.")] = 15.0,
    settle: Annotated[float, typer.Option(help="Seconds that the state may take to show an event.")] = 5.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Play duplicates, delays, rotations and forgeries at a webhook receiver; ends with 1 if it is unsafe.

    Sends invented people of invented directories: use a receiver whose data may be thrown away.
    """
    from syncline.testing.consumer import Options, check
    from syncline.testing.consumer_play import StateUnreadable

    output = Output(as_json=as_json)
    options = Options(
        new_secret=new_secret,
        timeout=timeout,
        settle=settle,
        only=only or (),
        on_result=(lambda _: None) if as_json else (lambda result: _print(output, result)),
        on_sent=lambda sent: output.progress(sent, None, "events sent"),
    )
    try:
        report = asyncio.run(check(url, secret, state=state, options=options))
    except (ValueError, StateUnreadable) as error:
        raise CommandFailed(str(error), 2) from None
    finally:
        output.close()
    _conclude(output, report)


def _print(output: Output, result: Result) -> None:
    from syncline.testing.consumer import FAILED, lines_of

    first, *rest = lines_of(result)
    output.line(output.outcome(first, good=False) if result.outcome == FAILED else first)
    for line in rest:
        output.line(line)


def _conclude(output: Output, report: Report) -> None:
    if output.as_json:
        output.record(report.document())
    else:
        failed, count = len(report.failures), len(report.results)
        output.line(f"{count} checks, {failed} failed")
        if not report.compared:
            output.line(
                "Only the answers were judged; with --state the receiver's data are compared as well."
            )
    if not report.passed:
        raise typer.Exit(1)
