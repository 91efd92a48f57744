"""The page of one folder, for those who drop files there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from dingwatch import names
from dingwatch.intake import Settling
from dingwatch.ledger.report import FolderFile
from dingwatch.lifecycle import NOTICED, State
from dingwatch.service.dashboard import Live, describe_wait
from dingwatch.service.needs import REASONS
from dingwatch.service.sentences import Sentences, iso_time
from dingwatch.texts import Needs, Text

MOST_ROWS: Final = 50
"""Files on the page of a folder."""


_SHOWN: Final[Sequence[tuple[State, str]]] = (
    (State.FAILED, "failed"),
    (State.UNCERTAIN, "uncertain"),
    (State.SENDING, "sending"),
    (State.UPLOADING, "sending"),
    (State.UPLOADED, "waiting"),
    (State.PENDING, "waiting"),
    (State.SKIPPED, "skipped"),
    (State.SENT, "sent"),
)
"""States as office workers read them. Of several recipients, the one counts that comes first here."""
_NOTES: Final[Mapping[str, Text]] = {
    **{code: REASONS[code] for code in ("too_big", "empty", "unsupported")},
    NOTICED: Needs.NOTICE_SENT,
    "on_change": Needs.SAME_NAME,
    "discarded": Needs.GIVEN_UP,
}
"""Reasons that mean something to whoever dropped the file; others are for the administrator."""


def folder_rows(
    sentences: Sentences,
    files: Iterable[FolderFile],
    settling: Iterable[tuple[int, bytes, Settling]],
    live: Live,
) -> list[dict[str, Any]]:
    """Return the rows of a folder's page, the newest first; they hold no id, no code and no path."""
    rows = [
        {
            "name": _name(path),
            "size": one.size,
            "state": "settling",
            "at": iso_time(live.wall(one.since)),
            "note": describe_wait(sentences, one, live.monotonic),
        }
        for _, path, one in settling
    ]
    rows += [row for one in files if (row := _file_row(sentences, one)) is not None]
    return sorted(rows, key=lambda row: str(row["at"]), reverse=True)[:MOST_ROWS]


def _file_row(sentences: Sentences, file: FolderFile) -> dict[str, Any] | None:
    """Return the row of a file; None for one that its owner took away before it was sent."""
    states = dict(file.deliveries)
    found = next(((state, shown) for state, shown in _SHOWN if state in states), None)
    if found is None:
        return None
    state, shown = found
    note = _NOTES.get(states[state] or "") if state in {State.FAILED, State.SKIPPED} else None
    if shown == "waiting" and file.held:
        note = Needs.HELD
    at = file.sent_at if shown == "sent" and file.sent_at is not None else file.noticed_at
    return {
        "name": _name(file.path),
        "size": file.size,
        "state": shown,
        "at": iso_time(at),
        "note": None if note is None else sentences.render(note),
    }


def _name(path: bytes) -> str:
    return names.readable(path.rpartition(b"/")[2])
