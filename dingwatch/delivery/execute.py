"""Carries out delivery's jobs: reads files, talks to DingTalk. Runs in the service's pools."""

from __future__ import annotations

from dataclasses import dataclass

from dingwatch.delivery import senders
from dingwatch.delivery.drive_upload import DriveUploader
from dingwatch.delivery.jobs import (
    Begin,
    Commit,
    Done,
    FetchToken,
    Job,
    Outcome,
    Put,
    PutDone,
    Send,
    SendCaption,
    SendDone,
    Upload,
)
from dingwatch.delivery.reading import Reader
from dingwatch.dingtalk import MEDIA_LIMIT, Client
from dingwatch.ledger.uploads import UploadDone, UploadSession
from dingwatch.model import Cause, Failure, Form, Misconfigured, Scope
from dingwatch.recipients import Sender


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
                return senders.send(self.sender, job)
            case FetchToken():
                self.client.fetch_token(job.host, force=job.force)
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
