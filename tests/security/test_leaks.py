"""The check on all output, checked: a leak is planted in each of the ways that one may go."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = """
import pytest
from dingwatch.sandbox import Sandbox
from tests.security.leaks import Leaks

def pytest_configure(config):
    config.pluginmanager.register(Leaks())

@pytest.fixture
def sandbox():
    with Sandbox() as running:
        yield running

@pytest.fixture
def client(sandbox):
    made = Client(
        Account(sandbox.client_id, sandbox.client_secret, "r", sandbox.url, sandbox.url),
        gate=print, count=print, sleep=print, clock=time.time,
    )
    for host in Host:
        made.fetch_token(host)
    with made:
        yield made

@pytest.fixture
def token(client):
    return client._tokens.values()[-1]
"""

IMPORTS = """
import logging, subprocess, sys, time, pytest
from urllib.parse import quote
from click.testing import CliRunner
from dingwatch.cli.app import cli
from dingwatch.dingtalk import Account, Client, Host
from dingwatch.texts import Log
from tests.support import Heard
"""

LEAKS = {
    "printed": "print(sandbox.client_secret)",
    "printed_token": "print(token)",
    "to_stderr": "print(token, file=sys.stderr)",
    "logged_for_debugging": "logging.getLogger('urllib3.new').debug('GET /x?access_token=%s', token)",
    "in_an_address_of_another_process": "print('http://x/gettoken?appkey=a&appsecret=somebodys-own')",
    "by_a_subprocess": (
        "subprocess.run([sys.executable, '-c', f'print(\"{token}\")'], capture_output=True, text=True)"
    ),
    "by_a_line_of_a_subprocess": (
        "process = subprocess.Popen([sys.executable, '-c', f'print(\"{token}\")'], stdout=subprocess.PIPE); "
        "process.stdout.readline(); process.wait(); process.stdout.close()"
    ),
    "in_a_command": "CliRunner().invoke(cli, ['status', token])",
    "in_an_exception": "pytest.raises(ValueError, int, token)",
    "in_a_sentence": "Heard()(Log.QUEUED, path=token, size=1)",
    "in_a_file": "(tmp_path / 'ledger.db').write_text('x'); (tmp_path / 'ledger.db-wal').write_text(token)",
}
HARMLESS = {
    "silent": "token",
    "hidden": "print('access_token=***&type=file')",
    "ordinary": "print('access_token is a parameter; the client secret stands in a file')",
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Run a test for each leak in a pytest of its own, and return what became of each."""
    here = tmp_path_factory.mktemp("planted")
    (here / "conftest.py").write_text(IMPORTS + CONFTEST)
    tests = [
        f"def test_{name}(sandbox, token, tmp_path):\n    {line}\n"
        for name, line in (LEAKS | HARMLESS).items()
    ]
    marked = "@pytest.mark.shows_secret('why')\ndef test_meant(token):\n    print(token)\n"
    (here / "test_planted.py").write_text("\n".join([IMPORTS, *tests, marked]))
    quiet = [
        "-p",
        "no:cacheprovider",
        "--tb=no",
        "--show-capture=no",
        "-rA",
        "-c",
        os.devnull,
        "--strict-markers",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *quiet, "--rootdir", str(here), str(here)],
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    found = re.findall(r"^(PASSED|FAILED|ERROR) \S*::test_(\w+)", done.stdout, re.MULTILINE)
    return {name: outcome for outcome, name in sorted(found, reverse=True)}


@pytest.mark.parametrize("leak", LEAKS)
def test_a_leak_fails_its_test(outcomes: dict[str, str], leak: str) -> None:
    """Whichever way a secret or a token goes out, the test that let it out is failed at its end."""
    assert outcomes[leak] == "ERROR"


@pytest.mark.parametrize("name", [*HARMLESS, "meant"])
def test_nothing_else_fails(outcomes: dict[str, str], name: str) -> None:
    """A test that shows none passes, and so does one that is marked to show it."""
    assert outcomes[name] == "PASSED"
