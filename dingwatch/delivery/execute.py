"""Carries out delivery's jobs: reads files, talks to DingTalk. Runs in the service's pools."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from dingwatch.delivery.drive_upload import DriveUploader
from dingwatch.delivery.jobs import (
    AskRoom,
    Begin,
    Commit,
    DeleteEntry,
    Done,
    FetchToken,
    Job,
    MembersLost,
    Outcome,
    ProbeStore,
    Put,
    PutDone,
    Screen,
    Screening,
    Send,
    SendCaption,
    SendDone,
    ToPeople,
    Upkeep,
    Upload,
    UploadArchive,
)
from dingwatch.delivery.reading import MembersLostError, Reader
from dingwatch.dingtalk import MEDIA_LIMIT, Client, Room
from dingwatch.ledger.delivery import Delivery
from dingwatch.ledger.uploads import UploadDone, UploadSession
from dingwatch.model import Cause, Failure, Form, Misconfigured, Recipient, Route, Scope, ScreeningFailed
from dingwatch.payload import IMAGE
from dingwatch.recipients import Content, File, Sender


def refuse_programs(screening: Screening, _descriptor: int, _name: bytes, _size: int) -> None:
    """Fail: nobody has said how programs are run."""
    raise Failure(ScreeningFailed(Cause("gate_missing", screening.program[0], "GATE_MISSING")))


@dataclass(frozen=True, slots=True)
class Executor:
    """Carries out jobs; without a `drive_uploader` there is no drive."""

    client: Client
    reader: Reader
    sender: Sender
    drive_uploader: DriveUploader | None = None
    screen: Callable[[Screening, int, bytes, int], None] = refuse_programs
    """Runs a folder's program on a file: its descriptor, name and size; raises Failure unless it passes."""

    def __call__(self, job: Job) -> Outcome:
        """Carry out one job; a failure comes back as its verdict."""
        try:
            return Outcome(job, self._do(job))
        except Failure as failure:
            return Outcome(job, failure.verdict)

    def _do(  # noqa: PLR0911 (one return for each kind of job)
        self, job: Job
    ) -> UploadDone | UploadSession | PutDone | SendDone | MembersLost | Room | Done:
        match job:
            case Upload():
                return self._upload_archive(job) if isinstance(job, UploadArchive) else self._upload(job)
            case Screen():
                return self._screen(job)
            case Send() | SendCaption():
                return self._send(job)
            case FetchToken():
                self.client.fetch_token(job.host, force=job.force)
                return Done()
            case ProbeStore():
                self.client.probe_store(job.address)
                return Done()
            case Begin() | Put() | Commit():
                return self._drive()(job)
            case DeleteEntry() | AskRoom():
                return self._keep_up(job)

    def _drive(self) -> DriveUploader:
        if self.drive_uploader is None:
            raise Failure(Misconfigured(Cause("no_operator", "", "OPERATOR"), Scope.API))
        return self.drive_uploader

    def _keep_up(self, job: Upkeep) -> Room | Done:
        if isinstance(job, AskRoom):
            return self._drive().room(job)
        self._drive().delete(job)
        return Done()

    def _upload(self, job: Upload) -> UploadDone:
        row, payload = job.source, job.payload
        zipped = payload.form is Form.ZIP
        content = self.reader.archive(row, MEDIA_LIMIT) if zipped else self.reader.content(row)
        return UploadDone(self.client.media.upload(name=payload.name, content=content, kind=payload.key.type))

    def _screen(self, job: Screen) -> Done:
        row = job.row
        with self.reader.opening(row) as descriptor:
            self.screen(job.screening, descriptor, row.name, row.fingerprint.size)
        return Done()

    def _upload_archive(self, job: UploadArchive) -> UploadDone | MembersLost:
        try:
            packed = self.reader.pack(job.members, MEDIA_LIMIT)
        except MembersLostError as lost:
            return MembersLost(lost.failed)
        payload = job.payload
        return UploadDone(self.client.media.upload(name=payload.name, content=packed, kind=payload.key.type))

    def _send(self, job: ToPeople) -> SendDone:
        """Send a message, once; of its failures only NoAnswer leaves a doubt."""
        if isinstance(job, Send) and job.row.route is Route.DRIVE:
            copy = self.sender.send_entry(job.row.recipient, job.row.space_id or "", job.media_id)
            return SendDone(None, copy.space_id or None, copy.id or None)
        receipt = self.sender.send(job.recipients, _content(job), _uuid(job.row))
        missed = ((row.id, receipt.missed.get(Recipient.of(row.recipient).id)) for row in job.rows)
        return SendDone(receipt.key, missed=tuple((row, verdict) for row, verdict in missed if verdict))


def _content(job: ToPeople) -> Content:
    if isinstance(job, SendCaption):
        return job.caption
    if job.notice is not None:
        return job.notice
    key = job.payload.key
    return File(job.media_id, job.payload.name, key.extension, image=key.type == IMAGE)


def _uuid(row: Delivery) -> str:
    """Return the idempotency key of a message, for recipients that support one (custom robots).

    After `retry` a row settles anew, and its message is another.
    """
    known_by = f"{row.id}\0{row.version}\0{row.digest}\0{row.settled_at!r}"
    return hashlib.blake2b(known_by.encode(), digest_size=16).hexdigest()
