"""`dingwatch status --metrics`: how everything stands, for Prometheus (node_exporter's textfile, say)."""

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
from dingwatch.cli.status import Standing, standing_of
from dingwatch.dingtalk import BILLED, WEBHOOK_BILLED
from dingwatch.lifecycle import IN_WORK, State


class _Standing(Collector):
    """What stands there, in Prometheus' words."""

    def __init__(self, standing: Standing) -> None:
        self._standing = standing

    def collect(self) -> Iterable[Metric]:
        """Return every metric."""
        yield Gauge(
            "dingwatch_daemon_running", "Whether the service is running.", self._standing.pid is not None
        )
        yield from _of_folders(self._standing)
        yield from _of_calls(self._standing)


def metrics(session: Session) -> int:
    """Print how everything stands."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Standing(standing_of(session)))
    click.echo(generate_latest(registry).decode(), nl=False)
    return 0


def _of_folders(standing: Standing) -> Iterator[Metric]:
    watched = Gauge("dingwatch_folder_watched", "Whether the folder is watched.", labels=("folder",))
    settling = Gauge("dingwatch_settling", "Files that are still changing.", labels=("folder",))
    deliveries = Gauge(
        "dingwatch_deliveries", "Deliveries by state; folder is empty for `send`.", labels=("folder", "state")
    )
    waiting = 0
    counted = [(folder.name, counts) for folder, _, counts in standing.folders]
    for name, counts in [*counted, ("", standing.direct)]:
        for state in State:
            deliveries.add_metric((name, state), counts[state])
        waiting += sum(counts[state] for state in IN_WORK)
    for folder, watch, counts in standing.folders:
        watched.add_metric((folder.name,), watch != "down")
        settling.add_metric((folder.name,), counts["settling"])
    pauses = Gauge("dingwatch_pauses", "Pauses in force, or waiting for a probe.", labels=("scope", "code"))
    for (scope, code), count in Counter((one.scope, one.cause.code) for one in standing.pauses).items():
        pauses.add_metric((scope, code), count)
    yield from (watched, settling, deliveries, pauses)
    yield Gauge("dingwatch_queue_depth", "Deliveries in progress or waiting.", waiting)
    yield Gauge(
        "dingwatch_unmapped", "Unsent deliveries whose recipient is no longer in the config.", standing.left
    )


def _of_calls(standing: Standing) -> Iterator[Metric]:
    use = standing.use
    calls = Gauge(
        "dingwatch_api_calls", "Calls of this month (Asia/Shanghai) by the quota they count against.",
        labels=("api", "quota"),
    )  # fmt: skip
    for api, count in sorted(standing.by_api.items()):
        against = "calls" if api in BILLED else "webhook" if api in WEBHOOK_BILLED else "none"
        calls.add_metric((api, against), count)
    yield calls
    yield Gauge("dingwatch_quota_used", "Billed calls of this month.", use.used)
    if use.limit is not None and use.left is not None:
        yield Gauge("dingwatch_quota_limit", "Billed calls that a month allows.", use.limit)
        yield Gauge("dingwatch_quota_left", "Billed calls that this month still allows.", use.left)
    if use.runs_out_on is not None:
        end = datetime.combine(use.runs_out_on + timedelta(days=1), datetime.min.time(), quota.SHANGHAI)
        said = "When no call is left at this month's rate; absent if the calls last."
        yield Gauge("dingwatch_quota_runs_out_timestamp_seconds", said, end.timestamp())
