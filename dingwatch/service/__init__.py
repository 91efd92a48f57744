"""The composition root: clocks, chance, threads, pools, signals and their supervision.

Two loops, each in a thread of its own, share nothing but the ledger. A loop's jobs run in a pool and
their outcomes come back through its inbox. An unexpected exception stops the whole service and is logged
with its traceback: nothing restarts itself within the process, and the next start repairs the ledger.
"""

from dingwatch.service.daemon import EXIT_BUG, Service, serve
from dingwatch.service.delivering import OUTAGE_SECONDS, deliver, finished
from dingwatch.service.folders import account_of, payload_policy
from dingwatch.service.gate import Gate
from dingwatch.service.ledgers import (
    LEDGER_FILE,
    LOCK_FILE,
    ledger_url,
    open_ledger,
    require_present,
    sqlite_file,
)
from dingwatch.service.log import log_bug, log_to_stderr

__all__ = [
    "EXIT_BUG",
    "LEDGER_FILE",
    "LOCK_FILE",
    "OUTAGE_SECONDS",
    "Gate",
    "Service",
    "account_of",
    "deliver",
    "finished",
    "ledger_url",
    "log_bug",
    "log_to_stderr",
    "open_ledger",
    "payload_policy",
    "require_present",
    "serve",
    "sqlite_file",
]
