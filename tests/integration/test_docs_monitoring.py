"""The dashboard and the alert rules in docs/monitoring/ ask for what the service gives."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from dingwatch.config.values import Http, TcpAddress
from dingwatch.lifecycle import State
from dingwatch.model import Scope
from dingwatch.sandbox import Fault, FaultKind, Sandbox
from dingwatch.web import WebServer
from tests.support import PATIENCE, config, eventually, folder, running, sent

HERE: Final = Path(__file__).parents[2] / "docs" / "monitoring"
RULES: Final = yaml.safe_load((HERE / "alerts.yml").read_text(encoding="utf-8"))["groups"][0]["rules"]
DASHBOARD: Final = json.loads((HERE / "dashboard.json").read_text(encoding="utf-8"))

SELECTOR: Final = re.compile(r"\b(dingwatch_\w+)(?:\{([^}]*)\})?")
MATCHER: Final = re.compile(r'(\w+)(=~|!=|=)"([^"]*)"')
ADDED: Final = frozenset({"instance", "job"})
"""Labels that Prometheus adds to each sample."""


def in_panels(panels: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the expressions of the dashboard."""
    for panel in panels:
        yield from (target["expr"] for target in panel["targets"])


EXPRESSIONS: Final = [*(rule["expr"] for rule in RULES), *in_panels(DASHBOARD["panels"])]


@pytest.fixture
def given(tmp_path: Path, share: Path, sandbox: Sandbox, postgres_url: str) -> dict[str, set[str]]:
    """The labels of each metric of /metrics, when a file was sent and another one waits."""
    made = config(tmp_path / "state", sandbox, folder(share, sandbox.conversations[0].id))
    limited = replace(made.dingtalk, monthly_calls=5000)
    made = replace(made, dingtalk=limited, http=Http(TcpAddress("127.0.0.1", 0)))
    made = replace(made, ledger=postgres_url, node="east")  # with the metrics of nodes
    with running(made, server=partial(WebServer)) as service:
        assert isinstance(service.server, WebServer)
        port = service.server.port
        assert port is not None

        def labels() -> dict[str, set[str]]:
            connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
            connection.close()
            samples = (one for family in text_string_to_metric_families(text) for one in family.samples)
            return {one.name: set(one.labels) for one in samples}

        (share / "a.txt").write_text("a")
        eventually(sent(sandbox, 1))
        sandbox.inject(
            Fault("robot/groupMessages/send", FaultKind.ERROR, code="bot.stopped", status=400, times=None)
        )
        (share / "b.txt").write_text("b")
        eventually(
            lambda: {"dingwatch_oldest_waiting_timestamp_seconds", "dingwatch_pauses"} <= labels().keys()
        )
        return labels()


def test_every_metric_that_is_asked_for_is_given(given: dict[str, set[str]]) -> None:
    """Every name of the dashboard and the rules is one of /metrics, and every label one of that metric."""
    asked = {found for one in EXPRESSIONS for found in SELECTOR.findall(one)}
    assert len({name for name, _ in asked}) > 12
    for name, selector in asked:
        assert name in given, name
        assert {label for label, _, _ in MATCHER.findall(selector)} <= given[name] | ADDED, (name, selector)


def test_every_metric_is_looked_at(given: dict[str, set[str]]) -> None:
    """What the service gives is on the dashboard or in a rule."""
    asked = {name for one in EXPRESSIONS for name, _ in SELECTOR.findall(one)}
    unseen = {name for name in given.keys() - asked if not name.endswith(("_count", "_sum", "_created"))}
    assert unseen == {"dingwatch_api_calls_month"}  # the calls by API are there as a rate


def test_values_that_are_asked_for_are_values_that_there_are() -> None:
    """A state or a scope that is spelt wrongly would never raise an alert."""
    known = {"state": {str(one) for one in State}, "scope": {str(one) for one in Scope}}
    compared = [found for one in EXPRESSIONS for found in MATCHER.findall(one) if found[0] in known]
    assert compared
    for label, _, value in compared:
        assert set(value.split("|")) <= known[label], (label, value)


def test_labels_that_are_shown_are_labels_that_are_left(given: dict[str, set[str]]) -> None:
    """What an alert says of `$labels` is still there after its `by`."""
    for rule in RULES:
        shown = set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"])))
        by = re.search(r"by \(([^)]*)\)", rule["expr"])
        name = SELECTOR.search(rule["expr"])
        left = set(by[1].split(", ")) if by else given[name[1]] if name else set()
        assert shown <= left, rule["alert"]


def test_every_alert_says_what_and_what_next_in_both_languages() -> None:
    """Each has a severity, a sentence in English and Chinese, and a command."""
    assert len({rule["alert"] for rule in RULES}) == len(RULES) > 10
    for rule in RULES:
        assert rule["labels"]["severity"] in {"critical", "warning"}
        english, _, chinese = rule["annotations"]["summary"].partition(" · ")
        assert english.isascii(), rule["alert"]
        assert re.search("[一-鿿]", chinese), rule["alert"]
        assert re.search(r"dingwatch|systemctl", rule["annotations"]["description"]), rule["alert"]


def test_the_dashboard_names_every_state_of_a_node() -> None:
    """One panel has them over time: lost, up, and drained, whether that node runs or not."""
    asked = {"dingwatch_node_up", "dingwatch_node_draining"}
    (panel,) = (one for one in DASHBOARD["panels"] if asked & set(re.findall(r"\w+", str(one["targets"]))))
    (target,) = panel["targets"]
    assert asked <= {name for name, _ in SELECTOR.findall(target["expr"])}
    assert target["legendFormat"] == "{{node}}"
    values = {up + 2 * draining for up in (0, 1) for draining in (0, 1)}
    assert "+ 2 * max by (node) (dingwatch_node_draining" in target["expr"]
    (mapping,) = panel["fieldConfig"]["defaults"]["mappings"]
    assert {int(value) for value in mapping["options"]} == values
    assert mapping["options"]["0"] == {"text": "lost · 失联", "color": "red", "index": 0}
    assert all(" · " in one["text"] for one in mapping["options"].values())


def test_the_dashboard_is_whole() -> None:
    """Panels have numbers and places of their own, titles in both languages, and the dashboard's source."""
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
        assert " · " in panel["title"]
        assert panel["datasource"]["uid"] == "${datasource}"
    assert [one["name"] for one in DASHBOARD["templating"]["list"]] == ["datasource", "instance", "folder"]
