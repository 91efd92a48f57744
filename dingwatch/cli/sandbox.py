"""`dingwatch sandbox`: the local stand-in for DingTalk by itself."""

from __future__ import annotations

import threading

import click

from dingwatch.cli.context import Session, print_line
from dingwatch.host import when_asked_to_stop
from dingwatch.sandbox import Sandbox, config_block, conversation_lines
from dingwatch.texts import Cli


def sandbox(session: Session, host: str, port: int) -> int:
    """Serve until a signal."""
    asked = threading.Event()
    when_asked_to_stop(asked.set)
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
        click.echo(session.say(Cli.SANDBOX_HINT), err=True)
        asked.wait()
    finally:
        running.stop()
    return 0
