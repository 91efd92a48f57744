"""`dingwatch status --metrics`: the status for Prometheus, such as node_exporter's textfile collector."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

import click
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily as Gauge
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from dingwatch import quota
from dingwatch.cli.context import Session
from dingwatch.cli.status import Status, read_status
from dingwatch.dingtalk import BILLED, WEBHOOK_BILLED
from dingwatch.lifecycle import IN_WORK, State


class _StatusCollector(Collector):
    """Hands the status to prometheus_client as metrics."""

    def __init__(self, status: Status) -> None:
        self._status = status

    def collect(self) -> Iterable[Metric]:
        """Yield every metric."""
        # Without a value where nobody can tell.
        yield Gauge("dingwatch_daemon_running", "Whether the service is running.", self._status.running)
        yield from _folder_metrics(self._status)
        yield from _call_metrics(self._status)


def print_metrics(session: Session) -> int:
    """Print the status as metrics."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_StatusCollector(read_status(session)))
    click.echo(generate_latest(registry).decode(), nl=False)
    return 0


def _folder_metrics(status: Status) -> Iterator[Metric]:
    watched = Gauge("dingwatch_folder_watched", "Whether the folder is watched.", labels=("folder",))
    settling = Gauge("dingwatch_settling", "Files that are still changing.", labels=("folder",))
    deliveries = Gauge(
        "dingwatch_deliveries", "Deliveries by state; folder is empty for `send`.", labels=("folder", "state")
    )
    waiting = 0
    counted = [(folder.name, counts) for folder, _, counts in status.folders]
    # Deliveries of `send` have no folder, but every series of a metric needs the same labels.
    for name, counts in [*counted, ("", status.direct)]:
        for state in State:
            deliveries.add_metric((name, state), counts[state])
        waiting += sum(counts[state] for state in IN_WORK)
    for folder, watch, counts in status.folders:
        if watch != "unknown":
            watched.add_metric((folder.name,), watch in {"inotify", "poll"})
        settling.add_metric((folder.name,), counts["settling"])
    pauses = Gauge("dingwatch_pauses", "Pauses in force, or waiting for a probe.", labels=("scope", "code"))
    for (scope, code), count in Counter((one.scope, one.cause.code) for one in status.pauses).items():
        pauses.add_metric((scope, code), count)
    yield from (watched, settling, deliveries, pauses)
    yield Gauge("dingwatch_queue_depth", "Deliveries in progress or waiting.", waiting)
    yield Gauge(
        "dingwatch_unmapped", "Unsent deliveries whose recipient is no longer in the config.", status.unmapped
    )


def _call_metrics(status: Status) -> Iterator[Metric]:
    use = status.use
    calls = Gauge(
        "dingwatch_api_calls", "Calls of this month (Asia/Shanghai) by the quota they count against.",
        labels=("api", "quota"),
    )  # fmt: skip
    for api, count in sorted(status.by_api.items()):
        against = "calls" if api in BILLED else "webhook" if api in WEBHOOK_BILLED else "none"
        calls.add_metric((api, against), count)
    yield calls
    yield Gauge("dingwatch_quota_used", "Billed calls of this month.", use.used)
    if use.limit is not None and use.left is not None:
        yield Gauge("dingwatch_quota_limit", "Billed calls that a month allows.", use.limit)
        yield Gauge("dingwatch_quota_left", "Billed calls that this month still allows.", use.left)
    if use.runs_out_on is not None:
        end = datetime.combine(use.runs_out_on + timedelta(days=1), datetime.min.time(), quota.SHANGHAI)
        meaning = "When no call is left at this month's rate; absent if the calls last."
        yield Gauge("dingwatch_quota_runs_out_timestamp_seconds", meaning, end.timestamp())
