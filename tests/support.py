"""What several tests need: waiting for what threads do, a configuration, and the log as a list."""

from __future__ import annotations

import gc
import hashlib
import json
import os
import signal
import socket
import subprocess
import threading
import time
import urllib.request
from collections import deque
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from dingwatch.config.values import Config, Delivery, DingTalk, Folder, Pace
from dingwatch.dingtalk import MEDIA_LIMIT
from dingwatch.ledger import delivery
from dingwatch.lifecycle import State
from dingwatch.model import Fingerprint
from dingwatch.payload import Payload, PayloadPolicy, choose_payload
from dingwatch.sandbox import Message, Sandbox
from dingwatch.service.daemon import MakeServer, Service
from dingwatch.service.log import ServiceLog
from dingwatch.texts import Language, Text
from dingwatch.web import WebServer, make_server

HAS_FAILED = pytest.StashKey[bool]()
"""In a test's stash: whether it has failed, for fixtures that may say more of it then."""
MOST_IN_CROWD = 50
PATIENCE = 60.0
"""Seconds after which a test gives up on what should have happened long before, on a busy machine too."""


@contextmanager
def crowding(address: str | tuple[str, int]) -> Iterator[None]:
    """Connect again and again while the caller stops a server, which must close all that it has accepted."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    done, made = threading.Event(), deque[socket.socket]()

    def crowd() -> None:
        while not done.is_set():
            one = socket.socket(family)
            one.settimeout(1.0)
            try:
                one.connect(address)
            except OSError:
                one.close()
            else:
                made.append(one)
                if len(made) > MOST_IN_CROWD:
                    made.popleft().close()

    thread = threading.Thread(target=crowd)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        for one in made:
            one.close()
    gc.collect()  # what is open still, and forgotten, is a ResourceWarning now


def eventually(condition: Callable[[], object], patience: float = PATIENCE) -> None:
    """Wait until a condition holds; fail when it does not within so many seconds."""
    tick, until = threading.Event(), time.monotonic() + patience
    while not condition():
        assert time.monotonic() < until, "this never happened"
        tick.wait(0.01)


def take_interrupts() -> None:
    """Have this process, and the children it starts from now on, react to SIGINT.

    A script's background job (`pytest &`) starts with SIGINT ignored, and children inherit that: a test that
    sends ^C to a command would wait in vain.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)


def plain_payload(name: bytes, digest: str, app: str, refused: Collection[str] = ()) -> Payload:
    """Dress a small file as a folder does that sets nothing."""
    return choose_payload(name, 1, digest, PayloadPolicy(app, MEDIA_LIMIT), refused)


def row(
    path: bytes, fingerprint: Fingerprint, digest: str, rebuild_payload: Payload, folder: int = 1
) -> delivery.Delivery:
    """Return a new delivery of a folder."""
    return delivery.Delivery(
        id=1,
        version=1,
        folder=folder,
        path=path,
        fingerprint=fingerprint,
        digest=digest,
        recipient="cid",
        state=State.PENDING,
        form=rebuild_payload.form,
        route=rebuild_payload.route,
        upload_key=rebuild_payload.key.id,
        due=0.0,
        noticed_at=0.0,
        settled_at=0.0,
        uploaded_at=None,
        doubts=0,
        doubted_at=None,
        failures=0,
        waited=0.0,
        media_losses=0,
        crashes=0,
        missing_since=None,
        screened_at=None,
        caption_sent_at=None,
        bundle=None,
        claim=None,
        upload_state="none",
        upload_type=rebuild_payload.key.type,
        upload_name=rebuild_payload.key.name,
        remote_id=None,
        space_id=None,
    )


def folder(path: Path, *conversations: str, **changes: Any) -> Folder:  # noqa: ANN401
    """Return a folder's settings, quick to settle."""
    made = Folder(
        path=path,
        root=os.fsencode(path.resolve()),
        name=path.name,
        conversation_ids=conversations,
        recursive=True,
        include=(),
        exclude=(),
        settle=0.1,
        existing="skip",
        on_change="send",
        unsupported="zip",
        large_files="drive",
        hold_over=None,
        watch="auto",
        poll_interval=0.2,
        rescan=600.0,
    )
    return replace(made, **changes)


def config(state: Path, sandbox: Sandbox, *folders: Folder, **changes: Any) -> Config:  # noqa: ANN401
    """Return a configuration without any pace."""
    made = Config(
        language=Language.EN,
        dingtalk=DingTalk(
            sandbox.client_id, sandbox.client_secret, sandbox.robot_code, None, sandbox.url, sandbox.url, None
        ),
        state_dir=state,
        ledger=None,
        keep=400 * 86400.0,
        delivery=Delivery(4, 3 * 86400.0, "resend"),
        pace=Pace(None, None),
        folders=folders,
    )
    return replace(made, **changes)


class Heard:
    """Logs as the service does, and keeps every message for tests to look at."""

    def __init__(self) -> None:
        self.said: list[tuple[Text, dict[str, object]]] = []
        self._log = ServiceLog(Language.EN)

    def __call__(self, text: Text, **values: object) -> None:
        """Log a message; one whose values are incomplete raises here, as it would end the service."""
        self._log(text, **values)
        self.said.append((text, values))

    def count(self, text: Text) -> int:
        """Return how often a sentence was said."""
        return sum(one is text for one, _ in self.said)


@contextmanager
def running(
    setting: Config, heard: Heard | None = None, server: MakeServer = make_server
) -> Iterator[Service]:
    """Run the service while the block runs, and raise what ended it unexpectedly."""
    service = Service(setting, log=heard or Heard(), make_server=server)
    with service:
        assert service.ready.wait(PATIENCE), service.failed
        yield service
    if service.failed is not None:
        raise service.failed


def read_until(process: subprocess.Popen[str], text: str) -> None:
    """Read what a process logs until a line has this text; kill one that does not log it in time."""
    assert process.stderr is not None
    timer = threading.Timer(PATIENCE, process.kill)  # then the log ends
    timer.start()
    try:
        while text not in (line := process.stderr.readline()):
            assert line, f"it never logged {text!r}"
    finally:
        timer.cancel()


def port_of(service: Service) -> int:
    """Return the port that a running service listens on."""
    server = service.server
    assert isinstance(server, WebServer)
    assert server.port is not None
    return server.port


def names(sandbox: Sandbox, conversation: int = 0) -> list[str]:
    """Return the names of the files that a conversation shows, in its order."""
    return [str(message.file_name) for message in sandbox.messages(sandbox.conversations[conversation].id)]


def sent(sandbox: Sandbox, number: int, conversation: int = 0) -> Callable[[], bool]:
    """Return the condition that a conversation has so many messages."""
    return lambda: len(sandbox.messages(sandbox.conversations[conversation].id)) >= number


def messages_on_page(sandbox: Sandbox, conversation_id: str) -> list[dict[str, Any]]:
    """Return the messages of a conversation as the sandbox's page gets them."""
    address = f"{sandbox.url}/sandbox/messages?conversation_id={quote(conversation_id)}"
    with urllib.request.urlopen(address) as answer:  # noqa: S310 (the sandbox's own)
        found: list[dict[str, Any]] = json.load(answer)
    return found


def digests(messages: tuple[Message, ...]) -> list[str]:
    """Return the digests of messages, in the order of the chat."""
    return [message.sha256 or "" for message in messages]


def sha256(content: bytes) -> str:
    """Return the hex digest."""
    return hashlib.sha256(content).hexdigest()
