"""Ids of conversations and persons, and entries of the drive that are sent to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from dingwatch.dingtalk import answers
from dingwatch.dingtalk.apis import (
    API_CONVERSATION_SPACE,
    API_CONVERT,
    API_SEND_ENTRY,
    API_SEND_ENTRY_TO,
    API_USER,
)
from dingwatch.dingtalk.session import Members, Session
from dingwatch.model import NoAnswer, NotReached


class Conversations:
    """Looks up the ids of conversations."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def open_id(self, chat_id: str) -> str:
        """Return the openConversationId of a `chat…` id (KB:0745); repeated for some seconds.

        The group's owner must be in the app's visible range, or DingTalk refuses (`permession.checkFailed`,
        spelt like this).
        """
        path = f"/v1.0/im/chat/{quote(chat_id, safe='')}/convertToOpenConversationId"
        return answers.text(self._session.ask(path, API_CONVERT, {}), "openConversationId")


class Contacts:
    """Looks up the ids of persons in the address book, whose calls are free (KB:1432)."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def union_id(self, user_id: str) -> str:
        """Return the unionId of a user id (KB:0056), as the drive needs it; repeated for some seconds."""
        return answers.text(self._user(user_id), "unionid")

    def name(self, user_id: str) -> str:
        """Return a person's name by the user id (KB:0056); repeated for some seconds."""
        return answers.label(self._user(user_id), "name")

    def _user(self, user_id: str) -> Members:
        def once() -> Members:
            return self._session.post_legacy("/topapi/v2/user/get", API_USER, {"userid": user_id})

        return answers.members(self._session.channel.repeat(once, NotReached, NoAnswer), "result")


_PATH = "/v1.0/convFile"


@dataclass(frozen=True, slots=True)
class SentEntry:
    """A conversation's copy of an entry: its space and id there, and its name.

    Each is empty if DingTalk's is unusable.
    """

    id: str
    space_id: str
    conversation_id: str
    name: str


class ConversationFiles:
    """Sends entries with the rights of one operator (a unionId), who must be a member of the group."""

    def __init__(self, session: Session, operator: str) -> None:
        self._session = session
        self._as_operator = {"unionId": operator}

    def space(self, conversation_id: str) -> str:
        """Return the id of a group's own space (KB:0640); repeated for some seconds."""
        body = {"openConversationId": conversation_id}
        path = f"{_PATH}/conversations/spaces/query"
        answer = self._session.ask(path, API_CONVERSATION_SPACE, body, self._as_operator)
        return answers.text(answers.members(answer, "space"), "spaceId")

    def send(self, *, conversation_id: str, space_id: str, entry_id: str, renew: bool = True) -> SentEntry:
        """Send a copy of an entry to a group (KB:0642).

        Never repeated here: no field makes a second send harmless. With `renew=False` no token is fetched
        either. Who is shown as the sender is unverified; presumably the operator.

        Raises:
            Failure: NoAnswer means that the file may have arrived; all others that it has not.
        """
        path = f"{_PATH}/conversations/files/send"
        body = {"spaceId": space_id, "dentryId": entry_id, "openConversationId": conversation_id}
        return _parse_sent(self._session.post(path, API_SEND_ENTRY, body, self._as_operator, renew=renew))

    def send_to_person(self, *, union_id: str, space_id: str, entry_id: str, renew: bool = True) -> SentEntry:
        """Send a copy to one person as the app, not as the operator (KB:0641); else as `send`."""
        path = f"{_PATH}/apps/conversations/files/send"
        body = {"spaceId": space_id, "dentryId": entry_id}
        answer = self._session.post(path, API_SEND_ENTRY_TO, body, {"unionId": union_id}, renew=renew)
        return _parse_sent(answer)


def _parse_sent(answer: Mapping[str, object]) -> SentEntry:
    file = answers.members(answer, "file")
    return SentEntry(
        answers.receipt(file, "id"),
        answers.optional_text(file, "spaceId"),
        answers.optional_text(file, "conversationId"),
        answers.label(file, "name"),
    )
