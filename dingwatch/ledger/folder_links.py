"""Links to the pages of single folders. The ledger has a digest of each token alone, which opens nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256

from sqlalchemy import Connection, delete, insert, select

from dingwatch.ledger.folders import find_or_insert
from dingwatch.ledger.schema import folder_links
from dingwatch.ledger.store import Store


def add_link(store: Store, root: bytes, name: str, targets: Sequence[int], token: str, now: float) -> None:
    """Have a token open the page of a folder, beside those that do already.

    `targets` are the ids of the folder and of the former targets of its path; they are empty for a folder
    that the service has never watched, whose row is inserted.
    """
    with store.writing() as connection:
        folder = targets[0] if targets else find_or_insert(connection, root, name)
        row = {"digest": _digest(token), "folder_id": folder, "made_at": now}
        connection.execute(insert(folder_links), row)


def revoke_links(store: Store, targets: Iterable[int]) -> int:
    """Have no token open the page of a folder any more; return how many did."""
    with store.writing() as connection:
        these = folder_links.c.folder_id.in_(list(targets))
        return connection.execute(delete(folder_links).where(these)).rowcount


def find_linked(connection: Connection, token: str) -> int | None:
    """Return the id of the folder whose page a token opens; None for one that opens none."""
    query = select(folder_links.c.folder_id).where(folder_links.c.digest == _digest(token))
    found: int | None = connection.scalar(query)
    return found


def _digest(token: str) -> str:
    # A token is as long as the digest and as random: it needs no salt.
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
