"""Media to a conversation in a few lines, for scripts without the service.

With an app's `account = Account("dingxxxx", "…", "dingxxxx")`, whose robot is in the group:

    >>> from dingwatch.dingtalk import connect, get_media, send_to_group, upload_media
    >>> import time
    >>> with connect(account, time) as client:
    ...     media_id = upload_media(client, "报告.pdf")
    ...     key = send_to_group(client, "cid6KeBBLoveMJOGXoYKF5x7EeiodoA==", media_id, "报告.pdf")
    ...     size = get_media(client, media_id, "copy.pdf")

Each function raises `dingwatch.model.Failure`; its `verdict` says what went wrong, and what a person can
do. After a send, a `NoAnswer` means that the message may have arrived. Nothing here keeps a pace or counts
calls: the organisation's month has 5,000 of them, and each of these costs one.
"""

from __future__ import annotations

import os
from typing import Protocol

from dingwatch.dingtalk.apis import MEDIA_LIMIT
from dingwatch.dingtalk.client import Client
from dingwatch.dingtalk.legacy import file_message
from dingwatch.dingtalk.robot import SampleFile
from dingwatch.dingtalk.session import Account
from dingwatch.model import Cause, Failure, Rejected

Path = str | os.PathLike[str]


class Clocks(Protocol):
    """Clocks and a way to wait; the module `time` has them."""

    def time(self) -> float:
        """Return wall-clock seconds."""

    def monotonic(self) -> float:
        """Return seconds that are never set back."""

    def sleep(self, seconds: float, /) -> None:
        """Wait."""


def connect(account: Account, time: Clocks) -> Client:
    """Return a client without pace and meter, which has opened nothing yet; close it, or use it in `with`."""
    return Client(
        account,
        gate=_nothing,
        count=_nothing,
        sleep=time.sleep,
        clock=time.time,
        monotonic=time.monotonic,
    )


def upload_media(client: Client, path: Path, name: str | None = None) -> str:
    """Upload a file of at most 20 MiB (KB:0646) and return its media id, which does not expire.

    `name`, by default the file's own, needs an extension: DingTalk judges the type by it.

    Raises:
        Failure: also Rejected for a file that is empty or too big, before anything is asked.
        OSError: when the file cannot be read.
    """
    with open(path, "rb") as file:
        content = file.read(MEDIA_LIMIT + 1)
    if not content:
        raise Failure(Rejected(Cause("empty", "", "EMPTY")))
    if len(content) > MEDIA_LIMIT:
        raise Failure(Rejected(Cause("too_big", "", "TOO_BIG")))
    return client.media.upload(name=name or os.path.basename(path), content=content)


def get_media(client: Client, media_id: str, path: Path) -> int:
    """Get an uploaded file's bytes back into a new file; return how many there are.

    Whether the call still serves new apps is unverified. After a failure no file is left.

    Raises:
        Failure: as `Media.download` does.
        OSError: when the file is there already, or cannot be written.
    """
    with open(path, "xb") as file:
        try:
            return client.media.download(media_id, file)
        except BaseException:
            os.unlink(path)
            raise


def send_to_group(client: Client, conversation_id: str, media_id: str, name: str) -> str:
    """Send an uploaded file to a group (KB:0716) under a name; return the key that can take it back.

    `conversation_id` is an openConversationId (`cid…`); the app's robot must be in the group.
    """
    kind = os.path.splitext(name)[1].removeprefix(".").lower()
    message = SampleFile(media_id, name, kind)
    return client.groups.send(conversation_id=conversation_id, message=message)


def send_to_conversation(client: Client, sender: str, cid: str, media_id: str) -> tuple[str, ...]:
    """Send an uploaded file by the legacy `message/send_to_conversation` (KB:1490); return who got it.

    Historical since 2022, and not for new apps. `sender` is a user id, and `cid` no conversation id but
    what a front-end pick returned, for one use within 24 hours.
    """
    return client.legacy.send_to_conversation(sender=sender, cid=cid, message=file_message(media_id))


def _nothing(_api: str) -> None:
    """Let every call pass, and count none."""
