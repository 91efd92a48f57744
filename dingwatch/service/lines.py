"""Lines of `history` as JSON: the same for the command and for the HTTP API."""

from __future__ import annotations

from typing import Any

from dingwatch import names
from dingwatch.ledger.report import Line
from dingwatch.model import Cause
from dingwatch.service.sentences import Sentences, iso_time, of_unwatched_file


def line_error(line: Line) -> Cause | None:
    """Return the last cause of a line; `send` has no folder, and no watch that would send its file later."""
    if line.error is None or line.folder is not None:
        return line.error
    return of_unwatched_file(line.error)


def line_json(sentences: Sentences, line: Line) -> dict[str, Any]:
    """Return a line as JSON."""
    error = line_error(line)
    return {
        "id": line.id,
        "folder": line.folder,
        "path": names.readable(line.path),
        "conversation_id": line.recipient,
        "recipient_name": sentences.recipient_names.get(line.recipient or ""),
        "state": line.state,
        "size": line.size,
        "sha256": line.sha256,
        "attempts": line.attempts,
        "error": None if error is None else sentences.describe(error),
        "uncertain_resent": line.uncertain_resent,
        "noticed_at": iso_time(line.noticed_at),
        "sent_at": None if line.sent_at is None else iso_time(line.sent_at),
        "bundle": line.bundle,
        "node": line.node,
    }
