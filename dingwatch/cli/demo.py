"""`dingwatch sandbox` runs a local simulation of DingTalk, `demo` also a folder and the service."""

from __future__ import annotations

import os
import tempfile
import threading
from pathlib import Path

import click

from dingwatch.cli.context import Session, command, option
from dingwatch.cli.output import print_line
from dingwatch.config.checks import is_loopback
from dingwatch.config.values import Config, Delivery, DingTalk, Folder, Http, Pace, TcpAddress
from dingwatch.host.signals import when_asked_to_stop
from dingwatch.sandbox import Sandbox, config_block, conversation_lines
from dingwatch.service.daemon import Service
from dingwatch.service.log import log_to_stderr
from dingwatch.texts import Cli, Language, Log
from dingwatch.web import WebServer, make_server


@command(secret_needed=True)
@option(Cli.OPT_HOST, "--host", metavar="HOST", default="127.0.0.1", show_default=True)
@option(
    Cli.OPT_PORT, "--port", metavar="PORT", type=click.IntRange(0, 65535), default=8765, show_default=True
)
def sandbox(session: Session, *, host: str, port: int) -> int:
    """Serve until a signal."""
    stop = threading.Event()
    when_asked_to_stop(stop.set)
    running = Sandbox(host, port)
    try:
        running.start()
    except OSError as error:
        session.fail(Cli.PORT_TAKEN, host=host, port=port, reason=error.strerror or type(error).__name__)
    try:
        print_line(f"page: {running.page_url}")
        print_line(config_block(running).rstrip("\n"))
        for line in conversation_lines(running):
            print_line(line)
        click.echo(session.render(Cli.SANDBOX_HINT), err=True)
        if not is_loopback(f"//[{host}]" if ":" in host else f"//{host}"):
            click.echo(session.render(Cli.SANDBOX_OPEN, host=host or "*", port=running.port), err=True)
        stop.wait()
    finally:
        running.stop()
    return 0


@command(secret_needed=True)
def demo(session: Session) -> int:
    """Run until ^C."""
    # Before anything else: a ^C while the sandbox starts must not leave the temporary directory behind.
    stops = _Stops()
    when_asked_to_stop(stops)
    with tempfile.TemporaryDirectory(prefix="dingwatch-demo-") as directory, Sandbox() as sandbox:
        share = Path(directory).resolve() / session.render(Cli.DEMO_FOLDER)
        share.mkdir()
        config = _config(sandbox, share, Path(directory) / "state", session.language)
        log_to_stderr()
        with Service(config, make_server=make_server) as service:
            stops.add(service.ready, service.ended)
            service.ready.wait()
            if not service.ended.is_set():
                print_line(f"folder: {share}")
                print_line(f"page: {sandbox.page_url}")
                print_line(f"status: {_status_address(service)}")
                print_line(f"ready {session.render(Log.READY, count=1)}")
                print_line(session.render(Cli.DEMO_HINT, folder=share))
            service.ended.wait()
        if service.failed is not None:
            raise service.failed
    return 0


def _status_address(service: Service) -> str:
    """Return the address of the status page, on the port that was free."""
    port = service.server.port if isinstance(service.server, WebServer) else None
    return f"http://127.0.0.1:{port}/"


class _Stops:
    """Sets events when a signal comes; events that are added later are set at once."""

    def __init__(self) -> None:
        self._signalled = False
        self._events: list[threading.Event] = []

    def __call__(self) -> None:
        self._signalled = True
        self.add()

    def add(self, *events: threading.Event) -> None:
        self._events += events
        if self._signalled:
            for event in self._events:
                event.set()


def _config(sandbox: Sandbox, share: Path, state: Path, language: Language) -> Config:
    conversation = next(one for one in sandbox.conversations if one.robot_inside)
    folder = Folder(
        path=share,
        root=os.fsencode(share),
        name=share.name,
        conversation_ids=(conversation.id,),
        recursive=True,
        include=(),
        exclude=(),
        settle=0.5,
        existing="send",
        on_change="send",
        unsupported="zip",
        large_files="drive",
        hold_over=None,
        watch="auto",
        poll_interval=1.0,
        rescan=600.0,
    )
    return Config(
        language=language,
        dingtalk=DingTalk(
            client_id=sandbox.client_id,
            client_secret=sandbox.client_secret,
            robot_code=sandbox.robot_code,
            operator_union_id=sandbox.settings.operator_union_id,
            api_url=sandbox.url,
            oapi_url=sandbox.url,
            monthly_calls=None,
        ),
        state_dir=state,
        ledger=None,
        keep=86400.0,
        delivery=Delivery(workers=4, give_up_after=86400.0, on_uncertain="resend"),
        pace=Pace(per_api=None, per_conversation=None),
        folders=(folder,),
        http=Http(TcpAddress("127.0.0.1", 0)),
    )
