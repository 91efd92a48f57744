"""A node's own connection to a shared ledger: the lock of its name, its lease, and what wakes it.

Only a service with a ledger in PostgreSQL imports this, for the driver takes 5 MB.
"""

from __future__ import annotations

import select
from dataclasses import dataclass, replace
from math import inf
from typing import Any, Final

from sqlalchemy import URL

from dingwatch.ledger.nodes import ARE_YOU_THERE, CHANNEL, app_of
from dingwatch.ledger.postgresql import LOCK_CLASS, connect, errors
from dingwatch.model import Cause, LedgerError

NAMES_CLASS: Final = LOCK_CLASS + 1
"""The first number of the locks on names of nodes."""
JOINING_CLASS: Final = LOCK_CLASS + 2
"""The first number of the lock that nodes take one after the other to join."""
RENEWAL_SECONDS: Final = 5
"""Seconds after which the server gives up a renewal: over another connection it may succeed in time."""
_CLOCK: Final = "extract(epoch FROM clock_timestamp())::double precision"
# A node that slept while the ledger was copied elsewhere must not wake up and go on with this one.
_IN_USE: Final = "NOT EXISTS (SELECT FROM successors)"
_SUCCESSOR: Final = "SELECT url FROM successors"
_SESSION: Final = f"""
SELECT set_config('statement_timeout', '{RENEWAL_SECONDS}s', false),
  set_config('lock_timeout', '{RENEWAL_SECONDS}s', false),
  -- A host that is cut off cannot say good-bye. The server finds out, ends its session, and frees its name.
  set_config('tcp_keepalives_idle', '10', false),
  set_config('tcp_keepalives_interval', '5', false),
  set_config('tcp_keepalives_count', '3', false),
  set_config('tcp_user_timeout', '25000', false)
"""
_LOCK: Final = f"SELECT pg_try_advisory_lock({NAMES_CLASS}, hashtext(current_schema() || '/' || %s))"
_UNLOCK: Final = f"SELECT pg_advisory_unlock({NAMES_CLASS}, hashtext(current_schema() || '/' || %s))"
_ONE_BY_ONE: Final = f"SELECT pg_advisory_xact_lock({JOINING_CLASS}, hashtext(current_schema()))"
_LIVE: Final = f"""
SELECT name, instance FROM nodes WHERE name <> %(name)s AND lease_until > {_CLOCK} ORDER BY name
"""  # noqa: S608 (no input)
_REGISTER: Final = f"""
INSERT INTO nodes AS node (name, instance, started_at, lease_until, draining, tick, timeline)
SELECT %(name)s, %(instance)s, {_CLOCK}, {_CLOCK} + %(lease)s, false, 0,
  CASE WHEN %(begins)s THEN substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) ELSE '' END
WHERE {_IN_USE}
ON CONFLICT (name) DO UPDATE SET instance = excluded.instance, started_at = excluded.started_at,
  lease_until = excluded.lease_until, tick = 0,
  timeline = CASE WHEN node.instance = excluded.instance THEN node.timeline ELSE excluded.timeline END
"""
_RENEW: Final = f"""
UPDATE nodes SET lease_until = {_CLOCK} + %(lease)s
FROM (
  SELECT name, lease_until FROM nodes WHERE name = %(name)s AND instance = %(instance)s AND {_IN_USE}
  FOR UPDATE
) AS former
WHERE nodes.name = former.name
RETURNING {_CLOCK}, former.lease_until
"""  # noqa: S608 (no input)
_LEAVE: Final = f"""
UPDATE nodes SET lease_until = {_CLOCK} WHERE name = %(name)s AND instance = %(instance)s
"""  # noqa: S608 (no input)
_HOLDER: Final = f"SELECT instance, lease_until, lease_until - {_CLOCK} FROM nodes WHERE name = %s"  # noqa: S608


@dataclass(frozen=True, slots=True)
class Renewal:
    """A lease that was renewed, by the clock of the database."""

    now: float
    before: float
    """Until when the lease lasted before."""

    @property
    def was_lost(self) -> bool:
        """Whether the lease was over meanwhile: others may have taken over what the node had in hand."""
        return self.before < self.now


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that has the lock of a name."""

    instance: str
    lease_until: float
    left: float
    """Seconds until then."""


class NodeSession:
    """A connection that has the lock of a node's name, as long as it lasts.

    Every method raises LedgerError if the database cannot be used; the session is of no use any more then.
    """

    def __init__(self, url: URL, name: str, instance: str, lease: float) -> None:
        """Connect; nothing is locked or written yet."""
        self._values: dict[str, Any] = {"name": name, "instance": instance, "lease": lease}
        self._name = name
        self._locked = False
        self._connection = connect(url, f"dingwatch {name} lease")
        try:
            self._execute(_SESSION)
            self._execute(f"LISTEN {CHANNEL}")
        except BaseException:
            self.close()
            raise

    def lock(self) -> bool:
        """Lock the node's name, unless another process has it; return whether this one has it now."""
        self._locked = self._locked or bool(self._execute(_LOCK, (self._name,))[0][0])
        return self._locked

    def register(self) -> Renewal:
        """Begin a lease; what was known of an earlier process of the node is overwritten.

        Raises:
            LedgerError: also if another live node works for another app.
        """
        return self._register(begins=True)

    def _register(self, *, begins: bool) -> Renewal:
        """Write the node's row; a process that does not begin has something to compare with the ledger."""
        with errors(), self._connection.transaction():
            self._execute(_ONE_BY_ONE)
            self._require_one_app()
            self._execute(_REGISTER, {**self._values, "begins": begins})
        return self.renew()

    def _require_one_app(self) -> None:
        """Raise LedgerError if another live node works for another app.

        Uploads, pauses, the pace and the calls in the ledger are those of one app. An app knows nothing of
        what another has uploaded.
        """
        own = app_of(self._values["instance"])
        for name, instance in self._execute(_LIVE, self._values):
            if (app := app_of(instance)) and app != own:
                apps = f"{self._name}: {own}, {name}: {app}"
                raise LedgerError(Cause("other_app", apps, "LEDGER_OTHER_APP"))

    def renew(self) -> Renewal:
        """Renew the lease."""
        if found := self._execute(_RENEW, self._values):
            renewal = Renewal(*found[0])
            if renewal.was_lost:  # others may have been started for another app meanwhile
                self._require_one_app()
            return renewal
        if moved := self._execute(_SUCCESSOR):
            raise LedgerError(Cause("moved", moved[0][0], "LEDGER_MOVED"))
        # Another process had the name while this one was cut off, and has ended. Or the server is a promoted
        # standby that has never heard of this one.
        return replace(self._register(begins=False), before=-inf)

    def leave(self) -> None:
        """End the lease and free the name: another process of the same name need not wait."""
        self._execute(_LEAVE, self._values)
        self._execute(_UNLOCK, (self._name,))

    def holder(self) -> Holder | None:
        """Return what is known of the process that has, or last had, the name."""
        found = self._execute(_HOLDER, (self._name,))
        return Holder(*found[0]) if found else None

    def ask_holder(self) -> None:
        """Ask the process that has the name for a sign of life: it renews its lease."""
        self._execute("SELECT pg_notify(%s, %s)", (CHANNEL, ARE_YOU_THERE + self._name))

    def wait(self, seconds: float, waker: int) -> list[str]:
        """Wait for notifications, until `seconds` are over or the descriptor `waker` has something to read.

        Return what the notifications say; none says anything that has to be known.
        """
        with errors():
            waits = select.poll()  # `select` knows no descriptor above 1023
            for one in (self._connection.fileno(), waker):
                waits.register(one, select.POLLIN)
            waits.poll(max(seconds, 0.0) * 1000)
            return [one.payload for one in self._connection.notifies(timeout=0)]

    def close(self) -> None:
        """Close the connection, and free the name with it."""
        self._connection.close()

    def _execute(self, statement: str, values: Any = None) -> list[Any]:  # noqa: ANN401 (psycopg's)
        with errors():
            cursor = self._connection.execute(statement, values)
            return [] if cursor.description is None else cursor.fetchall()
