"""The answers and actions of the HTTP API, whatever serves them; `web/` puts them on sockets.

Methods that read or write the ledger may take seconds: the server calls them in threads of its own. No loop
is waited for.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from dingwatch import names, quota
from dingwatch.config.values import Config, Http
from dingwatch.host.zone import zone_name
from dingwatch.intake.jobs import ScanWanted
from dingwatch.ledger import LedgerError, Store, facts, report
from dingwatch.ledger.commands import LARGEST_ID
from dingwatch.ledger.folder_links import find_linked
from dingwatch.ledger.report import HistoryQuery, Line, Scope
from dingwatch.lifecycle import State
from dingwatch.model import Cause, Decision
from dingwatch.recipients import is_recipient
from dingwatch.service import recorded
from dingwatch.service.actions import WRONG_STATE, Actions, RefusedError
from dingwatch.service.answers import NOTHING_RECORDED, RecordedPath, load_decision
from dingwatch.service.canary import Health
from dingwatch.service.dashboard import (
    MOST_SETTLING,
    UNKNOWN_COUNTS,
    Facts,
    Live,
    dashboard_json,
    folders_json,
    read_facts,
    recipient_json,
)
from dingwatch.service.delivering import DeliverySide
from dingwatch.service.folder_page import MOST_ROWS, folder_rows
from dingwatch.service.in_force import InForce
from dingwatch.service.intaking import IntakeSide
from dingwatch.service.lines import line_error, line_json
from dingwatch.service.log import ServiceLog
from dingwatch.service.needs import describe_reason
from dingwatch.service.node import OpenLedger
from dingwatch.service.overview import Process, Status, make_status, status_json
from dingwatch.service.questions import Questions
from dingwatch.service.reloaded import Reloaded, describe
from dingwatch.service.sentences import ClientSentences, Sentences, iso_time
from dingwatch.service.tally import Tally
from dingwatch.texts import Language, Page, Reload, Web, system_words

_DIGEST: Final = 64
"""Digits of a SHA-256."""
_ID_OR_DIGEST: Final = re.compile(r"\d{1,18}|[0-9a-f]{64}", re.ASCII)
METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a running service that the API uses."""

    config: Callable[[], Config]
    in_force: Callable[[], InForce]
    ledger: OpenLedger
    intake: IntakeSide
    delivery: DeliverySide
    questions: Questions
    wake: Callable[[], None]
    health: Callable[[], Health]
    reload: Callable[[], Reloaded]
    started_at: float
    log: ServiceLog

    @property
    def store(self) -> Store:
        """Return the ledger itself."""
        return self.ledger.store

    def now(self) -> float:
        """Return the time by the ledger's clock."""
        return self.ledger.clock.now()


class Server(Protocol):
    """A server of the API. Nothing listens before `start`."""

    def start(self) -> None:
        """Listen; raise OSError where that cannot be."""

    def stop(self) -> None:
        """Close everything, within a second; do nothing if it is not running."""

    def note_change(self) -> None:
        """Note that something may have changed; called from any thread, after every tick of a loop."""


class Api:
    """The answers of a running service. Methods may be called from any thread."""

    def __init__(self, parts: Parts, end: Callable[[BaseException], None]) -> None:
        self._parts = parts
        self._actions = Actions(parts.ledger, parts.in_force, parts.config, parts.wake)
        self._tally = Tally(parts.store)
        self.metrics_type: Final = METRICS_TYPE
        self.end = end
        """Ends the service because of an unexpected exception."""

    # --- What is answered at once ----------------------------------------------------------------

    @property
    def language(self) -> Language:
        """The language of the configuration, for those who ask for none."""
        return self._parts.config().language

    @property
    def http(self) -> Http | None:
        """The settings of `http` in force; those of the listening socket never change."""
        return self._parts.config().http

    def sentences(self, language: Language | None) -> Sentences:
        """Return what renders in a language, or in that of the configuration."""
        return ClientSentences(language or self.language, self._parts.in_force().recipient_names)

    @property
    def actions(self) -> Actions:
        """The actions that a person may take."""
        return self._actions

    def watching(self) -> object:
        """Return how each folder is watched, what settles, and why: to compare it with another time."""
        loop = self._parts.intake.loop
        # A file that rests may begin to wait for an editor's lock, and the count stays the same.
        settling = [(folder, path, one.reason) for folder, path, one in loop.list_settling(MOST_SETTLING)]
        return loop.watching(), settling

    def lines_logged(self) -> int:
        """Return how many lines of log there were."""
        return self._parts.log.written

    def uploads(self) -> list[dict[str, int]]:
        """Return how far the uploads in progress are: a delivery of each, bytes, and bytes a second."""
        found = self._parts.delivery.progress.list()
        return [{"id": one.rows[0].id, "done": one.done, "rate": round(one.rate)} for one in found]

    @property
    def is_busy(self) -> bool:
        """Whether calls to DingTalk are in flight, of which one may be an upload."""
        return self._parts.delivery.loop.in_hand > 0

    def look(self, folder: int) -> None:
        """Have a folder scanned now."""
        self._parts.intake.inbox.put(ScanWanted(folder))

    def reload(self, sentences: Sentences) -> None:
        """Have the service read its config again; return when that is in force.

        Raises:
            RefusedError: the former one stays in force.
        """
        done = self._parts.reload()
        if not done.done:
            problems = "; ".join(describe(done, sentences.render))
            raise RefusedError(WRONG_STATE, "not_reloaded", Reload.REFUSED, problems=problems)

    # --- What reads the ledger -------------------------------------------------------------------

    def answer(self, question: str, arguments: Mapping[str, Any]) -> Mapping[str, object]:
        """Return the answer to a question of a command; an unknown one has an empty answer."""
        return self._parts.questions.answer(question, arguments)

    def healthy(self) -> bool:
        """Return whether a file that is dropped now would be sent; at once, and without the ledger."""
        return self._parts.health().is_good(time.monotonic())

    def marks(self) -> facts.Marks:
        """Return what tells, compared with another time, what has changed in the ledger."""
        with self._parts.store.reading() as connection:
            return facts.read_marks(connection, quota.month(self._parts.now()))

    def changes(self, since: int, until: int) -> set[tuple[str | None, str | None]]:
        """Return the states that deliveries left and reached between two events of the ledger."""
        with self._parts.store.reading() as connection:
            return facts.changed_states(connection, since, until)

    def read_status(self) -> tuple[Status, dict[str, Any]]:
        """Return the status, and what the running service alone tells."""
        live: dict[str, Any] = dict(self._parts.questions.answer("status", {}))
        ledger = live.get("ledger")
        error = Cause(**ledger) if isinstance(ledger, dict) else None
        if live["recorded"] is None and error is None:
            error = self._find_ledger_error()
        status = make_status(
            Process(running=True, pid=os.getpid()),
            self._parts.in_force().folders,
            NOTHING_RECORDED if live["recorded"] is None else live["recorded"],
            live,
            monthly_calls=self._parts.in_force().monthly_calls,
            ledger_error=error,
            edited=False,
            now=self._parts.now(),
            node=self._parts.store.node,
        )
        return status, live

    def _find_ledger_error(self) -> Cause:
        """Return why the ledger cannot be read: the loops, which tell otherwise, may not have met it yet."""
        try:
            with self._parts.store.reading_apart():
                return Cause("unreadable", "", "LEDGER_UNWRITABLE")
        except LedgerError as error:
            return error.cause

    def metrics(self) -> bytes:
        """Return the metrics for Prometheus, in the type `metrics_type`.

        Raises:
            LedgerError: the ledger cannot be read.
        """
        from dingwatch.service import metrics  # noqa: PLC0415 (most services are never asked for them)

        status, live = self.read_status()
        if live["recorded"] is None:
            raise LedgerError(self._find_ledger_error())
        names_by_id = {number: name for name, number in live["recorded"]["numbers"].items()}
        with self._parts.store.reading() as connection:
            oldest = facts.oldest_waiting(connection)
        counters = metrics.service_metrics(
            self._tally.read(),
            self._parts.delivery.calls.read(),
            folders={**names_by_id, None: ""},
            scans=self._parts.intake.loop.last_scans(),
            oldest=oldest,
        )
        return metrics.write_metrics([*metrics.status_metrics(status), *counters])

    def status(self, sentences: Sentences) -> dict[str, Any]:
        """Return the status as `status --json` prints it, with some keys more."""
        status, live = self.read_status()
        answer = status_json(sentences, status)
        config, known = self._parts.config(), self._live()
        facts = self._read_facts(known.now) if live["recorded"] is not None else None
        if facts is None:
            answer["totals"] = UNKNOWN_COUNTS
            answer["folders"] = [one | {"counts": UNKNOWN_COUNTS} for one in answer["folders"]]
        answer["daemon"]["since"] = iso_time(self._parts.started_at)
        answer |= dashboard_json(sentences, status, config, facts, known)
        folders = folders_json(sentences, status, config, facts, known)
        for shown, more in zip(answer["folders"], folders, strict=True):
            shown.update(more)
        for shown, more in zip(answer["pauses"], _pause_keys(sentences, status, facts), strict=True):
            shown.update(more)
        return answer

    def _read_facts(self, now: float) -> Facts | None:
        resends = self._parts.config().delivery.on_uncertain == "resend"
        with suppress(LedgerError):
            return read_facts(self._parts.store, self._parts.in_force(), now, resends=resends)
        return None

    def _live(self) -> Live:
        loop = self._parts.intake.loop
        return Live(
            now=self._parts.now(),
            monotonic=time.monotonic(),
            started_at=self._parts.started_at,
            scans=loop.last_scans(),
            events=loop.last_events(),
            settling=loop.list_settling(MOST_SETTLING),
            down=loop.list_down(),
            uploads=self._parts.delivery.progress.list(),
            log=self._parts.log.tail(),
        )

    def history(self, sentences: Sentences, query: HistoryQuery) -> dict[str, Any]:
        """Return lines of the history as `history --json` prints them, with some keys more.

        Raises:
            LedgerError: the ledger cannot be read.
            RefusedError: there is no such folder or recipient.
        """
        store, in_force = self._parts.store, self._parts.in_force()
        if query.recipient is not None:
            query = replace(query, recipient=_find_recipient(in_force, query.recipient))
        with store.reading() as connection:
            scope = recorded.scope_of(connection, in_force)
        if query.folder is not None and scope.number(query.folder) is None:
            known = [one.name for one in in_force.folders]
            if query.folder not in known:
                raise RefusedError(404, "unknown_folder", Web.NO_FOLDER, name=query.folder, names=known)
        found = [line for page in report.pages(store, scope, query) for line in page]
        named = self._find_named(scope, query)
        if not found and not named and (word := self._find_searched_recipient(scope, query)):
            return self.history(sentences, replace(query, search="", recipient=word))
        numbers = {line.id for line in named}
        shown = [*named, *(line for line in found if line.id not in numbers)]
        rows = [line_json(sentences, line) | _line_keys(sentences, line) for line in shown]
        more = len(found) == query.limit and bool(found)
        return {"rows": rows, "next": f"{found[-1].noticed_at!r}_{found[-1].id}" if more else None}

    def _find_named(self, scope: Scope, query: HistoryQuery) -> list[Line]:
        """Return what a search names by its id or by the SHA-256 of its content, for a first page."""
        text = query.search.strip().lower().removeprefix("#")
        if query.before is not None or not _ID_OR_DIGEST.fullmatch(text):
            return []
        with self._parts.store.reading() as connection:
            ids = report.find_content(connection, text, query.limit) if len(text) == _DIGEST else [int(text)]
            files = [report.find_file(connection, scope, number) for number in ids]
        return [one.line for one in files if one is not None and report.is_asked(one.line, query)]

    def _find_searched_recipient(self, scope: Scope, query: HistoryQuery) -> str | None:
        """Return the only recipient that a search can mean, where no path has its text."""
        text = query.search.strip()
        if not text or query.recipient is not None:
            return None
        if query.before is not None and any(
            report.pages(self._parts.store, scope, replace(query, before=None, limit=1))
        ):
            return None  # the last page of a search for a path
        if is_recipient(text):
            return text
        names = self._parts.in_force().recipient_names
        meant = [word for word, name in names.items() if text.casefold() in name.casefold()]
        return meant[0] if len(meant) == 1 else None

    def file(self, sentences: Sentences, number: int) -> dict[str, Any]:
        """Return a line of the history by its id, with everything that was decided about it.

        Raises:
            LedgerError: the ledger cannot be read.
            RefusedError: there is no such line.
        """
        with self._parts.store.reading() as connection:
            scope = recorded.scope_of(connection, self._parts.in_force())
            found = report.find_file(connection, scope, number) if number <= LARGEST_ID else None
        if found is None:
            raise RefusedError(404, "unknown_delivery", Web.NO_DELIVERY, id=number)
        shown = line_json(sentences, found.line) | _line_keys(sentences, found.line)
        error = None if found.line.state == State.SENT else line_error(found.line)
        reason = None if error is None else _reason(sentences, error)
        if reason is None and found.line.held:
            held, advice = sentences.render(Page.KIND_HELD), sentences.advice("HELD")
            reason = sentences.render(Web.FILE_REASON, reason=held, advice=advice)
        return shown | {"reason": reason, "story": [_step(sentences, one) for one in found.story]}

    def folder_page(self, sentences: Sentences, token: str) -> dict[str, Any]:
        """Return what the page of one folder shows to those who have its link.

        Raises:
            LedgerError: the ledger cannot be read.
            RefusedError: the token opens no page.
        """
        in_force, live = self._parts.in_force(), self._live()
        with self._parts.store.reading() as connection:
            linked = find_linked(connection, token)
            scope = recorded.scope_of(connection, in_force)
            number = None if linked is None else scope.former.get(linked, linked)
            folder = next((one for one in in_force.folders if scope.ids.get(one.name) == number), None)
            if number is None or folder is None:
                raise RefusedError(404, "unknown_link", Web.NO_LINK)
            targets = scope.targets(number)
            most = MOST_ROWS * max(len(folder.recipients), 1)
            files = report.newest_files(connection, targets, most)
        loop = self._parts.intake.loop
        settling = [one for target in targets for one in loop.list_settling(MOST_ROWS, target)]
        return {
            "now": iso_time(live.now),
            "tz": zone_name(),
            "folder": folder.name,
            "to": [sentences.name_of(one) for one in folder.recipients],
            "running": True,
            "rows": folder_rows(sentences, files, settling, live),
        }

    def why(self, sentences: Sentences, path: bytes, folder: str | None) -> dict[str, Any]:
        """Return every decision about one path, absolute or relative to its folder.

        Raises:
            LedgerError: the ledger cannot be read.
            RefusedError: there is no such folder, or the path lies in none.
        """
        in_force = self._parts.in_force()
        asked = _places(in_force, path, folder)
        with self._parts.store.reading_apart() as connection:
            found = recorded.read_paths(connection, in_force, asked, self._parts.now())
        shown = [
            _why_json(sentences, place, one)
            for place, one in zip(asked, found, strict=True)
            if one["story"] or len(asked) == 1
        ]
        return {"paths": shown}


def _pause_keys(sentences: Sentences, status: Status, facts: Facts | None) -> Iterator[dict[str, str | None]]:
    """Yield the keys that each pause has more; `name` is what people call what is paused."""
    for one in status.pauses:
        name = sentences.name_of(one.key)
        yield {"key": one.key, "name": name, "code": one.cause.code, "request_id": one.cause.request_id}
    numbers = {} if facts is None else facts.scope.ids
    for code, found in (("by_hand", status.by_hand), ("held", status.held)):
        for name in found:
            yield {"key": str(numbers.get(name, "")), "name": name, "code": code, "request_id": None}


def _find_recipient(in_force: InForce, written: str) -> str:
    """Return the id of a recipient, who may be named by an alias; refuse what is neither."""
    recipient = in_force.aliases.get(written, written)
    if not is_recipient(recipient):
        known = list(in_force.aliases)
        raise RefusedError(404, "unknown_recipient", Web.NO_RECIPIENT, name=written, names=known)
    return recipient


def _line_keys(sentences: Sentences, line: report.Line) -> dict[str, object]:
    return {
        "name": names.readable(line.path.rpartition(b"/")[2]),
        "to": None if line.recipient is None else recipient_json(sentences, line.recipient),
        "at": iso_time(line.noticed_at if line.sent_at is None else line.sent_at),
        "held": line.held,
    }


def _reason(sentences: Sentences, cause: Cause) -> str:
    """Return why a file was not sent, and what to do."""
    reason, advice = describe_reason(sentences, cause), sentences.advice(cause.advice)
    return sentences.render(Web.FILE_REASON, reason=reason, advice=advice).strip()


def _step(sentences: Sentences, one: Decision) -> dict[str, object]:
    """Return a step of a file's story; keys that have nothing to say are left out."""
    cause = one.cause
    said: dict[str, object] = {"code": None, "message": one.other, "request_id": None}
    if cause is not None:
        message = system_words(cause.message, sentences.language)
        said = {"code": cause.code, "message": message, "request_id": cause.request_id}
    kept = {name: value for name, value in said.items() if value}
    return {"at": iso_time(one.at), "event": one.event, "state": one.after} | kept


def _places(in_force: InForce, path: bytes, folder: str | None) -> list[tuple[str | None, bytes]]:
    """Return in which folders a path may lie, relative to each; None stands for what `send` was given."""
    folders = {one.name: one for one in in_force.folders}
    if folder is not None and folder not in folders:
        raise RefusedError(404, "unknown_folder", Web.NO_FOLDER, name=folder, names=list(folders))
    chosen = list(folders.values()) if folder is None else [folders[folder]]
    whole = os.path.normpath(path)
    if not os.path.isabs(whole):
        if whole in {b".", b".."} or whole.startswith(b"../"):
            raise RefusedError(400, "bad_path", Web.BAD_PATH)
        return [(one.name, whole) for one in chosen]
    places: list[tuple[str | None, bytes]] = []
    for one in chosen:
        for root in dict.fromkeys((one.root, os.fsencode(one.path))):
            above = root.rstrip(b"/") + b"/"
            if whole.startswith(above):
                places.append((one.name, whole[len(above) :]))
                break
    return places if folder is not None else [*places, (None, whole)]


def _why_json(
    sentences: Sentences, place: tuple[str | None, bytes], found: RecordedPath
) -> dict[str, object]:
    return {
        "folder": place[0],
        "path": names.readable(place[1]),
        "decisions": list(_decisions(sentences, found["story"])),
        "waits": found["waits"],
        "unmapped": found["unmapped"],
    }


def _decisions(sentences: Sentences, story: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, object]]:
    for one in map(load_decision, story):
        yield {
            "id": one.id,
            "at": iso_time(one.at),
            "conversation_id": one.recipient,
            "event": one.event,
            "state": one.after,
            "error": None if one.cause is None else sentences.describe(one.cause),
            "request_id": None if one.cause is None else one.cause.request_id,
            "other": one.other,
        }
