"""The service's condition in one line, for `systemctl status`."""

from __future__ import annotations

from collections.abc import Collection

from dingwatch.ledger import LedgerError, Store, pauses, report
from dingwatch.lifecycle import IN_WORK, State
from dingwatch.model import WatchKind
from dingwatch.texts import Condition, Language

NEEDS_A_PERSON = (State.FAILED, State.UNCERTAIN)


def describe_condition(store: Store, watched: Collection[WatchKind], language: Language) -> str:
    """Return what the service does and what is wrong; the ledger is asked only for what has not ended."""
    try:
        with store.reading() as connection:
            counts = report.count_open(connection)
            paused = len(pauses.list_pauses(connection))
    except LedgerError:
        return Condition.LEDGER.render(language)
    parts = {
        Condition.WATCHING: sum(kind is not WatchKind.DOWN for kind in watched),
        Condition.DOWN: sum(kind is WatchKind.DOWN for kind in watched),
        Condition.WAITING: sum(counts[state] for state in IN_WORK),
        Condition.PAUSED: paused,
        Condition.ATTENTION: sum(counts[state] for state in NEEDS_A_PERSON),
    }
    said = [
        text.render(language, count=count)
        for text, count in parts.items()
        if count or text is Condition.WATCHING
    ]
    return Condition.BETWEEN.render(language).join(said)
