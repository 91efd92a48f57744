"""What a conversation is called."""

from __future__ import annotations

from urllib.parse import quote

from dingwatch.dingtalk import answers
from dingwatch.dingtalk.apis import API_CONVERT
from dingwatch.dingtalk.session import Session


class Conversations:
    """Asks about conversations."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def open_id(self, chat_id: str) -> str:
        """Return the openConversationId of a `chat…` id (KB:0745); repeated for some seconds.

        The group's owner must be in the app's visible range (`permession.checkFailed`, so spelt).
        """
        path = f"/v1.0/im/chat/{quote(chat_id, safe='')}/convertToOpenConversationId"
        return answers.text(self._session.ask(path, API_CONVERT, {}), "openConversationId")
