"""The service's log: one line for each thing that happened, in the language of the config."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Callable
from typing import Final

from dingwatch.texts import Advice, Language, Log, Text, describe_word, system_words

EXIT_BUG: Final = 70
"""EX_SOFTWARE: the exit code after an unexpected exception."""

logger = logging.getLogger("dingwatch")


def make_log(language: Language) -> Callable[..., None]:
    """Return the function that writes one line of log."""

    def log(text: Text, **values: object) -> None:
        if advice := values.get("advice"):  # empty if nobody needs to act: a refused picture goes as a file
            values["advice"] = Advice[str(advice)].render(language)
        if "message" in values:  # empty if the code says it all
            message = system_words(str(values["message"]), language)
            values["reason"] = f"{values['code']} {message}".strip()
        if "scope" in values:
            values["scope"] = describe_word(str(values["scope"]), language)
        level = logging.INFO if text in _ORDINARY else logging.WARNING
        logger.log(level, "%s", _one_line(text.render(language, **values).rstrip()))

    return log


_ORDINARY: Final = frozenset(
    {Log.SENT, Log.QUEUED, Log.RESUMED, Log.BASELINE, Log.FOLDER_BACK, Log.LEDGER_BACK}
)


def _one_line(text: str) -> str:
    """Escape control characters: a file's name may hold a newline, a line of log may not."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


# A custom robot's token stands in its address, and OAPI takes the app's secret as a query parameter. urllib3
# quotes the whole address in the messages of its exceptions.
_IN_ADDRESS: Final = re.compile(r"\b(access_token|appsecret)=[^&\s'\"]+")


class _Formatter(logging.Formatter):
    """Takes secrets out of addresses, which an unexpected exception may quote."""

    def format(self, record: logging.LogRecord) -> str:
        return _IN_ADDRESS.sub(r"\1=***", super().format(record))


def log_bug(sentence: str, error: BaseException) -> None:
    """Log an unexpected exception with its traceback."""
    logger.critical("%s", sentence, exc_info=error)


def log_to_stderr(level: int = logging.INFO) -> None:
    """Send the log to stderr: with a time on a terminal, without under systemd, which adds its own."""
    handler = logging.StreamHandler(sys.stderr)
    plain = "JOURNAL_STREAM" in os.environ
    handler.setFormatter(_Formatter("%(message)s" if plain else "%(asctime)s %(message)s"))
    logger.handlers[:] = [handler]  # replaced, not added, or a second call would log everything twice
    logger.setLevel(level)
