"""What must be true of a life when it is over: the promises, counted."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Final

from dingwatch.dingtalk import MEDIA_LIMIT
from dingwatch.lifecycle import TABLE, Event, State
from tests.simulation.disk import digest_of
from tests.simulation.life import FILTER, Life, Wrong

_ROWS: Final = """
SELECT d.id, d.version_id, d.folder_id, d.conversation_id, d.state, d.code, d.doubts, d.uncertain_resent,
       d.upload_key, d.due, v.sha256, v.size, v.directory, v.name,
       EXISTS (SELECT 1 FROM routes r WHERE r.folder_id = d.folder_id
               AND r.conversation_id = d.conversation_id) AS mapped
FROM deliveries d JOIN versions v ON v.id = d.version_id ORDER BY d.id
"""
_NOT_DONE: Final = {State.PENDING, State.UPLOADING, State.UPLOADED, State.SENDING}
_DROPS: Final = 3


class Judge:
    """Reads the ledger once, and compares it with what the disk and DingTalk know."""

    def __init__(self, life: Life) -> None:
        self.life = life
        with life.store.reading() as connection:
            self.rows = [dict(row._mapping) for row in connection.exec_driver_sql(_ROWS)]
            self.versions = [
                dict(r._mapping) for r in connection.exec_driver_sql("SELECT * FROM versions ORDER BY id")
            ]
            lines = connection.exec_driver_sql("SELECT * FROM history ORDER BY id").all()
        self.history: dict[int, list[Any]] = defaultdict(list)
        self.of_version: dict[int, list[Any]] = defaultdict(list)
        for line in lines:
            if line.delivery_id is not None:
                self.history[line.delivery_id].append(line)
            self.of_version[line.version_id].append(line)
        self.by_id = {row["id"]: row for row in self.rows}
        self.receipts = defaultdict(list)
        for one in life.chat.received:
            self.receipts[one.row.id].append(one)

    def all(self) -> None:
        """Hold the life to every promise."""
        self.nothing_is_left()
        self.every_row_went_by_the_table()
        self.no_file_is_lost()
        self.what_is_missing_is_known()
        self.every_end_is_explained()
        self.nothing_is_sent_twice()
        self.nothing_is_torn()
        self.no_older_version_follows()
        self.uploads_are_few()
        self.the_pace_was_kept()
        self.lines_are_said_once()

    def _wrong(self, text: str, row: object = None) -> Wrong:
        number = row["id"] if isinstance(row, dict) else None
        lines = [(n.event, n.before, n.after, n.code) for n in self.history.get(number or 0, [])]
        return Wrong(f"{text}: {row} {lines}")

    def _retried(self, row: dict[str, Any]) -> bool:
        return any(
            line.event == Event.REQUEUE and line.before != State.UNCERTAIN for line in self.history[row["id"]]
        )

    def _resolved(self, row: dict[str, Any]) -> bool:
        """Whether a person had a doubtful message sent again; the service itself does so once, or never."""
        resent = sum(
            line.event == Event.REQUEUE and line.before == State.UNCERTAIN for line in self.history[row["id"]]
        )
        return bool(resent > self.life.shape.resend)

    def nothing_is_left(self) -> None:
        """At rest nothing is in hand, nothing waits, and no doubt that resends itself is left."""
        for row in self.rows:
            if row["mapped"] and row["state"] in _NOT_DONE:
                raise self._wrong("left behind", row)
            doubtful = row["state"] == State.UNCERTAIN and row["doubts"] == 1
            if row["mapped"] and doubtful and self.life.shape.resend:
                raise self._wrong("a doubt was left", row)

    def every_row_went_by_the_table(self) -> None:
        """The history of a row is a path of the table that ends where the row stands."""
        for row in self.rows:
            first, *lines = self.history[row["id"]]
            if (first.event, first.after) != ("settled", State.PENDING):
                raise self._wrong("did not begin pending", row)
            state = State.PENDING
            for line in lines:
                if (
                    line.event in {"held", "released", "bundled"}
                    and line.before == line.after == state == State.PENDING
                ):
                    continue
                if line.before != state or TABLE[state].get(Event(line.event)) != line.after:
                    raise self._wrong(f"from {state} by {line}", row)
                state = State(line.after)
            if state != row["state"]:
                raise self._wrong("is not where its history ends", row)

    def no_file_is_lost(self) -> None:
        """What lies there at the end is known, and no delivery of it is gone."""
        for folder, tree in self.life.ids.items():
            for path, inode in tree.files.items():
                if FILTER.accepts(path):
                    self._not_lost(folder, path, inode.content, (inode.size, inode.mtime))

    def _not_lost(self, folder: int, path: bytes, content: bytes, state: tuple[int, int]) -> None:
        here = [
            v
            for v in self.versions
            if (v["folder_id"], _path(v), v["size"], v["mtime_ns"]) == (folder, path, *state)
            and (v["baseline"] or v["sha256"] in {digest_of(content), None if state[0] > MEDIA_LIMIT else ""})
        ]
        if not here:
            raise self._wrong(f"lost: {path!r} {content!r} {state}; known {self.versions}")
        if any(version["baseline"] for version in here):
            moved = any(line.event in {"moved", "touched"} for v in here for line in self.of_version[v["id"]])
            if (folder, path, *state) not in self.life.listed and not moved:
                raise self._wrong(f"no baseline, but taken for one: {here}")
            return
        ids = {version["id"] for version in here}
        wanted = dict(zip([t.root for t in self.life.trees], self.life.shape.mapping, strict=True))
        for conversation in wanted[self.life.ids[folder].root]:
            rows = [r for r in self.rows if r["version_id"] in ids and r["conversation_id"] == conversation]
            if all(row["state"] == State.GONE for row in rows):
                raise self._wrong(f"nothing for {conversation}, though it is there: {here} {rows}")

    def what_is_missing_is_known(self) -> None:
        """After a scan, a version whose file is not there any more is marked so."""
        for version in [] if self.life.shape.strict else self.versions:
            there = _path(version) in self.life.ids[version["folder_id"]].files
            if not there and version["missing_since"] is None:
                raise self._wrong(f"not known to be missing: {version}")

    def every_end_is_explained(self) -> None:
        """Failed, skipped and uncertain have a reason that the story knows."""
        for row in self.rows:
            faults = self.life.chat.faults[row["id"]]
            state, code = row["state"], row["code"]
            if state == State.FAILED:
                good = (
                    (code == "too_big" and row["size"] > 20 << 20)
                    or (code == "internal" and faults.count("dropped") >= _DROPS)
                    or "Rejected" in faults
                    or faults.count("MediaLost") > 1
                    or (faults.count("MediaLost") == 1 and self._retried(row))
                )
            elif state == State.SKIPPED:
                good = code in {"empty", "on_change", "unsupported", "40005", "discarded"}
            elif state == State.UNCERTAIN:
                good = bool({"NoAnswer", "dropped", "NotReached"} & set(faults))
            elif state == State.SENT:
                good = bool(self.receipts[row["id"]])
            else:
                good = True
            if not good:
                raise self._wrong(f"unexplained by {faults}", row)

    def nothing_is_sent_twice(self) -> None:
        """Twice only after a doubt, and marked so; never with `hold`. A baseline is not sent at all."""
        for number, received in self.receipts.items():
            row = self.by_id[number]
            times = len(received)
            retried = self._retried(row)
            doubted = any(line.after == State.UNCERTAIN for line in self.history[number])
            if row["state"] != State.SENT and not doubted:
                raise self._wrong("received, but not sent", row)
            if retried or times == 1:
                continue
            if times > 2 or not row["uncertain_resent"] or not self.life.shape.resend:
                raise self._wrong(f"received {times} times", row)
        self._no_version_too_many()

    def _no_version_too_many(self) -> None:
        """A content is not sent more often than it came into its folder."""
        roots = {i: tree.root for i, tree in self.life.ids.items()}
        sent: dict[tuple[str, bytes, str], set[int]] = defaultdict(set)
        for number, received in self.receipts.items():
            row = self.by_id[number]
            for one in [] if self._retried(row) else received:
                sent[row["conversation_id"], roots[row["folder_id"]], one.digest].add(number)
        for (conversation, root, digest), numbers in sent.items():
            if len(numbers) > self.life.disk.made[root, digest]:
                rows = [self.by_id[n] for n in sorted(numbers)]
                raise self._wrong(f"more often than it came: {conversation} {rows} {self.of_version}")

    def nothing_is_torn(self) -> None:
        """What arrived is the version's content, and lay whole and still in the folder."""
        roots = {i: tree.root for i, tree in self.life.ids.items()}
        for number, received in self.receipts.items():
            row = self.by_id[number]
            for one in received:
                rested = self.life.disk.rested.get((roots[row["folder_id"]], one.digest), 0.0)
                if one.digest != row["sha256"] or rested < self.life.shape.settle:
                    raise self._wrong(f"torn: {one}, rested {rested}", row)

    def no_older_version_follows(self) -> None:
        """Of one path, a conversation gets versions in the order in which they settled."""
        if self.life.jumped:
            return
        last: dict[tuple[object, ...], tuple[float, int]] = {}
        for one in self.life.chat.received:
            moved = any(line.event in {"moved", "returned"} for line in self.of_version[one.row.version])
            row = self.by_id[one.row.id]
            if moved or self._retried(row) or self._resolved(row):
                continue
            key = (one.row.recipient, one.row.folder, one.row.path)
            before, by = last.get(key, (0.0, 0))
            if one.row.settled_at < before:
                raise self._wrong(f"{one.row.id} arrived after {by}", self.by_id[one.row.id])
            last[key] = one.row.settled_at, one.row.id

    def uploads_are_few(self) -> None:
        """One upload for a content, and one more for each that was lost."""
        for key, times in self.life.chat.uploads.items():
            if times > 1 + self.life.chat.wasted[key]:
                raise self._wrong(f"{key} uploaded {times} times, wasted {self.life.chat.wasted[key]}")

    def the_pace_was_kept(self) -> None:
        """No more sends to one conversation in a window than allowed."""
        limit = self.life.shape.per_conversation
        if limit is None or self.life.jumped:
            return
        claims = defaultdict(list)
        for wall, place in self.life.claims:
            if place is not None and place.recipients:
                claims[place.recipients[0]].append(wall)
        for conversation, at in claims.items():
            for early, late in zip(at, at[limit.count :], strict=False):
                if late - early < limit.period - 1e-6:
                    raise Wrong(f"too many to {conversation} within {late - early} s")

    def lines_are_said_once(self) -> None:
        """The line before a file never arrives twice, whatever became of its answer."""
        for delivery, number in self.life.chat.lines.items():
            if number > 1:
                raise self._wrong(f"its line arrived {number} times", self.by_id.get(delivery))


def _path(version: dict[str, Any]) -> bytes:
    return b"/".join(filter(None, (bytes(version["directory"]), bytes(version["name"]))))
