"""`dingwatch reload`: the running service reads its config file again."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any, Final

import click

from dingwatch.cli.context import Session, ask, command
from dingwatch.config.values import ConfigError
from dingwatch.host.processes import list_state_dirs
from dingwatch.service.reloaded import Reloaded, describe, load
from dingwatch.texts import Reload as Text

SECONDS: Final = 180.0
"""How long an answer is waited for; the service itself gives up what hangs earlier."""
ASK_AGAIN: Final = 0.05


@command()
def reload(session: Session) -> int:
    """Have the running service take over what the config file says now."""
    try:
        session.load_config()
        file = os.path.realpath(session.file)
    except ConfigError as error:
        session.print_problems(error)
        if session.find_service_of_file() is not None:
            click.echo(session.render(Text.BROKEN), err=True)
        return 1
    state_dir, begun = _begin(session, file)
    if begun["file"] != file:
        click.echo(session.render(Text.OTHER_FILE, path=begun["file"]), err=True)
    done = _await(session, state_dir, int(begun["number"]))
    if done.problems:
        session.print_problems(ConfigError(done.problems))
        click.echo(session.render(Text.BROKEN), err=True)
        return 1
    for sentence in describe(done, session.render):
        click.echo(sentence, err=not done.done)
    if not done.done:
        click.echo(session.render(Text.KEPT), err=True)
    return 0 if done.done else 1


def _begin(session: Session, file: str) -> tuple[Path, dict[str, Any]]:
    """Have a service begin; return where it works, and its answer."""
    state_dir = session.state_dir
    answer = ask(state_dir, "reload", {"file": file})
    if answer is None:
        # The state directory in the file may be another one than that with which the service was started.
        for other in list_state_dirs():
            told = ask(other, "reload", {"file": file, "only": True})
            if told and told.get("number") is not None:
                return other, told
        session.fail(Text.NOT_RUNNING)
    if "number" not in answer:
        session.fail(Text.TOO_OLD)
    return state_dir, answer


def _await(session: Session, state_dir: Path, number: int) -> Reloaded:
    """Return what came of it."""
    until = time.monotonic() + SECONDS
    while True:
        answer = ask(state_dir, "reloaded", {"number": number})
        if answer is None or time.monotonic() >= until:
            session.fail(Text.ENDED)
        if (outcome := answer.get("outcome")) is not None:
            return load(outcome)
        time.sleep(ASK_AGAIN)
