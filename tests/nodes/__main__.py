"""`python -m tests.nodes [--rounds N] [FAULT…]` plays faults, and prints a table; see docs/reliability.md."""

from __future__ import annotations

import logging
import sys
import time
import traceback

import click

from tests.crash.account import Account
from tests.nodes.faults import FAULTS, Fault
from tests.nodes.rig import Rig, why_not

HEAD = "| fault | times | files | lost | torn | twice, unmarked | twice, marked | unrecorded | seconds |"


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(tuple(FAULTS)))
@click.option("--rounds", type=click.IntRange(1), default=1, help="How often each fault is played.")
def play(names: tuple[str, ...], rounds: int) -> None:
    """Play faults on several hosts, and print what became of the files."""
    if reason := why_not():
        raise click.ClickException(reason)
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)  # its clients are killed
    click.echo(f"{HEAD}\n|{'---|' * HEAD.count(' | ')}---|")
    wrong = [story for name in names or FAULTS for story in _row(FAULTS[name], rounds)]
    if wrong:
        sys.exit("\n".join(wrong))


def _row(fault: Fault, rounds: int) -> list[str]:
    """Play one fault, and print its line; return what went wrong."""
    found, begun = Account(), time.monotonic()
    for _ in range(rounds):
        try:
            with Rig(fault.options) as rig:
                found.add(fault.act(rig))
        except AssertionError:
            found.wrong.append(f"{fault.title}: {traceback.format_exc()}")
    kinds = ("files", "lost", "torn", "twice (unmarked)", "twice (marked)", "unrecorded")
    counts = " | ".join(str(found.counts[kind]) for kind in kinds)
    failed = f" **{len(found.wrong)} wrong**" if found.wrong else ""
    click.echo(f"| {fault.title}{failed} | {rounds} | {counts} | {time.monotonic() - begun:.0f} |")
    return found.wrong


if __name__ == "__main__":
    play(prog_name="python -m tests.nodes")
