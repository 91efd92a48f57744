"""The statements of every tick cost no more than they must."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from dingwatch.ledger import Store, delivery, queues, sqlite_url
from dingwatch.ledger.queues import Paused, UploadQueue
from dingwatch.lifecycle import State
from dingwatch.model import Route

QUEUE = UploadQueue(Route.ROBOT, "cidG==", 1)
ASKED_AT_EVERY_TICK: dict[str, Callable[[Connection, float], object]] = {
    "is an upload due": lambda connection, now: queues.has_due(connection, State.PENDING, now),
    "is a message due": lambda connection, now: queues.has_due(connection, State.UPLOADED, now),
    "when is a row due": queues.next_due,
    "who gets messages": queues.recipients_to_send,
    "who needs uploads": lambda connection, _: queues.recipients_to_upload(connection, Route.ROBOT),
    "which folders": lambda connection, _: queues.folders_to_upload(connection, Route.ROBOT, "cidG=="),
    "which contents": lambda connection, now: [*queues.first_contents(connection, Paused(), now, QUEUE, 8)],
    "how many are ahead": lambda connection, now: queues.uploaded_ahead(
        connection, Paused(), now, Route.ROBOT, "cidG==", 40
    ),
    "which message": lambda connection, now: queues.next_to_send(connection, Paused(), now, "cidG=="),
    "which doubts": queues.list_doubted_once,
    "what is superseded": lambda connection, now: queues.find_superseded(connection, [int(now)]),
    "one delivery": lambda connection, now: delivery.find_deliveries(connection, [int(now)]),
}


@contextmanager
def counting_compilations(connection: Connection) -> Iterator[list[Any]]:
    """Count by SQLite's authorizer, which it calls whenever it compiles a statement."""
    made: list[Any] = []

    def authorize(*what: object) -> int:
        made.append(what)
        return 0

    driver = connection.connection.driver_connection
    assert driver is not None
    driver.set_authorizer(authorize)
    yield made
    driver.set_authorizer(None)


@pytest.mark.parametrize("question", ASKED_AT_EVERY_TICK)
def test_no_query_of_a_tick_is_compiled_anew(tmp_path: Path, question: str) -> None:
    """SQLite does so, at more than the cost of running it, if a parameter decides which index serves."""
    ask = ASKED_AT_EVERY_TICK[question]
    store = Store.open(sqlite_url(tmp_path / "ledger.db"))
    with store.reading() as connection, counting_compilations(connection) as compiled:
        ask(connection, 1.0)
        assert compiled
        compiled.clear()
        ask(connection, 2.0)
        assert not compiled
    store.close()
