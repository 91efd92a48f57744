"""The status as metrics for Prometheus: gauges, which the command prints too, and the service's counters.

Only what prints metrics imports this: `prometheus_client` is of no other use.
"""

from __future__ import annotations

import platform
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import accumulate

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily as CounterFamily
from prometheus_client.core import GaugeMetricFamily as Gauge
from prometheus_client.core import HistogramMetricFamily as Histogram
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

import dingwatch
from dingwatch import quota
from dingwatch.dingtalk import BILLED, WEBHOOK_BILLED
from dingwatch.lifecycle import IN_WORK, State
from dingwatch.model import Scope
from dingwatch.service.overview import Status
from dingwatch.service.tally import BUCKETS, Totals


class _Given(Collector):
    """Hands metrics to prometheus_client."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = list(metrics)

    def collect(self) -> Iterable[Metric]:
        """Return every metric."""
        return self._metrics


def write_metrics(metrics: Iterable[Metric]) -> bytes:
    """Return metrics in the text format 0.0.4."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Given(metrics))
    return generate_latest(registry)


# --- Of the status -------------------------------------------------------------------------------


def status_metrics(status: Status) -> Iterator[Metric]:
    """Yield what the status says."""
    # Without a value where nobody can tell.
    yield Gauge("dingwatch_daemon_running", "Whether the service is running.", status.running)
    info = Gauge("dingwatch_build_info", "The version, always 1.", labels=("version", "python"))
    info.add_metric((dingwatch.__version__, platform.python_version()), 1)
    yield info
    yield from _folder_metrics(status)
    yield from _node_metrics(status)
    yield _calls_by_api(status, "dingwatch_api_calls_month")
    yield from _quota_metrics(status)


def former_metrics(status: Status) -> Iterator[Metric]:
    """Yield what `dingwatch_deliveries_current` and `dingwatch_api_calls_month` were called in 0.1."""
    yield _deliveries_by_state(status, "dingwatch_deliveries")
    yield _calls_by_api(status, "dingwatch_api_calls")


def _deliveries_by_state(status: Status, name: str) -> Metric:
    deliveries = Gauge(name, "Deliveries by state; folder is empty for `send`.", labels=("folder", "state"))
    # Of two nodes' folders, both may have the same name; each node has metrics of its own.
    counted = [(one.folder.name, one.counts) for one in status.folders if one.other is None]
    # Deliveries of `send` have no folder, but every series of a metric needs the same labels.
    for folder, counts in [*counted, ("", status.direct)]:
        for state in State:
            deliveries.add_metric((folder, state), counts[state])
    return deliveries


def _folder_metrics(status: Status) -> Iterator[Metric]:
    watched = Gauge("dingwatch_folder_watched", "Whether the folder is watched.", labels=("folder",))
    settling = Gauge("dingwatch_settling", "Files that are still changing.", labels=("folder",))
    held = Gauge("dingwatch_held", "Deliveries on hold until a person decides.", labels=("folder",))
    for folder, watch, counts, _, other in status.folders:
        if other is not None:
            continue
        if watch != "unknown":
            watched.add_metric((folder.name,), watch in {"inotify", "poll"})
        settling.add_metric((folder.name,), counts["settling"])
        held.add_metric((folder.name,), status.held.get(folder.name, 0))
    pauses = Gauge("dingwatch_pauses", "Pauses in force, or waiting for a probe.", labels=("scope", "code"))
    found = Counter((str(one.scope), one.cause.code) for one in status.pauses)
    found[Scope.FOLDER, "by_hand"] += len(status.by_hand)
    for (scope, code), count in (+found).items():
        pauses.add_metric((scope, code), count)
    all_counts = [status.direct, *(one.counts for one in status.folders)]
    waiting = sum(counts[state] for counts in all_counts for state in IN_WORK)
    yield from (watched, settling, held, _deliveries_by_state(status, "dingwatch_deliveries_current"), pauses)
    yield Gauge("dingwatch_queue_depth", "Deliveries in progress or waiting.", waiting)
    yield Gauge(
        "dingwatch_unmapped", "Unsent deliveries whose recipient is no longer in the config.", status.unmapped
    )


def _node_metrics(status: Status) -> Iterator[Metric]:
    if not status.nodes:
        return
    up = Gauge("dingwatch_node_up", "Whether the node has a lease on the shared ledger.", labels=("node",))
    draining = Gauge("dingwatch_node_draining", "Whether the node was drained.", labels=("node",))
    now = time.time()
    for one in status.nodes:
        up.add_metric((one.name,), one.state == "up" or (one.state == "draining" and one.lease_until > now))
        draining.add_metric((one.name,), one.state == "draining")
    yield from (up, draining)


def _calls_by_api(status: Status, name: str) -> Metric:
    calls = Gauge(
        name, "Calls of this month (Asia/Shanghai) by the quota they count against.", labels=("api", "quota")
    )
    for api, count in sorted(status.by_api.items()):
        against = "calls" if api in BILLED else "webhook" if api in WEBHOOK_BILLED else "none"
        calls.add_metric((api, against), count)
    return calls


def _quota_metrics(status: Status) -> Iterator[Metric]:
    use = status.use
    yield Gauge("dingwatch_quota_used", "Billed calls of this month.", use.used)
    if use.limit is not None and use.left is not None:
        yield Gauge("dingwatch_quota_limit", "Billed calls that a month allows.", use.limit)
        yield Gauge("dingwatch_quota_left", "Billed calls that this month still allows.", use.left)
    if use.runs_out_on is not None:
        end = datetime.combine(use.runs_out_on + timedelta(days=1), datetime.min.time(), quota.SHANGHAI)
        meaning = "When no call is left at this month's rate; absent if the calls last."
        yield Gauge("dingwatch_quota_runs_out_timestamp_seconds", meaning, end.timestamp())


# --- Of the running service ----------------------------------------------------------------------


def service_metrics(
    totals: Totals,
    calls: Mapping[tuple[str, str], int],
    *,
    folders: Mapping[int | None, str],
    scans: Mapping[int, float],
    oldest: float | None,
) -> Iterator[Metric]:
    """Yield what only the running service knows; `folders` has names by ids, "" for what `send` was given."""
    entered = CounterFamily(
        "dingwatch_deliveries", "Deliveries that entered a state since the service started.",
        labels=("folder", "state"),
    )  # fmt: skip
    # A series that appears with its first failure would hide that failure from `increase`.
    for number, name in folders.items():
        for state in State:
            entered.add_metric((name, state), totals.entered[number, state])
    yield entered
    made = CounterFamily(
        "dingwatch_api_calls", "Requests to DingTalk since the service started.", labels=("api", "outcome")
    )
    for (api, outcome), count in sorted(calls.items()):
        made.add_metric((api, outcome), count)
    yield made
    yield CounterFamily(
        "dingwatch_sent_bytes",
        "Bytes of the files that were sent since the service started.",
        totals.sent_bytes,
    )
    bounds = [*map(str, BUCKETS), "+Inf"]
    yield Histogram(
        "dingwatch_delivery_seconds", "From when a file had settled until it was sent.",
        buckets=list(zip(bounds, accumulate(totals.buckets), strict=True)),
        sum_value=totals.seconds,
    )  # fmt: skip
    waiting = Gauge(
        "dingwatch_oldest_waiting_timestamp_seconds",
        "When the oldest delivery that waits was noticed; absent if none waits.",
    )
    if oldest is not None:
        waiting.add_metric((), oldest)
    yield waiting
    last_scan = Gauge(
        "dingwatch_folder_last_scan_timestamp_seconds",
        "When the last complete scan of the folder began.",
        labels=("folder",),
    )
    for number, at in scans.items():
        if number in folders:
            last_scan.add_metric((folders[number],), at)
    yield last_scan
