"""Actions of the HTTP API: the writes of commands, by the same functions."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Final

from sqlalchemy import Connection

from dingwatch.config.values import Config
from dingwatch.ledger import Store, commands, folders, pauses, unresolved
from dingwatch.ledger.commands import NotApplicableError, UnmappedError
from dingwatch.ledger.delivery import find_deliveries
from dingwatch.ledger.folder_pauses import pause_folder, resume_folder
from dingwatch.ledger.nodes import set_draining
from dingwatch.model import FolderPause, Pause, Scope
from dingwatch.service import recorded
from dingwatch.service.baseline import read_baseline
from dingwatch.service.in_force import InForce
from dingwatch.service.node import OpenLedger
from dingwatch.texts import Text, Web

UNKNOWN: Final = 404
WRONG_STATE: Final = 409


class RefusedError(Exception):
    """A refused request: with HTTP's status, a code for programs, and a sentence."""

    def __init__(self, status: int, code: str, text: Text, **values: object) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.text = text
        self.values = values


class Actions:
    """The actions of the API. Each is one transaction of the ledger, and then wakes the service.

    Every method raises `RefusedError` where it does not apply, and `LedgerError` where the ledger cannot be
    used; nothing was changed then.
    """

    def __init__(
        self,
        ledger: OpenLedger,
        in_force: Callable[[], InForce],
        config: Callable[[], Config],
        wake: Callable[[], None],
    ) -> None:
        self._store = ledger.store
        self._now = ledger.clock.now
        self._in_force = in_force
        self._config = config
        self._wake = wake

    # --- Deliveries ------------------------------------------------------------------------------

    def retry(self, number: int) -> None:
        """Put a failed, skipped or withdrawn delivery, or a baseline file, to work."""
        with self._store.reading() as connection:
            scope = recorded.scope_of(connection, self._in_force())
            old = commands.list_baseline(connection, [number], None)
        baseline = read_baseline(self._store, self._config(), self._in_force(), scope, old)
        for _, cause in baseline.left_out:
            raise RefusedError(WRONG_STATE, cause.code, Web.FILE_BAD, cause=cause)
        ids = [] if old else [number]
        try:
            commands.retry(self._store, ids, baseline.chosen, self._now(), scope)
        except NotApplicableError:
            raise self._refuse(number) from None
        except UnmappedError as error:
            raise _refuse_unmapped(error) from None
        self._wake()

    def retry_alike(self, number: int) -> None:
        """Put a failed delivery to work, and others of its folder and recipient that failed alike."""
        with self._store.reading() as connection:
            scope = recorded.scope_of(connection, self._in_force())
            ids = unresolved.list_alike(connection, number)
        if not ids:
            self.retry(number)
            return
        try:
            commands.retry(self._store, ids, [], self._now(), scope)
        except NotApplicableError as error:
            raise self._refuse(error.ids[0]) from None
        except UnmappedError as error:
            raise _refuse_unmapped(error) from None
        self._wake()

    def confirm(self, number: int) -> None:
        """Settle an uncertain delivery: it arrived."""
        self._resolve(number, sent=True)

    def confirm_alike(self, number: int) -> None:
        """Settle an uncertain delivery and those like it: they arrived."""
        self._resolve_alike(number, sent=True)

    def resend(self, number: int) -> None:
        """Settle an uncertain delivery: send it once more."""
        self._resolve(number, sent=False)

    def resend_alike(self, number: int) -> None:
        """Settle an uncertain delivery and those like it: send them once more."""
        self._resolve_alike(number, sent=False)

    def _resolve_alike(self, number: int, *, sent: bool) -> None:
        with self._store.reading() as connection:
            ids = unresolved.list_alike(connection, number)
        self._resolve(number, sent=sent)
        for one in ids:
            # Files that share a message with one before are settled with it.
            with suppress(NotApplicableError):
                commands.resolve(self._store, one, sent=sent, now=self._now())
        self._wake()

    def _resolve(self, number: int, *, sent: bool) -> None:
        try:
            commands.resolve(self._store, number, sent=sent, now=self._now())
        except NotApplicableError:
            raise self._refuse(number) from None
        self._wake()

    def _refuse(self, number: int) -> RefusedError:
        """Return why an action does not apply to a delivery: it is unknown, or in another state."""
        with self._store.reading() as connection:
            row = find_deliveries(connection, [number]).get(number) if number <= commands.LARGEST_ID else None
            old = commands.list_baseline(connection, [number], None)
        if row is None and not old:
            return RefusedError(UNKNOWN, "unknown_delivery", Web.NO_DELIVERY, id=number)
        state = "baseline" if row is None else str(row.state)
        return RefusedError(WRONG_STATE, "wrong_state", Web.WRONG_STATE, id=number, state=state)

    # --- Folders ---------------------------------------------------------------------------------

    def release(self, number: int) -> None:
        """Send what a flood hold holds in a folder."""
        self._decide(number, folders.release_flood)

    def discard(self, number: int) -> None:
        """Give up what a flood hold holds in a folder."""
        self._decide(number, folders.discard_flood)

    def pause_folder(self, number: int, seconds: float | None, *, by: str, reason: str) -> None:
        """Pause a folder by hand, for some seconds or until it is resumed."""
        name = self.require_folder(number)
        now = self._now()
        pause = FolderPause(number, now, None if seconds is None else now + seconds, by, reason)
        root = next(one.root for one in self._in_force().folders if one.name == name)
        pause_folder(self._store, root, name, self._targets(number), pause)
        self._wake()

    def resume_folder(self, number: int) -> None:
        """End a folder's pause by hand, if there is one."""
        self.require_folder(number)
        targets = self._targets(number)
        with self._store.writing() as connection:
            resume_folder(connection, targets)
        self._wake()

    def _targets(self, number: int) -> list[int]:
        """Return a folder and the former targets of its path."""
        with self._store.reading() as connection:
            return recorded.scope_of(connection, self._in_force()).targets(number)

    def _decide(self, number: int, do: Callable[[Store, int, float], int]) -> None:
        self.require_folder(number)
        for target in self._targets(number):
            do(self._store, target, self._now())
        self._wake()

    def require_folder(self, number: int) -> str:
        """Return the name of a watched folder by its id."""
        with self._store.reading() as connection:
            ids = recorded.scope_of(connection, self._in_force()).ids
        for name, known in ids.items():
            if known == number:
                return name
        raise RefusedError(UNKNOWN, "unknown_folder", Web.NO_FOLDER_ID, id=number)

    # --- This host as a node ---------------------------------------------------------------------

    def drain(self) -> None:
        """Have this host claim nothing more; what it has in hand, it finishes."""
        self._set_draining(draining=True)

    def undrain(self) -> None:
        """Have this host claim again."""
        self._set_draining(draining=False)

    def _set_draining(self, *, draining: bool) -> None:
        if not self._store.shared:
            raise RefusedError(WRONG_STATE, "not_shared", Web.NOT_SHARED)
        set_draining(self._store, self._store.node, draining=draining)
        self._wake()

    # --- Pauses ----------------------------------------------------------------------------------

    def try_pause(self, scope: Scope, key: str) -> None:
        """Probe what is paused now; what DingTalk has set an end to only `resume_pause` ends early."""
        with self._store.writing() as connection:
            found = _find_pause(connection, scope, key)
            if found.fixed:
                raise RefusedError(WRONG_STATE, "fixed", Web.PAUSE_FIXED)
            pauses.probe_some(connection, [found])
        self._wake()

    def resume_pause(self, scope: Scope, key: str) -> None:
        """Probe what is paused now, whoever set the end of the pause, and forget its failures."""
        with self._store.writing() as connection:
            pauses.resume_some(connection, [_find_pause(connection, scope, key)])
        self._wake()


def _refuse_unmapped(error: UnmappedError) -> RefusedError:
    """Return that the config does not map a folder to a recipient any more."""
    ((_, recipient), *_) = error.missing
    return RefusedError(WRONG_STATE, "unmapped", Web.UNMAPPED, conversation=recipient)


def _find_pause(connection: Connection, scope: Scope, key: str) -> Pause:
    for one in pauses.list_pauses(connection):
        if (one.scope, one.key) == (scope, key):
            return one
    raise RefusedError(UNKNOWN, "unknown_pause", Web.NO_PAUSE, scope=str(scope), key=key)
