"""What became of every file: of what was dropped, what was sent, and what the ledger says of it."""

from __future__ import annotations

import io
import itertools
import sqlite3
import zipfile
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psycopg

from dingwatch.lifecycle import IN_WORK, State
from dingwatch.sandbox import Message, Sandbox
from tests.support import sha256

POISON: Final = 3
"""Crashes with one file alone in hand, after which it waits for a person."""
KINDS: Final = (
    "files",
    "lost",
    "torn",
    "late",
    "unrecorded",
    "twice (marked)",
    "twice (unmarked)",
    "overwritten",
    "uncertain",
    "poison",
)


@dataclass
class Drop:
    """A content that lay in the folder, under these names one after the other; `must` it arrive?

    What was replaced need not; when it does, it must not come after what replaced it.
    """

    digest: str
    names: list[str]
    path: str
    must: bool = True


@dataclass(frozen=True, slots=True)
class Row:
    """A delivery in the ledger; `crashes` is how often a process died with it in hand."""

    name: str
    digest: str
    conversation: str
    state: str
    resent: bool
    doubts: int
    code: str | None
    crashes: int

    def shows(self, drop: Drop) -> bool:
        """Return whether it is a delivery of this content."""
        return self.digest == drop.digest and self.name in drop.names


ROWS: Final = """
    SELECT v.name, v.sha256, d.conversation_id, d.state, d.uncertain_resent, d.doubts, d.code,
        (SELECT count(*) FROM history h WHERE h.delivery_id = d.id AND h.event = 'crash')
    FROM deliveries d JOIN versions v ON v.id = d.version_id
"""


def rows(ledger: Path | str) -> list[Row]:
    """Read the deliveries from a ledger that a service may be writing: a file, or the URL of a database."""
    with closing(_connect(ledger)) as connection:
        return [Row(name.decode(), *more) for name, *more in connection.execute(ROWS)]


def _connect(ledger: Path | str) -> sqlite3.Connection | psycopg.Connection:
    if isinstance(ledger, Path):
        return sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)
    return psycopg.connect(ledger.replace("+psycopg", ""), autocommit=True)


def finished(row: Row, *, resends: bool) -> bool:
    """Return whether nothing more will happen to a delivery by itself."""
    return row.state not in IN_WORK and not (resends and row.state == State.UNCERTAIN and row.doubts == 1)


@dataclass
class Account:
    """How many files there were, and how many of their deliveries went wrong, with the story of each."""

    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def add(self, other: Account) -> None:
        """Add another account."""
        self.counts += other.counts
        self.wrong += other.wrong

    def _bad(self, kind: str, story: object) -> None:
        self.counts[kind] += 1
        self.wrong.append(f"{kind}: {story}")

    def __str__(self) -> str:
        return ", ".join(f"{kind} {self.counts[kind]}" for kind in KINDS)


def account(
    drops: Sequence[Drop], sandbox: Sandbox, conversations: Sequence[str], found: Sequence[Row]
) -> Account:
    """Compare what was dropped with what the conversations show."""
    made = Account(Counter(files=len(drops)))
    for conversation in conversations:
        messages = sandbox.messages(conversation)
        shown = [one for message in messages for one in _describe(sandbox, message)]
        known = {(name, drop.digest) for drop in drops for name in drop.names}
        for one in shown:
            if one not in known:
                made._bad("torn", one)  # or nobody dropped it: a baseline that was sent
        for same in _by_content(drops):
            here = [
                row
                for row in found
                if row.conversation == conversation and any(row.shows(drop) for drop in same)
            ]
            # A file may have been dropped twice by one name.
            _judge(made, same, here, len({place for drop in same for place in _places(drop, shown)}))
        for older, newer in itertools.combinations(drops, 2):
            if older.digest == newer.digest:
                continue
            if older.path == newer.path and max(_places(older, shown), default=-1) > min(
                _places(newer, shown), default=len(shown)
            ):
                made._bad("late", (older, newer))
    return made


def _places(drop: Drop, shown: Sequence[tuple[str, str]]) -> list[int]:
    """Return where in a conversation a content stands."""
    return [i for i, (name, digest) in enumerate(shown) if digest == drop.digest and name in drop.names]


def _by_content(drops: Sequence[Drop]) -> list[list[Drop]]:
    grouped: dict[str, list[Drop]] = defaultdict(list)
    for drop in drops:
        grouped[drop.digest].append(drop)
    return list(grouped.values())


def _judge(made: Account, same: Sequence[Drop], here: Sequence[Row], times: int) -> None:
    """Judge the drops of one content in one conversation.

    A copy is a file of its own. But when the first file was replaced while nobody looked, the copy is taken
    for that file, moved: its content has arrived, under the first name.
    """
    must = sum(drop.must for drop in same)
    least = max(must - (len(same) - must), min(must, 1))
    if times > len(same):
        if times - len(same) <= sum(row.resent for row in here):
            made.counts["twice (marked)"] += 1
        else:
            made._bad("twice (unmarked)", (same, here, times))
    elif times and not any(row.state == State.SENT or row.doubts for row in here):
        made._bad("unrecorded", (same, here))
    elif any(row.state == State.UNCERTAIN for row in here):
        made.counts["uncertain"] += 1
    elif any(row.code == "internal" and row.crashes >= POISON for row in here):
        made.counts["poison"] += 1
    elif times < least:
        made._bad("lost", (same, here))


def _describe(sandbox: Sandbox, message: Message) -> list[tuple[str, str]]:
    """Return the name and digest of each file that a message shows; an archive shows what is in it."""
    if message.media_id is None:  # by the drive, where nothing is zipped
        return [(str(message.file_name), str(message.sha256))]
    content = io.BytesIO(sandbox.content(str(message.media_id)))
    if not zipfile.is_zipfile(content):
        return [(str(message.file_name), str(message.sha256))]
    with zipfile.ZipFile(content) as archive:
        entries = archive.namelist()
        return [(entry.rpartition("/")[2], sha256(archive.read(entry))) for entry in entries]
