"""Carries out delivery's jobs: reads files, talks to DingTalk. Runs in the service's pools."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from dingwatch.delivery.drive_upload import DriveUploader
from dingwatch.delivery.jobs import (
    Begin,
    Commit,
    Done,
    FetchToken,
    Job,
    Outcome,
    ProbeStore,
    Put,
    PutDone,
    Send,
    SendCaption,
    SendDone,
    ToPeople,
    Upload,
)
from dingwatch.delivery.reading import Reader
from dingwatch.dingtalk import MEDIA_LIMIT, Client
from dingwatch.ledger.delivery import Delivery
from dingwatch.ledger.uploads import UploadDone, UploadSession
from dingwatch.model import Cause, Failure, Form, Misconfigured, Recipient, Route, Scope
from dingwatch.payload import IMAGE
from dingwatch.recipients import Content, File, Sender


@dataclass(frozen=True, slots=True)
class Executor:
    """Carries out jobs; without a `drive_uploader` there is no drive."""

    client: Client
    reader: Reader
    sender: Sender
    drive_uploader: DriveUploader | None = None

    def __call__(self, job: Job) -> Outcome:
        """Carry out one job; a failure comes back as its verdict."""
        try:
            return Outcome(job, self._do(job))
        except Failure as failure:
            return Outcome(job, failure.verdict)

    def _do(self, job: Job) -> UploadDone | UploadSession | PutDone | SendDone | Done:
        match job:
            case Upload():
                return self._upload(job)
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

    def _drive(self) -> DriveUploader:
        if self.drive_uploader is None:
            raise Failure(Misconfigured(Cause("no_operator", "", "OPERATOR"), Scope.API))
        return self.drive_uploader

    def _upload(self, job: Upload) -> UploadDone:
        row, payload = job.source, job.payload
        zipped = payload.form is Form.ZIP
        content = self.reader.archive(row, MEDIA_LIMIT) if zipped else self.reader.content(row)
        return UploadDone(self.client.media.upload(name=payload.name, content=content, kind=payload.key.type))

    def _send(self, job: ToPeople) -> SendDone:
        """Send a message, once; of its failures only NoAnswer leaves a doubt."""
        if isinstance(job, Send) and job.row.route is Route.DRIVE:
            copy = self.sender.send_entry(job.row.recipient, job.row.space_id or "", job.media_id)
            return SendDone(None, copy.space_id or None, copy.id or None)
        recipients = [row.recipient for row in job.rows]
        receipt = self.sender.send(recipients, _content(job), _uuid(job.row))
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
