"""Looks again and again at the directories of folders with a `*`: each new one becomes a folder."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from dingwatch import names
from dingwatch.config.values import Config
from dingwatch.ledger import LedgerError
from dingwatch.service.reload import LookedAgain
from dingwatch.texts import Log

IDLE_SECONDS: Final = 5.0
"""How soon it is noticed that a reload has brought a folder with a `*`."""


class Directories:
    """Looks at the parents of all `*`, and logs what is new there."""

    def __init__(
        self,
        config: Callable[[], Config],
        look: Callable[[], LookedAgain],
        log: Callable[..., None],
    ) -> None:
        self._config = config
        self._look = look
        self._log = log

    def run(self, stop: threading.Event) -> None:
        """Look until stopped."""
        while not stop.wait(self._seconds()):
            if self._config().stars:
                self.look()

    def _seconds(self) -> float:
        # Half of the interval, so that a directory is found within a whole one.
        return min((star.template.rescan / 2 for star in self._config().stars), default=IDLE_SECONDS)

    def look(self) -> None:
        """Look once. What cannot be taken up now is, at the next look."""
        with suppress(LedgerError):
            done = self._look()
            for problem in done.problems:
                self._log(Log.TABLE_REFUSED, problem=problem.text)
            self._log_changes(done.before, done.after)

    def _log_changes(self, before: Config, after: Config) -> None:
        known = {folder.path for folder in before.folders}
        left = {folder.path for folder in after.folders}
        for folder in after.folders:
            if folder.path not in known:
                self._log(Log.DIRECTORY_NEW, folder=folder.name, path=names.readable(folder.path))
        for folder in before.folders:
            if folder.path not in left:
                self._log(Log.DIRECTORY_GONE, folder=folder.name, path=names.readable(folder.path))
        for path in after.unlisted:
            if path not in before.unlisted:
                self._log(Log.DIRECTORY_UNLISTED, path=names.readable(path))
