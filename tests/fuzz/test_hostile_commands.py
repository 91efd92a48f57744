"""Commands that ask DingTalk, and answers with odd values: a sentence and an exit code, never a traceback."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Final

import pytest

from dingwatch.dingtalk import (
    API_CONVERSATION_SPACE,
    API_DOWNLOAD_INFO,
    API_RECALL,
    API_ROBOTS,
    API_TOKEN,
    MEDIA_LIMIT,
    Host,
)
from dingwatch.sandbox import Fault, FaultKind, Sandbox
from tests.dingtalk.hostile import HOSTILE
from tests.integration.conftest import Machine, settings_for
from tests.ledger import states
from tests.support import eventually

_SIGNATURE: Final = "headerSignatureInfo"
_ADDRESS: Final = (
    "",
    _SIGNATURE,
    *(f"{_SIGNATURE}.{name}" for name in ("resourceUrls", "resourceUrls.0", "headers", "expirationSeconds")),
)
FIELDS: Final[Mapping[tuple[str, str], tuple[str, ...]]] = {
    ("check", API_TOKEN[Host.API]): ("", "accessToken", "expireIn"),
    ("check", API_TOKEN[Host.OAPI]): ("", "access_token", "expires_in", "errcode", "errmsg"),
    ("check", API_ROBOTS): ("", "chatbotInstanceVOList", "chatbotInstanceVOList.0.robotCode"),
    ("check", API_CONVERSATION_SPACE): ("", "space", "space.spaceId"),
    ("link", API_DOWNLOAD_INFO): _ADDRESS,
    ("fetch", API_DOWNLOAD_INFO): _ADDRESS,
    ("recall", API_RECALL): ("", "successResult", "failedResult"),
}
"""Commands, the APIs that they call, and fields of the answers."""


@dataclass(frozen=True)
class Past:
    """A machine that has sent a small file and a large one, by their ids."""

    machine: Machine
    sandbox: Sandbox
    small: int
    large: int
    directory: Path

    def run(self, command: str, number: int) -> None:
        """Run a command to its end; require that it ends as commands do."""
        copy = ("-o", str(self.directory / f"copy{number}"))
        words = {
            "check": (),
            "link": (str(self.large),),
            "fetch": (str(self.large), *copy),
            "recall": (str(self.small),),
        }
        done = self.machine.call(command, *words[command])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        assert done.exit_code in {0, 1}, done.output
        assert "Traceback" not in done.output


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Past]:
    """A machine with a past."""
    directory = tmp_path_factory.mktemp("past")
    share = directory / "share"
    share.mkdir()
    with Sandbox() as sandbox:
        machine = Machine(directory / "config.yaml", settings_for(directory, share, sandbox))
        machine.settings["dingtalk"]["operator_union_id"] = sandbox.settings.operator_union_id
        machine.write()
        process = machine.start()
        try:
            (share / "small.txt").write_text("small")
            with open(share / "large.iso", "xb") as file:
                file.truncate(MEDIA_LIMIT + 1)
            eventually(lambda: states(machine)["sent"] == 2)
            machine.stop(process)
        finally:
            machine.kill_left_over()
        ids = {line["path"]: line["id"] for line in machine.history()}
        yield Past(machine, sandbox, ids["small.txt"], ids["large.iso"], directory)


def try_all(past: Past, command: str, api: str, names: tuple[str, ...]) -> None:
    """Run a command with each of these values in each field of an API's answers."""
    for number, (field, name) in enumerate(product(FIELDS[command, api], names)):
        past.sandbox.clear_faults()
        past.sandbox.inject(Fault(api, FaultKind.REPLACE, times=None, field=field, value=HOSTILE[name]))
        past.run(command, number)


@pytest.mark.parametrize(("command", "api"), FIELDS)
def test_a_command_outlives_odd_values(past: Past, command: str, api: str) -> None:
    """What cannot be read is said in a sentence."""
    try_all(past, command, api, ("a surrogate", "400 digits"))


@pytest.mark.sweep
@pytest.mark.parametrize(("command", "api"), FIELDS)
def test_a_command_outlives_any_value(past: Past, command: str, api: str) -> None:
    """The same with every value."""
    try_all(past, command, api, tuple(HOSTILE))
