"""Sends what a job carries, by the sender of all kinds of recipients."""

from __future__ import annotations

import hashlib

from dingwatch.delivery.jobs import Send, SendCaption, SendDone, ToPeople
from dingwatch.ledger.delivery import Delivery
from dingwatch.model import Recipient, Route
from dingwatch.payload import IMAGE
from dingwatch.recipients import Content, File, Sender


def send(sender: Sender, job: ToPeople) -> SendDone:
    """Carry out a job, once; of its Failures only NoAnswer leaves a doubt."""
    if isinstance(job, Send) and job.row.route is Route.DRIVE:
        copy = sender.send_entry(job.row.recipient, job.row.space_id or "", job.media_id)
        return SendDone(None, copy.space_id, copy.id)
    recipients = [row.recipient for row in job.rows]
    receipt = sender.send(recipients, _content(job), _uuid(job.row))
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
