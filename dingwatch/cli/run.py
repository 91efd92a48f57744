"""`dingwatch run`: the service in the foreground."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from dingwatch import host
from dingwatch.cli.context import Session
from dingwatch.ledger import LedgerError
from dingwatch.service import serve
from dingwatch.texts import Cli


def run(session: Session) -> NoReturn:
    """Run until a signal, then end the process."""
    config = session.config
    session.require_ledger()
    try:
        code = serve(config, os.environ)
    except host.Locked as locked:
        session.fail(Cli.LOCKED, pid=locked.pid, path=config.state_dir)
    except LedgerError as error:
        session.fail(
            Cli.LEDGER_FAILED,
            path=config.state_dir,
            reason=error.cause.message,
            advice=session.advice(error.cause.advice),
        )
    except OSError as error:
        session.fail(
            Cli.LEDGER_FAILED,
            path=config.state_dir,
            reason=error.strerror or type(error).__name__,
            advice=session.advice("LEDGER_UNWRITABLE"),
        )
    sys.stdout.flush()
    sys.stderr.flush()
    # A request that was abandoned may still wait for its answer, and the interpreter for its thread.
    os._exit(code)
