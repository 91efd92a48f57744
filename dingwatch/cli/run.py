"""`dingwatch run`: the service in the foreground."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Final, get_args

import click

from dingwatch.cli.context import EXIT_CONFIG, Session, command, option
from dingwatch.cli.ledger_access import fail_ledger
from dingwatch.config.apart import load_apart
from dingwatch.config.values import Config, LogFormat
from dingwatch.host.lock import LockedError
from dingwatch.ledger import LedgerError
from dingwatch.service.daemon import Source, serve
from dingwatch.service.node import NameTakenError
from dingwatch.texts import Cli, Web
from dingwatch.web import ListenError, make_server

_NEEDS_A_PERSON: Final = {
    "LEDGER_ADDRESS",
    "LEDGER_DAMAGED",
    "LEDGER_DRIVER",
    "LEDGER_EMPTY",
    "LEDGER_FOREIGN",
    "LEDGER_MISSING",
    "LEDGER_NETWORK",
    "LEDGER_NEWER",
    "LEDGER_OTHER_APP",
    "LEDGER_TOO_OLD",
}
"""Advice of failures that no restart cures: with exit code 78 systemd does not try one."""


def _with_form(config: Config, form: LogFormat | None) -> Config:
    """Return the configuration with the form of the log that the command line asks for."""
    return config if form is None else replace(config, log=replace(config.log, format=form))


@command(secret_needed=True, lives_on=True)
@option(Cli.OPT_LOG_FORMAT, "--log-format", "form", type=click.Choice(get_args(LogFormat)))
def run(session: Session, *, form: LogFormat | None) -> None:
    """Run until a signal, then end the process."""
    # Root becomes the owner of `state_dir` and gets that user's HOME, but `~` must mean the same in a reload.
    environ = dict(os.environ)
    config = _with_form(session.config, form)
    file = session.file

    def load() -> Config:
        return _with_form(load_apart(file, environ), form)

    source = Source(Path(os.path.realpath(file)), load)
    try:
        code = serve(config, os.environ, source, make_server)
    except LockedError as error:
        session.fail(Cli.LOCKED, pid=error.pid, path=config.state_dir)
    except NameTakenError as error:
        session.fail(Cli.NODE_TAKEN, exit_code=EXIT_CONFIG, node=error.name)
    except LedgerError as error:
        fail_ledger(session, error, EXIT_CONFIG if error.cause.advice in _NEEDS_A_PERSON else 1)
    except ListenError as error:
        reason = error.error.strerror or type(error.error).__name__
        session.fail(Web.LISTEN_FAILED, exit_code=1, address=error.address, reason=reason)
    except OSError as error:
        fail_ledger(session, error)
    sys.stdout.flush()
    sys.stderr.flush()
    # An abandoned upload may still wait for its answer. The interpreter would join its thread at exit, and
    # systemd would kill the service after its stop time-out.
    os._exit(code)
