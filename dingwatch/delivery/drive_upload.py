"""Carries out the steps of uploads to the drive: spaces, addresses, bytes, entries."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace

from dingwatch.delivery.jobs import AskRoom, Begin, Commit, DeleteEntry, DriveJob, Put, PutDone
from dingwatch.delivery.reading import Pieces, Reader
from dingwatch.dingtalk import (
    MOST_ADDRESSES,
    Client,
    Conflict,
    Content,
    Room,
    SignatureExpired,
    SignedAddress,
    Space,
    SpaceFolder,
    Storage,
)
from dingwatch.ledger.uploads import UploadDone, UploadSession
from dingwatch.model import Failure, MediaLost
from dingwatch.payload import DRIVE

SCENE = "dingwatch"


@dataclass(frozen=True, slots=True)
class Operator:
    """The person whose rights the drive is used with, and what tells this ledger's spaces from others'."""

    union_id: str
    ledger: str


@dataclass(frozen=True, slots=True)
class DriveUploader:
    """Carries out the steps of uploads to the drive. Safe to use from several threads."""

    client: Client
    reader: Reader
    operator: Operator
    _spaces: dict[str, Space] = field(default_factory=dict)
    _addresses: dict[str, dict[int, SignedAddress]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, job: DriveJob) -> UploadSession | PutDone | UploadDone:
        """Carry out one step; raises Failure."""
        try:
            return self._do(job)
        except Failure as failure:
            if isinstance(failure.verdict, MediaLost):
                self._forget(job)
            raise

    def _do(self, job: DriveJob) -> UploadSession | PutDone | UploadDone:
        match job:
            case Begin():
                return self._begin(job)
            case Put():
                return self._put_part(job, job.session) if job.session else self._put_whole(job)
            case Commit():
                return self._commit(job)

    def _forget(self, job: DriveJob) -> None:
        """Forget what is known of an upload that DingTalk has lost; it may have lost the whole space."""
        with self._lock:
            self._spaces.pop(job.payload.key.type, None)
            if not isinstance(job, Begin) and job.session is not None:
                self._addresses.pop(job.session.key, None)

    @property
    def _storage(self) -> Storage:
        return self.client.storage(self.operator.union_id)

    def delete(self, job: DeleteEntry) -> None:
        """Delete an entry; raises Failure, but not where it is gone already."""
        self._storage.delete(job.deletion.space_id, job.deletion.entry_id)

    def room(self, job: AskRoom) -> Room:
        """Return the room in the organisation's storage; raises Failure."""
        return self._storage.room(self._space_of(job.kind).corp_id)

    def _space(self, job: DriveJob) -> str:
        """Return the id of the folder's own space."""
        return self._space_of(job.payload.key.type).id

    def _space_of(self, kind: str) -> Space:
        """Return a folder's own space; DingTalk makes it when it is asked for the first time."""
        with self._lock:
            if kind not in self._spaces:
                scene_id = f"{self.operator.ledger}-{kind.removeprefix(DRIVE)}"
                name = f"{SCENE} {scene_id}"
                self._spaces[kind] = self._storage.space(scene=SCENE, scene_id=scene_id, name=name)
            return self._spaces[kind]

    def _begin(self, job: Begin) -> UploadSession:
        space = self._space(job)
        size = job.source.fingerprint.size
        return UploadSession(space, self._storage.begin_parts(SpaceFolder(space), size))

    def _put_whole(self, job: Put) -> PutDone:
        # Opened first: a share that hangs must not cost a billed call each time.
        with self.reader.reading(job.source) as pieces:
            space = self._space(job)
            session = self._storage.begin_whole(SpaceFolder(space), job.part.size)
            self._put(job, session.address, pieces)
        return PutDone(UploadSession(space, session.upload_key))

    def _put_part(self, job: Put, session: UploadSession) -> PutDone:
        """Put a part; when its address has expired, ask for another once.

        Addresses are fetched ahead, so after a pause the first one may be too old. If a fresh one is refused
        as well, it is not the address.
        """
        with self.reader.reading(job.source) as pieces:
            try:
                self._put(job, self._address(job, session), pieces)
            except Failure as failure:
                if not isinstance(failure.verdict, SignatureExpired):
                    raise
                with self._lock:
                    self._addresses.pop(session.key, None)
                self._put(job, self._address(job, session), pieces)
        return PutDone(session)

    def _put(self, job: Put, address: SignedAddress, pieces: Pieces) -> None:
        part = job.part
        try:
            self._storage.put(address, Content(part.size, lambda: pieces(part.offset, part.size)))
        except Failure as failure:
            verdict = failure.verdict
            if verdict.cause.code == "stopped":
                raise
        else:
            return
        raise Failure(replace(verdict, billed=True))  # the address was

    def _address(self, job: Put, session: UploadSession) -> SignedAddress:
        """Return where a part goes; one billed call fetches the addresses of the next parts as well.

        A part that has to be put once more finds its address again; those of finished parts are dropped.
        """
        with self._lock:
            known = self._addresses.get(session.key, {})
            if job.part.number not in known:
                known = {number: known[number] for number in job.addresses if number in known}
                missing = [number for number in job.addresses if number not in known][:MOST_ADDRESSES]
                known |= self._storage.part_addresses(session.key, missing)
                self._addresses[session.key] = known
            return known[job.part.number]

    def _commit(self, job: Commit) -> UploadDone:
        """Make an entry, if the file is still what settled.

        Each part is read when its turn comes, and 100 GB take hours: somebody may have written to the file
        meanwhile, and every part would be whole while the entry would be of no version.
        """
        row = job.source
        with self._lock:
            self._addresses.pop(job.session.key, None)
        self.reader.require_unchanged(row)
        entry = self._storage.commit(
            SpaceFolder(job.session.space_id),
            upload_key=job.session.key,
            name=job.payload.name,
            size=row.fingerprint.size,
            conflict=Conflict.OVERWRITE,
        )
        return UploadDone(entry.id, entry.space_id)
