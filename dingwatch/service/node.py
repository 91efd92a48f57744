"""This host as a node of a shared ledger: its name, its lease, and what wakes it."""

from __future__ import annotations

import os
import socket
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from dingwatch.config.values import Config
from dingwatch.ledger import LedgerError, Outage, Store
from dingwatch.ledger.nodes import ARE_YOU_THERE
from dingwatch.ledger.store import RETRY_SECONDS
from dingwatch.model import Cause, Failure, NotReached
from dingwatch.service.clock import LedgerClock
from dingwatch.texts import Log

if TYPE_CHECKING:
    from dingwatch.ledger.node_session import NodeSession, Renewal

LEASE: Final = 60.0
"""Seconds without a sign of life after which others take over what a node has in hand."""
RENEWALS: Final = 4
"""How often a lease is renewed within its length."""
TO_SEND: Final = 25 / 60
"""The part of a lease that must be left when a message leaves: its outcome is known before the lease ends."""
ENDS_SERVICE: Final = frozenset({"LEDGER_MOVED", "LEDGER_OTHER_APP"})
"""Advice of failures that end a service while it runs, because the ledger is not its own any more."""
LOOK_SECONDS: Final = 0.5
"""How often a start looks whether the name of its node is free."""


class NameTakenError(Exception):
    """Another live process works under the name of this node."""

    def __init__(self, name: str) -> None:
        super().__init__(f"another process works as node {name}")
        self.name = name


class StoppedError(Exception):
    """The service was asked to stop while it waited for the name of its node."""


def node_name(config: Config) -> str:
    """Return this host's name on a shared ledger."""
    return config.node or socket.gethostname()


def since_boot() -> float:
    """Return the seconds since the host was started, those included for which it was suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True, slots=True)
class Lease:
    """The time in which nobody else touches what a node has in hand."""

    number: int
    """Another one after each time that it was over: what was claimed before may be another node's now."""
    until: float
    """By `since_boot`."""
    since: float
    """Since when it has lasted without a gap, by the ledger's clock."""

    def left(self) -> float:
        """Return for how many seconds it lasts certainly."""
        return self.until - since_boot()


@dataclass(slots=True)
class OpenLedger:
    """The ledger as the service works with it."""

    store: Store
    outage: Outage
    clock: LedgerClock = field(default_factory=LedgerClock)
    node: LeaseKeeper | None = None
    """This host, where others work on the same ledger."""


class LeaseKeeper:
    """Keeps the lease of this node, in a thread with a connection of its own.

    The loops may wait for the ledger for seconds, while a command that keeps it locked is waited for. The
    lease must not be lost meanwhile.
    """

    def __init__(
        self,
        ledger: OpenLedger,
        log: Callable[..., None],
        app: str,
        *,
        seconds: float = LEASE,
    ) -> None:
        self.name = ledger.store.node
        self.instance = f"{uuid.uuid4().hex}/{app}"
        """Distinguishes this process from others of the same name, and says for which app it works."""
        self.seconds = seconds
        self.wake: Callable[[], None] = lambda: None
        """Called when another node has written something, or the lease was lost."""
        self._url = ledger.store.url
        self._clock = ledger.clock
        self._log = log
        self._outage = ledger.outage
        self._session: NodeSession | None = None
        self._lease = Lease(0, 0.0, 0.0)
        self._waker, self._alarm = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._closing = threading.Lock()

    # --- Asked by others -------------------------------------------------------------------------

    @property
    def lease(self) -> Lease:
        """The lease as it was last renewed."""
        return self._lease

    def require(self, number: int) -> None:
        """Let a message leave whose row was claimed under the lease of this number.

        Raises:
            Failure: NotReached, because its outcome might only be known when the lease is over.
        """
        lease = self._lease
        if lease.number != number or lease.left() < TO_SEND * self.seconds:
            raise Failure(NotReached(Cause("stopped", "", "LEASE")))

    # --- Beginning and end -----------------------------------------------------------------------

    def join(self, stopped: threading.Event) -> None:
        """Take the node's name and begin its lease, before anything of the ledger is touched.

        Raises:
            NameTakenError: another live process has the name.
            StoppedError: `stopped` was set meanwhile.
            LedgerError: the database cannot be used, or other nodes work for another app.
        """
        session = self._connect()
        try:
            if not session.lock():
                self._wait_for_name(session, stopped)
            self._renew(session.register)
        except BaseException:
            session.close()
            raise
        self._session = session

    def _wait_for_name(self, session: NodeSession, stopped: threading.Event) -> None:
        """Wait for the name while its holder gives no sign of life: it may be a host that was cut off."""
        before = session.holder()
        left = self.seconds if before is None else before.left
        until = time.monotonic() + max(left, self.seconds / 2)
        session.ask_holder()
        while not session.lock():
            if stopped.is_set():
                raise StoppedError
            now = session.holder()
            alive = now is not None and (before is None or now.lease_until > before.lease_until)
            if alive or time.monotonic() >= until:
                raise NameTakenError(self.name)
            session.wait(LOOK_SECONDS, self._waker)

    def leave(self) -> None:
        """End the lease: nothing is in hand any more. After `run` has ended."""
        session, self._session = self._session, None
        if session is not None:
            with suppress(LedgerError):  # it ends by itself
                session.leave()
            session.close()
        with self._closing:
            os.close(self._alarm)
            os.close(self._waker)
            self._alarm = -1

    def stop(self) -> None:
        """End the waits of `run`."""
        with self._closing, suppress(BlockingIOError):
            if self._alarm >= 0:
                os.write(self._alarm, b"x")

    # --- The thread ------------------------------------------------------------------------------

    def run(self, stop: threading.Event) -> None:
        """Renew the lease until stopped, and hear what other nodes write.

        Raises:
            NameTakenError: another process has got the name while this one was cut off.
            LedgerError: the ledger was copied elsewhere meanwhile, or the others work for another app.
        """
        while not stop.is_set():
            try:
                self._keep()
            except LedgerError as error:
                if error.cause.advice in ENDS_SERVICE:
                    raise
                self._outage.begin(self, error)
                self._disconnect()
                stop.wait(RETRY_SECONDS)
            else:
                self._outage.end(self)

    def _keep(self) -> None:
        """Renew the lease once, and wait until it is to be renewed again."""
        if self._session is None:
            self._session = self._reconnect()
        session = self._session
        session.lock()  # of a connection that was cut, the server may have noticed it by now
        until = time.monotonic() + self.seconds / RENEWALS
        self._renew(session.renew)
        self._outage.end(self)
        while (left := until - time.monotonic()) > 0.0:
            heard = session.wait(left, self._waker)
            if self._was_stopped() or ARE_YOU_THERE + self.name in heard:
                return
            if any(one != self.name for one in heard):  # the server tells this node of its own, too
                self.wake()

    def _was_stopped(self) -> bool:
        with suppress(BlockingIOError):
            return bool(os.read(self._waker, 1))
        return False

    def _connect(self) -> NodeSession:
        from dingwatch.ledger.node_session import NodeSession  # noqa: PLC0415 (it imports the driver)

        return NodeSession(self._url, self.name, self.instance, self.seconds)

    def _reconnect(self) -> NodeSession:
        session = self._connect()
        try:
            self._require_name(session)
        except BaseException:
            session.close()
            raise
        return session

    def _require_name(self, session: NodeSession) -> None:
        """Raise NameTakenError if another process has the name now.

        The server may keep the lock for the connection that was cut, as long as it does not know of that.
        """
        holder = None if session.lock() else session.holder()
        if holder is not None and holder.instance != self.instance and holder.left > 0.0:
            raise NameTakenError(self.name)

    def _disconnect(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None

    def _renew(self, ask: Callable[[], Renewal]) -> None:
        began, before = since_boot(), time.monotonic()
        renewal = ask()
        after = time.monotonic()
        self._clock.set(renewal.now, (before + after) / 2, (after - before) / 2)
        former = self._lease
        lost = renewal.was_lost or not former.number
        self._lease = Lease(former.number + lost, began + self.seconds, renewal.now if lost else former.since)
        if lost and former.number:
            self._log(Log.LEASE_LOST, node=self.name)
            self.wake()
