"""Extensions that DingTalk has refused."""

from __future__ import annotations

from sqlalchemy import Connection, select

from dingwatch.ledger.schema import refused_extensions
from dingwatch.ledger.store import Store


def refuse(store: Store, connection: Connection, app: str, extension: str, now: float) -> None:
    """Remember an extension that DingTalk refused, so that it costs one refused call in all."""
    store.insert_missing(connection, refused_extensions, [{"app": app, "extension": extension, "since": now}])


def refused(connection: Connection, app: str) -> frozenset[str]:
    """Return the extensions that DingTalk has refused."""
    return frozenset(
        connection.scalars(select(refused_extensions.c.extension).where(refused_extensions.c.app == app))
    )
