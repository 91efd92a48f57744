"""`python -m tests.bench [burst] [latency] [tree] [--quick] [--large]`."""

from __future__ import annotations

import click

from tests.bench import burst, latency, tree

NAMES = ("burst", "latency", "tree")


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(NAMES))
@click.option("--quick", is_flag=True, help="Small numbers, to see that it works.")
@click.option("--large", is_flag=True, help="A tree of 1,000,000 files.")
def main(names: tuple[str, ...], *, quick: bool, large: bool) -> None:
    """Measure, and print tables."""
    for name in names or NAMES:
        if name == "burst":
            burst.measure(quick=quick)
        elif name == "latency":
            latency.measure(quick=quick)
        else:
            tree.measure(quick=quick, large=large)


main()
