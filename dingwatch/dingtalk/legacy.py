"""Sends of before 2022 that some organisations still have; new apps are not given them (API sheet 3a, 3b).

Whether they still answer for any app is unverified. Neither is ever repeated here.
"""

from __future__ import annotations

from dataclasses import dataclass

from dingwatch.dingtalk import answers
from dingwatch.dingtalk.apis import API_CHAT, API_TO_CONVERSATION
from dingwatch.dingtalk.session import Session


@dataclass(frozen=True, slots=True)
class LegacyMessage:
    """A message of the old form (KB:0775), of at most 2,048 bytes: its type, and the members of that type."""

    kind: str
    members: tuple[tuple[str, str], ...]

    def body(self) -> dict[str, object]:
        """Return the message as it stands in a request."""
        return {"msgtype": self.kind, self.kind: dict(self.members)}


def file_message(media_id: str) -> LegacyMessage:
    """Return an uploaded file; it is shown under the name it was uploaded with."""
    return LegacyMessage("file", (("media_id", media_id),))


def image_message(media_id: str) -> LegacyMessage:
    """Return an uploaded picture, shown inline."""
    return LegacyMessage("image", (("media_id", media_id),))


def markdown_message(title: str, text: str) -> LegacyMessage:
    """Return markdown; the title stands in the list of conversations."""
    return LegacyMessage("markdown", (("title", title), ("text", text)))


class Legacy:
    """The old sends."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def send_to_chat(self, *, chat_id: str, message: LegacyMessage, renew: bool = True) -> str:
        """Send to a group by its `chat…` id (KB:1488); return the message's id.

        Raises:
            Failure: NoAnswer means that the message may have arrived; all others that it has not.
        """
        body = {"chatid": chat_id, "msg": message.body()}
        answer = self._session.post_legacy("/chat/send", API_CHAT, body, renew=renew)
        return answers.receipt(answer, "messageId")

    def send_to_conversation(
        self, *, sender: str, cid: str, message: LegacyMessage, renew: bool = True
    ) -> tuple[str, ...]:
        """Send as a person to a conversation that the person picked (KB:1490); return who received it.

        `sender` is a user id; `cid` comes from a front-end pick alone, for one use within 24 hours. Who
        does not belong to the organisation receives nothing.

        Raises:
            Failure: NoAnswer means that the message may have arrived; all others that it has not.
        """
        body = {"sender": sender, "cid": cid, "msg": message.body()}
        path = "/message/send_to_conversation"
        answer = self._session.post_legacy(path, API_TO_CONVERSATION, body, renew=renew)
        return tuple(one for one in answers.optional_text(answer, "receiver").split("|") if one)
