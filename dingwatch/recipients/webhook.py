"""Custom robots 自定义机器人, by a hash of their address: they carry texts to one group, and no files."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from dingwatch.dingtalk import API_WEBHOOK, Client, Webhook
from dingwatch.model import NoAnswer, NotReached, RecipientKind, Scope, Verdict
from dingwatch.notice_text import Message
from dingwatch.recipients.kind import Kind, Order, Receipt, no_files


def _send(client: Client, order: Order) -> Receipt:
    (robot,) = order.ids
    if not isinstance(order.content, Message):
        raise no_files()
    address = order.addresses[robot]
    webhook = client.webhook(Webhook.at(address.url, address.secret))
    webhook.markdown(order.content.title, order.content.text, uuid=order.uuid)
    return Receipt()


def _judge(verdict: Verdict) -> Verdict:
    """Narrow a failure to its robot, which shares neither token nor permission with anything else."""
    # A lost answer leaves no doubt: DingTalk drops a message that comes again under the same uuid.
    if isinstance(verdict, NoAnswer):
        return NotReached(verdict.cause, Scope.CONVERSATION, billed=verdict.billed)
    return replace(verdict, scope=Scope.CONVERSATION) if verdict.scope is Scope.APP else verdict


WEBHOOK: Final = Kind(
    kind=RecipientKind.WEBHOOK,
    id_prefix="",
    message_api=API_WEBHOOK,
    host=None,  # the address holds a token of its own
    batch=1,
    takes_files=False,
    shows_upload_name=False,
    inspectable=False,
    judge=_judge,
    send=_send,
    entries=None,
    recall=None,
    receipts=None,
)
