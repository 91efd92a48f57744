"""The service's log: one line for each thing that happened, in the language of the config, or as JSON."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from dingwatch.config.values import LogOptions
from dingwatch.notice_text import human_size
from dingwatch.service.repeats import Repeats
from dingwatch.texts import Advice, Language, Log, Text, describe_span, describe_word, system_words

EXIT_BUG: Final = 70
EXIT_CONFIG: Final = 78
"""EX_SOFTWARE: the exit code after an unexpected exception."""

logger = logging.getLogger("dingwatch")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of log: what happened, the sentence for people, and the values for programs."""

    event: Text
    level: int
    sentence: str
    fields: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Shown:
    """How people are shown folders (by their numbers in the ledger) and recipients."""

    folder: Callable[[int], str] = str
    recipient: Callable[[str], str] = str


TAIL: Final = 50
"""How many of the last lines are kept for the status page."""


class Told(NamedTuple):
    """A line that was logged, apart from its language: when (wall clock), and what it is rendered of."""

    at: float
    level: int
    text: Text
    values: Mapping[str, object]
    shown: Shown

    def render(self, language: Language) -> str:
        """Return the line in a language."""
        return make_line(self.text, self.values, language, self.shown).sentence


class ServiceLog:
    """Writes lines of log. Callable from any thread; it keeps a lock for no longer than a line takes."""

    def __init__(
        self, language: Language, shown: Shown = Shown(), monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._language = language
        self._shown = shown
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._repeats: Repeats[Line] = Repeats()
        self._tail: deque[Told] = deque(maxlen=TAIL)
        self.written: int = 0
        """How many lines there were."""

    def __call__(self, text: Text, **values: Any) -> None:  # noqa: ANN401 (what the text's placeholders need)
        """Write a line, or count it where the same trouble has filled some lines already."""
        line = make_line(text, values, self._language, self._shown)
        trouble = _trouble(text, values)
        if trouble is not None:
            with self._lock:
                if not self._repeats.admit(trouble, line, self._monotonic()):
                    return
        self._keep(text, values, line)
        _write(line)

    def tail(self) -> list[Told]:
        """Return the last lines, oldest first."""
        with self._lock:
            return list(self._tail)

    def _keep(self, text: Text, values: Mapping[str, object], line: Line) -> None:
        # A folder may have another name, or be gone, when the line is shown.
        fixed = values if "folder" not in line.fields else {**values, "folder": line.fields["folder"]}
        with self._lock:
            self.written += 1
            self._tail.append(Told(time.time(), line.level, text, fixed, self._shown))

    def change_language(self, language: Language) -> None:
        """Write in another language from now on."""
        self._language = language

    def write_counted(self) -> None:
        """Write how often trouble has repeated, where it is time for that."""
        with self._lock:
            due = list(self._repeats.due(self._monotonic()))
        for line, count, seconds in due:
            repeated = Log.REPEATED.render(
                self._language, sentence=line.sentence, count=count, minutes=int(seconds // 60)
            )
            _write(Line(line.event, line.level, repeated, {**line.fields, "count": count}))


_LEVELS: Final[Mapping[Text, int]] = {
    **dict.fromkeys(
        (
            *(
                Log.DIRECTORY_NEW,
                Log.SENT,
                Log.PUT_AWAY,
                Log.QUEUED,
                Log.RESUMED,
                Log.BASELINE,
                Log.FOLDER_BACK,
                Log.LEDGER_BACK,
                Log.NOTICED,
                Log.SCREENING_WORKS,
                Log.ENTRY_DELETED,
                Log.ALERT_SENT,
                Log.SUMMARY_SENT,
                Log.HEARTBEAT_BACK,
            ),
            *(Log.FOLDER_RESUMED, Log.RELOADED, Log.SWITCHED, Log.RESENDING, Log.RECOVERED),
        ),
        logging.INFO,
    ),
    **dict.fromkeys(
        (
            Log.FAILED,
            Log.FOLDER_DOWN,
            Log.LEDGER_DOWN,
            Log.STATE_DIR_GONE,
            Log.BACKUP_FAILED,
            Log.OUT_OF_CALLS,
        ),
        logging.ERROR,
    ),
}
"""Levels of the lines that are no warnings."""

_TROUBLES: Final[Mapping[Text, tuple[str, ...]]] = {
    Log.RETRYING: ("conversation", "code"),
    Log.LINE_REFUSED: ("conversation", "code"),
    Log.IMAGE_REFUSED: ("conversation", "code"),
    Log.PAUSED: ("scope", "key"),
    Log.RESUMED: ("scope", "key"),
    Log.UNREADABLE: ("folder", "code"),
    Log.SCREENING_FAILED: ("folder",),
    Log.SCREENING_WORKS: ("folder",),
    Log.RESTLESS: ("folder",),
    Log.FOLDER_DOWN: ("folder",),
    Log.FOLDER_BACK: ("folder",),
    Log.FALLEN_BACK: ("folder",),
    Log.LEDGER_DOWN: (),
    Log.LEDGER_BACK: (),
    Log.ALERT_FAILED: ("conversation", "code"),
    Log.ALERT_LOST: ("conversation", "code"),
    Log.HEARTBEAT_FAILED: (),
    Log.HEARTBEAT_BACK: (),
}
"""Lines about trouble that may repeat for days, and the values by which one trouble is told from another."""
_SAME: Final[Mapping[Text, Text]] = {
    Log.RESUMED: Log.PAUSED,
    Log.FOLDER_BACK: Log.FOLDER_DOWN,
    Log.SCREENING_WORKS: Log.SCREENING_FAILED,
    Log.LEDGER_BACK: Log.LEDGER_DOWN,
    Log.HEARTBEAT_BACK: Log.HEARTBEAT_FAILED,
}
"""The end of a trouble that comes and goes is part of it: else the log would say only that it ended."""


def _trouble(text: Text, values: Mapping[str, object]) -> Hashable:
    """Return what a line is about; None for a line that is always written."""
    keys = _TROUBLES.get(text)
    return None if keys is None else (_SAME.get(text, text), *(values.get(key) for key in keys))


def make_line(text: Text, values: Mapping[str, Any], language: Language, shown: Shown) -> Line:
    """Return the line for something that happened.

    Of the values, `folder` may be the number of a folder, `conversation` is a recipient, `size` bytes and
    `seconds` a duration; `path` lies in the folder, if there is one.
    """
    told = dict(values)
    if isinstance(told.get("folder"), int):
        told["folder"] = shown.folder(told["folder"])
    fields = {name: told[name] for name in _FIELDS if told.get(name) not in {None, ""}}
    if "conversation" in told:
        fields["recipient"] = told["conversation"]
    sentence = text.render(language, **{**told, **_wordings(told, language, shown)}).rstrip()
    return Line(text, _LEVELS.get(text, logging.WARNING), one_line(sentence), fields)


def _wordings(told: Mapping[str, Any], language: Language, shown: Shown) -> dict[str, str]:
    """Return the values that people read in other words."""
    worded = {name: word(told[name], language, shown) for name, word in _WORDS.items() if name in told}
    if "path" in told:
        worded["file"] = told["path"] if told.get("folder") is None else f"{told['folder']}/{told['path']}"
        if told.get("more"):  # files that share its message
            worded["file"] += f" (+{told['more']})"
    if "seconds" in told:
        worded["duration"] = describe_span(told["seconds"], language)
    if "message" in told:  # empty if the code says it all
        worded["reason"] = f"{told['code']} {system_words(str(told['message']), language)}".strip()
    return worded


_WORDS: Final[Mapping[str, Callable[[Any, Language, Shown], str]]] = {
    "conversation": lambda recipient, _, shown: shown.recipient(recipient),
    "key": lambda key, _, shown: shown.recipient(key),  # a pause of a conversation has it as its key
    # Empty if nobody needs to act: a refused picture goes as a file.
    "advice": lambda advice, language, _: Advice[advice].render(language) if advice else "",
    "scope": lambda scope, language, _: describe_word(str(scope), language),
    "size": lambda size, *_: human_size(size),
}
"""The values that people read in other words, and what makes these."""


_FIELDS: Final = (
    *("folder", "path", "size", "seconds", "request_id", "code", "message", "scope", "key", "count"),
)
"""Values that a line of JSON has under the same name."""


def one_line(text: str) -> str:
    """Escape control characters: a file's name may hold a newline, a line of log may not."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escape(c) for c in text)


def _escape(character: str) -> str:
    # `\x202e` would read as a space and two characters.
    if character < "\u0100":
        return f"\\x{ord(character):02x}"
    return character.encode("unicode_escape").decode()


def _write(line: Line) -> None:
    if logger.isEnabledFor(line.level):
        logger.log(line.level, "%s", line.sentence, extra={"line": line})


# --- How lines are written -----------------------------------------------------------------------

# A custom robot's token stands in its address, and OAPI takes the app's secret as a query parameter. urllib3
# quotes the whole address in the messages of its exceptions.
_IN_ADDRESS: Final = re.compile(r"\b(access_token|appsecret)=[^&\s'\"]+")
_PRIORITIES: Final = {
    logging.CRITICAL: 2,
    logging.ERROR: 3,
    logging.WARNING: 4,
    logging.INFO: 6,
    logging.DEBUG: 7,
}
"""Levels as syslog numbers them (sd-daemon(3))."""


class _Formatter(logging.Formatter):
    """Takes secrets out of addresses, which an unexpected exception may quote."""

    def __init__(self, style: str, *, to_journal: bool) -> None:
        # The journal has times of its own.
        super().__init__("%(message)s" if to_journal else "%(asctime)s %(message)s")
        self._json = style == "json"
        self._to_journal = to_journal

    def format(self, record: logging.LogRecord) -> str:
        written = self._as_json(record) if self._json else super().format(record)
        written = _IN_ADDRESS.sub(r"\1=***", written)
        if not self._to_journal:
            return written
        # The journal takes each line of a traceback for an entry of its own.
        prefix = f"<{_PRIORITIES.get(record.levelno, 6)}>"
        return "\n".join(f"{prefix}{line}" for line in written.splitlines())

    def _as_json(self, record: logging.LogRecord) -> str:
        line: Line | None = getattr(record, "line", None)
        told: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": "bug" if line is None else line.event.name.lower(),
            "message": record.getMessage(),
        }
        if record.exc_info:
            told["traceback"] = self.formatException(record.exc_info)
        reason = (
            {} if line is None else {_JSON_NAMES.get(name, name): one for name, one in line.fields.items()}
        )
        return json.dumps({**told, **reason}, ensure_ascii=False)


_JSON_NAMES: Final = {"message": "reason"}
"""The sentence is called `message`; what DingTalk or the system said is its reason."""


_PLAIN: Final = LogOptions()


def log_bug(sentence: str, error: BaseException) -> None:
    """Log an unexpected exception with its traceback."""
    logger.critical("%s", sentence, exc_info=error)


def log_to_stderr(options: LogOptions = _PLAIN, environ: Mapping[str, str] = os.environ) -> None:
    """Send the log to stderr: with times on a terminal, with levels as prefixes where it is the journal."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter(options.format, to_journal=_is_journal(environ)))
    logger.handlers[:] = [handler]  # replaced, not added, or a second call would log everything twice
    logger.setLevel(options.level.upper())


def _is_journal(environ: Mapping[str, str]) -> bool:
    """Return whether stderr is the journal: under systemd it may just as well be a file."""
    try:
        status = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"
