"""`python -m tests.bench [NAME…]` and `… compare REV [NAME…]`; see docs/performance.md."""

from __future__ import annotations

import os
import platform
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any, Final

import click

from tests.bench import (
    backlog,
    burst,
    claims,
    films,
    first_look,
    folders,
    large,
    latency,
    ledger,
    nodes,
    nodes_pace,
    pace,
    page,
    questions,
    removal,
    start,
    ten_million,
    tree,
    values,
)
from tests.bench.benchmark import Benchmark, Scale, run, show_comparison, show_figures
from tests.bench.code import Code, checked_out, this_tree

BENCHMARKS: Final[dict[str, Benchmark]] = {
    "burst": burst.BENCHMARK,
    "latency": latency.BENCHMARK,
    "pace": pace.BENCHMARK,
    "pace-nodes": nodes_pace.BENCHMARK,
    "backlog": backlog.BENCHMARK,
    "films": films.BENCHMARK,
    "folders": folders.BENCHMARK,
    "tree": tree.BENCHMARK,
    "first-look": first_look.BENCHMARK,
    "removal": removal.BENCHMARK,
    "ledger": ledger.BENCHMARK,
    "questions": questions.BENCHMARK,
    "page": page.BENCHMARK,
    "values": values.BENCHMARK,
    "large": large.BENCHMARK,
    "start": start.BENCHMARK,
    "nodes": nodes.BENCHMARK,
    "claims": claims.BENCHMARK,
    "ten-million": ten_million.BENCHMARK,
}


def _options(command: Callable[..., None]) -> Callable[..., None]:
    """Add what both commands take."""
    kinds: list[tuple[str, dict[str, Any]]] = [
        ("--quick", {"is_flag": True, "help": "Small numbers, to see that it works."}),
        ("--large", {"is_flag": True, "help": "Trees of 500,000 and 1,000,000, ledgers of 10,000,000."}),
        ("--rounds", {"type": click.IntRange(1), "help": "How often each is measured."}),
    ]
    for name, settings in reversed(kinds):
        command = click.option(name, **settings)(command)
    return click.argument("names", nargs=-1, type=click.Choice(tuple(BENCHMARKS)))(command)


@click.command()
@_options
def measure(names: tuple[str, ...], *, quick: bool, large: bool, rounds: int | None) -> None:
    """Measure this tree, and print tables."""
    _measure(names or tuple(BENCHMARKS), (this_tree(),), _scale(quick=quick, large=large), rounds)


@click.command()
@click.argument("revision")
@_options
def compare(revision: str, names: tuple[str, ...], *, quick: bool, large: bool, rounds: int | None) -> None:
    """Measure this tree and REVISION in turn, and print the ratios."""
    with checked_out(revision) as other:
        codes = this_tree(), other
        if codes[0].commit == other.commit:
            raise click.UsageError(f"{revision} is what lies here, without a change")
        _measure(names or tuple(BENCHMARKS), codes, _scale(quick=quick, large=large), rounds)


def _scale(*, quick: bool, large: bool) -> Scale:
    if quick and large:
        raise click.UsageError("--quick and --large exclude each other")
    return Scale.QUICK if quick else Scale.LARGE if large else Scale.NORMAL


def _measure(names: Sequence[str], codes: Sequence[Code], scale: Scale, rounds: int | None) -> None:
    """Run benchmarks one after the other; one that fails is named at the end, and the others go on."""
    click.echo(_heading(codes, scale))
    failed = [name for name in names if not _try(name, codes, scale, rounds)]
    if failed:
        raise click.ClickException(f"failed: {', '.join(failed)}")


def _heading(codes: Sequence[Code], scale: Scale) -> str:
    """Say what was measured, where, and how busy the machine was."""
    loads = ", ".join(f"{load:.1f}" for load in os.getloadavg())
    quick = " Quick: the numbers are too small to judge by." if scale is Scale.QUICK else ""
    return (
        f"{' and '.join(code.commit for code in codes)}, {time.strftime('%Y-%m-%d %H:%M')},"
        f" Python {platform.python_version()}, Linux {platform.release()}, {os.cpu_count()} cores,"
        f" load averages {loads}. Compare within a table only.{quick}"
    )


def _try(name: str, codes: Sequence[Code], scale: Scale, rounds: int | None) -> bool:
    benchmark = BENCHMARKS[name]
    try:
        done = run(name, benchmark, codes, scale, rounds)
    except Exception:  # noqa: BLE001 (whatever it is, what was measured so far must not be lost)
        traceback.print_exc()
        return False
    title = f"{name}: {benchmark.title(scale)}"
    if len(codes) == 1:
        show_figures(title, done[0], scale)
    else:
        show_comparison(title, codes, done)
    return True


if __name__ == "__main__":
    if sys.argv[1:2] == ["compare"]:
        compare(sys.argv[2:], prog_name="python -m tests.bench compare")
    else:
        measure(prog_name="python -m tests.bench")
