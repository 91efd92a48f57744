"""`dingwatch run`: the service in the foreground."""

from __future__ import annotations

import os
import sys
from typing import Final

from dingwatch.cli.context import EXIT_CONFIG, Session, command
from dingwatch.cli.ledger_access import fail_ledger, require_ledger
from dingwatch.host.lock import LockedError
from dingwatch.ledger import LedgerError
from dingwatch.service.daemon import serve
from dingwatch.texts import Cli

_NEEDS_A_PERSON: Final = {
    "LEDGER_DAMAGED",
    "LEDGER_EMPTY",
    "LEDGER_MISSING",
    "LEDGER_NETWORK",
    "LEDGER_NEWER",
}
"""Advice of failures that no restart cures: with exit code 78 systemd does not try one."""


@command(secret_needed=True, lives_on=True)
def run(session: Session) -> None:
    """Run until a signal, then end the process."""
    config = session.config
    require_ledger(session)
    try:
        code = serve(config, os.environ)
    except LockedError as error:
        session.fail(Cli.LOCKED, pid=error.pid, path=config.state_dir)
    except LedgerError as error:
        fail_ledger(session, error, EXIT_CONFIG if error.cause.advice in _NEEDS_A_PERSON else 1)
    except OSError as error:
        fail_ledger(session, error)
    sys.stdout.flush()
    sys.stderr.flush()
    # An abandoned upload may still wait for its answer. The interpreter would join its thread at exit, and
    # systemd would kill the service after its stop time-out.
    os._exit(code)
