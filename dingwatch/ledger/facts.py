"""Small facts about the ledger as a whole, for the HTTP API and its metrics. Nothing here writes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from sqlalchemy import Connection, bindparam, func, select

from dingwatch.ledger.folder_pauses import list_folder_pauses
from dingwatch.ledger.nodes import read_members
from dingwatch.ledger.pauses import list_pauses
from dingwatch.ledger.schema import IS_HELD, calls, deliveries, history, is_in_work, versions
from dingwatch.ledger.store import Prepared, node_of
from dingwatch.lifecycle import State
from dingwatch.model import FolderPause, Pause

_LAST_EVENT: Final = Prepared(select(func.coalesce(func.max(history.c.id), 0)))
_OLDEST: Final = Prepared(select(func.min(deliveries.c.noticed_at)).where(is_in_work(deliveries)))
_HELD: Final = Prepared(select(func.count()).select_from(deliveries).where(IS_HELD))
_CALLS: Final = Prepared(
    select(func.coalesce(func.sum(calls.c.count), 0)).where(calls.c.day >= bindparam("day"))
)
_BETWEEN: Final = (history.c.id > bindparam("since"), history.c.id <= bindparam("until"))
_CHANGED: Final = Prepared(select(history.c.before, history.c.after).distinct().where(*_BETWEEN))
_ENTERED: Final = Prepared(
    select(deliveries.c.folder_id, history.c.after, versions.c.size, history.c.at - deliveries.c.settled_at)
    .select_from(history)
    .join(deliveries, deliveries.c.id == history.c.delivery_id)
    .join(versions, versions.c.id == deliveries.c.version_id)
    .where(*_BETWEEN, history.c.after.is_not(None), history.c.after != func.coalesce(history.c.before, ""))
)


class Marks(NamedTuple):
    """Marks whose comparison shows whether, and where, the ledger has changed."""

    event: int
    """The id of the last event."""
    pauses: tuple[Pause, ...]
    held: int
    calls: int
    """How many calls were made this month."""
    by_hand: tuple[FolderPause, ...]
    nodes: tuple[tuple[str, str], ...]
    """The nodes of a shared ledger and their states."""


class Entered(NamedTuple):
    """A delivery that entered a state; `seconds` is how long ago it had settled, `size` the file's."""

    folder: int | None
    state: State
    size: int
    seconds: float


def last_event(connection: Connection) -> int:
    """Return the id of the newest event in the history; 0 where there is none."""
    number: int = _LAST_EVENT.rows(connection, {})[0][0]
    return number


def read_marks(connection: Connection, month: str) -> Marks:
    """Return the marks of now; `month` is the quota's (`2026-11`)."""
    ((held,),) = _HELD.rows(connection, {})
    ((made,),) = _CALLS.rows(connection, {"day": f"{month}-01"})
    paused, by_hand = tuple(list_pauses(connection)), tuple(list_folder_pauses(connection))
    members = read_members(connection) if node_of(connection) else None
    nodes = sorted((one.name, one.state(members.now)) for one in members.nodes) if members else ()
    return Marks(last_event(connection), paused, held, made, by_hand, tuple(nodes))


def changed_states(connection: Connection, since: int, until: int) -> set[tuple[str | None, str | None]]:
    """Return the states that deliveries left and entered by the events after `since` and up to `until`."""
    return {(before, after) for before, after in _CHANGED.rows(connection, {"since": since, "until": until})}


def oldest_waiting(connection: Connection) -> float | None:
    """Return when the oldest delivery was noticed that is in work or waits; None where there is none."""
    found: float | None = _OLDEST.rows(connection, {})[0][0]
    return found


def entered_states(connection: Connection, since: int, until: int) -> Iterator[Entered]:
    """Yield each state that a delivery entered by the events after `since` and up to `until`."""
    for folder, state, size, seconds in _ENTERED.stream(connection, {"since": since, "until": until}):
        yield Entered(folder, State(state), size, seconds)
