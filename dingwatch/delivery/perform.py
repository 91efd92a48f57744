"""Carries out delivery's jobs: reads files, talks to DingTalk. Runs in the service's pool."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Final

from dingwatch import files
from dingwatch.delivery.jobs import Done, FetchToken, Job, Outcome, Send, SendDone, Upload, UploadDone
from dingwatch.dingtalk import MEDIA_LIMIT, Client
from dingwatch.ledger.outbox import Delivery
from dingwatch.model import Cause, Failure, FolderDown, Form, NotReached, Scope
from dingwatch.policy import displayed_name

READERS: Final = 4
READ_SECONDS: Final = 120.0
"""How long the reading of one file may take: the limit of an upload at 170 KB/s."""


@dataclass(frozen=True, slots=True)
class Performer:
    """Carries out jobs; `roots` are the real paths of the folders by their id in the ledger."""

    client: Client
    roots: Mapping[int, bytes]
    readers: dict[int | None, ThreadPoolExecutor] = field(default_factory=dict)
    """Each folder's own threads: a share that hangs must not hold the workers of all."""

    def __call__(self, job: Job) -> Outcome:
        """Carry out one job; a failure comes back as its verdict."""
        try:
            return Outcome(job, self._do(job))
        except Failure as failure:
            return Outcome(job, failure.verdict)

    def _do(self, job: Job) -> UploadDone | SendDone | Done:
        match job:
            case Upload():
                return self._upload(job)
            case Send():
                return self._send(job)
            case FetchToken():
                self.client.fetch_token(job.host, force=job.force)
                return Done()

    def _upload(self, job: Upload) -> UploadDone:
        row = job.source
        reader = self.readers.setdefault(row.folder, ThreadPoolExecutor(READERS, "read"))
        try:
            content = reader.submit(self._content, row).result(READ_SECONDS)
        except TimeoutError:
            raise Failure(FolderDown(Cause("hangs", "", "FOLDER_DOWN"), Scope.FOLDER)) from None
        if job.dress.form is Form.ZIP:
            content = files.zipped(displayed_name(row.name), content, MEDIA_LIMIT)
        return UploadDone(self.client.upload(name=job.dress.name, content=content))

    def _content(self, row: Delivery) -> bytes:
        # What `send FILE…` was given lies beneath no folder: its root is the directory it lies in.
        root_path, path = (
            os.path.split(row.path) if row.folder is None else (self.roots[row.folder], row.path)
        )
        with closing(files.open_root(root_path)) as root:
            return _read(root, path, row)

    def _send(self, job: Send) -> SendDone:
        key = self.client.send_file(
            conversation_id=job.row.conversation,
            media_id=job.media_id,
            file_name=job.dress.name,
            file_type=job.dress.key.extension,
            renew=False,
        )
        return SendDone(key)


def _read(root: files.Root, path: bytes, row: Delivery) -> bytes:
    """Read a file; on another device than the one it settled on, its absence may be that of its share.

    Intake finds that out: it knows where the folder's root belongs.
    """
    try:
        return files.read(root, path, row.fingerprint, row.digest)
    except Failure as failure:
        cause = failure.verdict.cause
        elsewhere = root.identity[0] != row.fingerprint.device and row.missing_since is None
        if row.folder is not None and cause.code == "absent" and elsewhere:
            raise Failure(NotReached(replace(cause, code="not_mounted", advice="FOLDER_DOWN"))) from None
        raise
