"""`dingwatch status --metrics`: the status for Prometheus, such as node_exporter's textfile collector."""

from __future__ import annotations

import click

from dingwatch.cli.context import Session
from dingwatch.cli.status import read_status
from dingwatch.service.metrics import former_metrics, status_metrics, write_metrics


def print_metrics(session: Session) -> int:
    """Print the status as metrics, also under the names that they had in 0.1."""
    status = read_status(session)
    click.echo(write_metrics([*status_metrics(status), *former_metrics(status)]).decode(), nl=False)
    return 0
