"""Carries out delivery's jobs: reads files, talks to DingTalk. Runs in the service's pools."""

from __future__ import annotations

from dataclasses import dataclass

from dingwatch.delivery.drive_upload import Storer
from dingwatch.delivery.jobs import (
    Announce,
    Begin,
    Commit,
    Done,
    FetchToken,
    Job,
    Outcome,
    Put,
    PutDone,
    Send,
    SendDone,
    Upload,
    UploadDone,
)
from dingwatch.delivery.reading import Reader
from dingwatch.delivery.senders import Sender
from dingwatch.dingtalk import MEDIA_LIMIT, Client
from dingwatch.ledger.upload_sessions import Begun
from dingwatch.model import Cause, Failure, Form, Misconfigured, Scope


@dataclass(frozen=True, slots=True)
class Performer:
    """Carries out jobs; without a `storer` there is no drive."""

    client: Client
    reader: Reader
    sender: Sender
    storer: Storer | None = None

    def __call__(self, job: Job) -> Outcome:
        """Carry out one job; a failure comes back as its verdict."""
        try:
            return Outcome(job, self._do(job))
        except Failure as failure:
            return Outcome(job, failure.verdict)

    def _do(self, job: Job) -> UploadDone | Begun | PutDone | SendDone | Done:
        match job:
            case Upload():
                return self._upload(job)
            case Send() | Announce():
                return self.sender(job)
            case FetchToken():
                self.client.fetch_token(job.host, force=job.force)
                return Done()
            case Begin() | Put() | Commit():
                return self._drive()(job)

    def _drive(self) -> Storer:
        if self.storer is None:
            raise Failure(Misconfigured(Cause("no_operator", "", "OPERATOR"), Scope.API))
        return self.storer

    def _upload(self, job: Upload) -> UploadDone:
        row, dress = job.source, job.dress
        zipped = dress.form is Form.ZIP
        content = self.reader.archive(row, MEDIA_LIMIT) if zipped else self.reader.content(row)
        return UploadDone(self.client.media.upload(name=dress.name, content=content, kind=dress.key.type))
