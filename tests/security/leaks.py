"""Fails every test in whose output a secret or an access token stands, wherever that output goes.

Heard are: what a test prints, the log at every level, what its subprocesses and commands print, the
exceptions it catches, and the files in its state directories.
"""

from __future__ import annotations

import logging
import re
import threading
import traceback
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from subprocess import Popen
from typing import Any, Final
from urllib.parse import quote

import pytest
from click.testing import CliRunner

from dingwatch.config.values import LEDGER_FILE
from dingwatch.dingtalk import Client
from dingwatch.sandbox import Settings
from dingwatch.sandbox.tokens import Tokens
from tests.dingtalk.peers import SECRET, TOKEN

MARK: Final = "shows_secret"
SHORTEST: Final = 6
"""Characters; the client takes nothing shorter for a secret either."""
_ALWAYS: Final = {Settings().client_secret: "client secret", SECRET: "client secret", TOKEN: "access token"}
# Where the value itself cannot be known: a stand-in in another process hands out tokens of its own.
_SHAPE: Final = re.compile(
    r"(?:access_token|appsecret|access-token)[=:]\s*(?!\*\*\*)[\w%+/=-]{6,}", re.IGNORECASE
)


@dataclass
class Listener:
    """Knows the secrets that are in use, and notes where it hears one; never the secret itself."""

    known: Mapping[str, str] = field(default_factory=lambda: dict(_ALWAYS))
    found: set[str] = field(default_factory=set)
    _learning: threading.Lock = field(default_factory=threading.Lock)

    def learn(self, secret: str, kind: str) -> None:
        """Take a secret into account."""
        if len(secret) >= SHORTEST:
            with self._learning:
                self.known = {**self.known, secret: kind}

    def hear(self, where: str, said: object) -> None:
        """Look for every known secret in what was said."""
        text = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
        known = self.known  # another thread may learn a token meanwhile: it puts a new mapping in its place
        kinds = {kind for secret, kind in known.items() if secret in text or quote(secret) in text}
        if _SHAPE.search(text):
            kinds.add("address with a token or a secret")
        self.found |= {f"{where}: {kind}" for kind in kinds}

    def take(self) -> list[str]:
        """Return what was found since the last time, and forget what only one test knows."""
        found, self.found, self.known = sorted(self.found), set(), dict(_ALWAYS)
        return found


class _LogListener(logging.Handler):
    def __init__(self, listener: Listener) -> None:
        super().__init__(logging.NOTSET)
        self._listener = listener

    def emit(self, record: logging.LogRecord) -> None:
        self._listener.hear(f"log of {record.name}", self.format(record))


class _Overheard:
    """A subprocess's stream, as the test reads it."""

    def __init__(self, stream: Any, hear: Callable[[object], None]) -> None:  # noqa: ANN401 (text or binary)
        self._stream, self._hear = stream, hear

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 (whatever the stream has)
        return getattr(self._stream, name)

    def __iter__(self) -> Iterator[Any]:
        while line := self.readline():
            yield line

    def _pass_on(self, said: Any) -> Any:  # noqa: ANN401 (text or bytes)
        self._hear(said)
        return said

    def readline(self) -> Any:  # noqa: ANN401 (text or bytes)
        return self._pass_on(self._stream.readline())

    def read(self, size: int = -1) -> Any:  # noqa: ANN401 (text or bytes)
        return self._pass_on(self._stream.read(size))


Report = Callable[[Any, tuple[Any, ...], dict[str, Any]], object]


class Leaks:
    """The plugin: `conftest.py` registers it."""

    def __init__(self) -> None:
        self.listener = Listener()
        self._patch = pytest.MonkeyPatch()
        self._log = _LogListener(self.listener)

    def pytest_configure(self, config: pytest.Config) -> None:
        """Begin to listen."""
        config.addinivalue_line("markers", f"{MARK}(reason): a secret is meant to be shown by this test")
        logging.getLogger().addHandler(self._log)
        logging.getLogger().setLevel(logging.DEBUG)
        # Logs every row of every query, which is slow; the ledger's own files are looked through instead.
        logging.getLogger("sqlalchemy").setLevel(logging.WARNING)
        # Logs every event twice, which buries what a test that fails has to say; it is given no secret.
        logging.getLogger("watchdog").setLevel(logging.WARNING)
        self._learn()
        self._overhear()

    def pytest_unconfigure(self) -> None:
        """Leave everything as it was."""
        self._patch.undo()
        logging.getLogger().removeHandler(self._log)

    def _after(self, owner: type, name: str, report: Report) -> None:
        """Have `report` look at what a method is given and gives back."""
        method = getattr(owner, name)

        @wraps(method)
        def wrapped(*args: Any, **named: Any) -> Any:  # noqa: ANN401 (whatever the method takes)
            result = method(*args, **named)
            report(result, args, named)
            return result

        self._patch.setattr(owner, name, wrapped)

    def _learn(self) -> None:
        """Learn the secrets where they come from: each client's account, each token handed out."""
        learn = self.listener.learn
        self._after(Tokens, "issue", lambda token, _a, _n: learn(token, "access token"))
        self._after(Client, "__init__", lambda _r, args, _n: learn(args[1].client_secret, "client secret"))

    def _overhear(self) -> None:
        """Hear what tests take away before pytest can show it."""
        hear = self.listener.hear
        self._after(Popen, "__init__", lambda _r, args, _n: self._listen_to(args[0]))
        self._after(Popen, "communicate", lambda said, _a, _n: hear("subprocess", said))
        self._after(CliRunner, "invoke", lambda done, _a, _n: hear("command", (done.output, done.exception)))
        self._after(pytest.CaptureFixture, "readouterr", lambda said, _a, _n: hear("output", said))
        self._after(
            pytest.ExceptionInfo,
            "fill_unfilled",
            lambda _r, args, _n: hear("exception", "".join(traceback.format_exception(*args[1]))),
        )

    def _listen_to(self, process: Any) -> None:  # noqa: ANN401 (its streams are typed as files)
        for name in ("stdout", "stderr"):
            stream = getattr(process, name)
            if stream is not None:
                setattr(
                    process, name, _Overheard(stream, lambda said: self.listener.hear("subprocess", said))
                )

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, object, object]:
        """Look through what the test's services left on disk, when they have closed it."""
        here = getattr(item, "funcargs", {}).get("tmp_path")
        result = yield
        for ledger in here.rglob(LEDGER_FILE) if here is not None else ():
            self._search(ledger.parent)
        return result

    def _search(self, state: Path) -> None:
        for path in state.iterdir():
            if path.is_file():
                self.listener.hear(f"file {path.name}", path.read_bytes())

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Fail the test at its end, once for all it let out."""
        report = yield
        for title, said in report.sections:
            self.listener.hear(title, said)
        if call.when != "teardown":
            return report
        found = self.listener.take()
        if found and item.get_closest_marker(MARK) is None:
            report.outcome = "failed"
            report.longrepr = "\n".join(["a secret was let out:", *found])
        return report
