"""What nobody expected is told too, and then nobody has chosen its words."""

import logging
import sys
import traceback

import pytest

from dingwatch.cli import main
from dingwatch.cli.app import cli
from dingwatch.dingtalk import Host
from dingwatch.model import Failure
from dingwatch.service.log import EXIT_BUG, log_to_stderr
from tests.dingtalk.peers import SECRET, TOKEN, Calls

ADDRESSES = {
    "secret": f"https://oapi.dingtalk.com/gettoken?appkey=dingabc&appsecret={SECRET}",
    "token": f"POST /media/upload?access_token={TOKEN}&type=file HTTP/1.1",
    "quoted": f"('bad address', 'http://localhost/media/upload?type=file&access_token={TOKEN}')",
}


def bug(address: str) -> None:
    """Fail as a library might that quotes what it was given, twice."""
    try:
        int(address)
    except ValueError as error:
        raise RuntimeError(f"no route for {address}") from error


@pytest.mark.shows_secret("it is planted in the record; what is written of the record is looked at here")
@pytest.mark.parametrize("which", ADDRESSES)
def test_the_story_of_a_bug_holds_no_secret(capsys: pytest.CaptureFixture[str], which: str) -> None:
    """An exception that quotes an address, and the one behind it, are told without what it holds."""
    logger = logging.getLogger("dingwatch")
    log_to_stderr()
    try:
        bug(ADDRESSES[which])
    except RuntimeError:
        logger.critical("a bug at %s", ADDRESSES[which], exc_info=True)
    finally:
        logger.handlers.clear()
    told = capsys.readouterr().err
    assert (told.count("Traceback"), told.count("=***")) == (2, 3)
    assert TOKEN not in told
    assert SECRET not in told


@pytest.mark.shows_secret("it is planted in the exception; what is written of it is looked at here")
def test_what_nobody_expected_of_a_command_is_told_as_that_of_the_service(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sentence, the story without what an address in it holds, and the exit code of a bug."""
    for name in ("stdin", "stdout", "stderr"):  # `main` replaces them for its whole process
        monkeypatch.setattr(sys, name, getattr(sys, name))
    cli.command("bug")(lambda: bug(ADDRESSES["token"]))
    monkeypatch.setattr("sys.argv", ["dingwatch", "bug"])
    try:
        with pytest.raises(SystemExit) as ended:
            main()
    finally:
        del cli.commands["bug"]
        logging.getLogger("dingwatch").handlers.clear()
    told = capfd.readouterr().err
    assert ended.value.code == EXIT_BUG
    assert (told.count("Traceback"), told.count("=***")) == (2, 2)
    assert TOKEN not in told


PROXIES = [
    "http://user:hunter2@[",
    "http://user:hunter2@127.0.0.1:99999",
    "socks5://user:hunter2@127.0.0.1:1",
    "ftp://user:hunter2@127.0.0.1:1",
    "user:hunter2@127.0.0.1:1",
    "http://user:hunter2@\udcff",
    "http://user:hunter2@127.0.0.1:x",
    f"http://user:hunter2@{'a' * 64}.example:1",
    "://hunter2",
    "http://",
    " ",
]


@pytest.mark.parametrize("proxy", PROXIES)
@pytest.mark.parametrize("call", list(Host))
def test_no_proxy_is_too_odd_for_a_verdict(
    dead_address: str, monkeypatch: pytest.MonkeyPatch, proxy: str, call: Host
) -> None:
    """Whatever stands in the environment, what comes out is a Failure without a password or a secret."""
    monkeypatch.setenv("http_proxy", proxy)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with Calls().client(dead_address) as client, pytest.raises(Failure) as caught:
        client.fetch_token(call)
    told = "".join(traceback.format_exception(caught.value)) + repr(caught.value.verdict)
    assert "hunter2" not in told
    assert SECRET not in told


@pytest.fixture
def dead_address() -> str:
    """Return an address that only a proxy could reach."""
    return "http://dingtalk.invalid"
