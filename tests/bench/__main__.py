"""`python -m tests.bench [NAME…] [--quick] [--large]`; see docs/performance.md."""

from __future__ import annotations

import os

import click

from tests.bench import burst, large, latency, ledger, pace, tree

NAMES = ("burst", "latency", "tree", "ledger", "large", "pace")


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(NAMES))
@click.option("--quick", is_flag=True, help="Small numbers, to see that it works.")
@click.option("--large", "full", is_flag=True, help="Trees and ledgers of 1,000,000.")
def main(names: tuple[str, ...], *, quick: bool, full: bool) -> None:
    """Measure, and print tables."""
    click.echo(
        f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}: look at ratios in one table only"
    )
    for name in names or NAMES:
        match name:
            case "burst":
                burst.measure(quick=quick)
            case "latency":
                latency.measure(quick=quick)
            case "tree":
                tree.measure(quick=quick, large=full)
            case "ledger":
                ledger.measure(quick=quick, large=full)
            case "large":
                large.measure(quick=quick)
            case "pace":
                pace.measure(quick=quick)


if __name__ == "__main__":
    main()
