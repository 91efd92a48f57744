"""`dingwatch run`: the service in the foreground."""

from __future__ import annotations

import os
import sys
from typing import Final, NoReturn

from dingwatch import host
from dingwatch.cli.context import EXIT_CONFIG, Session
from dingwatch.ledger import LedgerError
from dingwatch.service import serve
from dingwatch.texts import Cli

_FOR_A_PERSON: Final = {"LEDGER_DAMAGED", "LEDGER_MISSING", "LEDGER_NETWORK", "LEDGER_NEWER"}
"""What no restart mends: systemd is told so by the exit code."""


def run(session: Session) -> NoReturn:
    """Run until a signal, then end the process."""
    config = session.config
    session.require_ledger()
    try:
        code = serve(config, os.environ)
    except host.LockedError as locked:
        session.fail(Cli.LOCKED, pid=locked.pid, path=config.state_dir)
    except LedgerError as error:
        code = EXIT_CONFIG if error.cause.advice in _FOR_A_PERSON else 1
        session.ledger_failed(error, code)
    except OSError as error:
        session.ledger_failed(error)
    sys.stdout.flush()
    sys.stderr.flush()
    # A request that was abandoned may still wait for its answer, and the interpreter for its thread.
    os._exit(code)
