"""The revisions that lead a ledger from each schema to the next, carried out by alembic.

Only a ledger of an older schema imports this. A revision has the number of the schema that it leads to, which
is in the table `numbers` too: by that, dingwatch 0.1 refuses a ledger that is newer than itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from dingwatch.ledger.schema import SCHEMA

HERE: Final = Path(__file__).parent


def migrate(connection: Connection, found: int, target: int = SCHEMA) -> None:
    """Lead a ledger from the schema `found` to another one, in the transaction of the connection.

    A ledger that alembic has never seen, as those of dingwatch 0.1, is taken at its word.
    """
    config = Config()
    # The path is read as a pattern with `%`.
    config.set_main_option("script_location", str(HERE).replace("%", "%%"))
    config.attributes["connection"] = connection
    if found:
        command.stamp(config, str(found), purge=True)
    command.upgrade(config, str(target))
