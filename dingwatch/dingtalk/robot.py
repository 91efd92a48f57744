"""The enterprise robot: sends messages to groups and persons, asks who has read them, recalls them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final

from dingwatch.dingtalk import answers
from dingwatch.dingtalk.apis import (
    API_QUERY,
    API_READ_STATUS,
    API_RECALL,
    API_RECALL_PERSONS,
    API_ROBOTS,
    API_SEND,
    API_SEND_PERSONS,
)
from dingwatch.dingtalk.session import Session


@dataclass(frozen=True, slots=True)
class RobotMessage:
    """A message template and its parameters, of at most 15,000 bytes (KB:0716)."""

    key: ClassVar[str]

    def parameters(self) -> Mapping[str, str]:
        """Return the template's parameters."""
        raise NotImplementedError

    def body(self) -> Mapping[str, object]:
        """Return the members of a request that carry the message."""
        return {"msgKey": self.key, "msgParam": json.dumps(self.parameters(), ensure_ascii=False)}


@dataclass(frozen=True, slots=True)
class SampleFile(RobotMessage):
    """An uploaded file; `file_name` is what is shown, `file_type` its extension without a dot."""

    key = "sampleFile"
    media_id: str
    file_name: str
    file_type: str

    def parameters(self) -> Mapping[str, str]:
        """Return mediaId, fileName and fileType."""
        return {"mediaId": self.media_id, "fileName": self.file_name, "fileType": self.file_type}


@dataclass(frozen=True, slots=True)
class SampleMarkdown(RobotMessage):
    """Markdown; the title stands in the list of conversations, not in the message."""

    key = "sampleMarkdown"
    title: str
    text: str

    def parameters(self) -> Mapping[str, str]:
        """Return title and text."""
        return {"title": self.title, "text": self.text}


@dataclass(frozen=True, slots=True)
class SampleImage(RobotMessage):
    """A picture, shown inline: an address, or a media id as others use it in production (API sheet 3c)."""

    key = "sampleImageMsg"
    photo: str

    def parameters(self) -> Mapping[str, str]:
        """Return photoURL."""
        return {"photoURL": self.photo}


_PATH = "/v1.0/robot/groupMessages"


@dataclass(frozen=True, slots=True)
class ReadStatus:
    """A message's status, `SUCCESS`, `RECALLED` or `PROCESSING`, and who has read it, by user ids.

    `unread_by` is None for groups, of which DingTalk lists the readers alone (KB:0722).
    """

    status: str
    read_by: tuple[str, ...]
    unread_by: tuple[str, ...] | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    """Names by user ids: DingTalk gives those of persons (KB:0720), and none of a group's readers."""
    next_page: str = ""
    """Names the next page of readers; empty after the last."""


@dataclass(frozen=True, slots=True)
class Recalled:
    """The keys of recalled messages, and those of the others with DingTalk's reasons."""

    done: tuple[str, ...]
    failed: Mapping[str, str]


class GroupRobot:
    """The robot in groups of its own organisation."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def send(self, *, conversation_id: str, message: RobotMessage, renew: bool = True) -> str:
        """Send a message to a group (KB:0716); return its processQueryKey, empty if DingTalk's is unusable.

        Never repeated: DingTalk has no field that makes a second send harmless. With `renew=False` no token
        is fetched either: if none is fresh, or DingTalk refuses it, that is a TokenRejected.

        Raises:
            Failure: NoAnswer means that the message may have arrived; all others that it has not.
        """
        body = {**self._address(conversation_id), **message.body()}
        answer = self._session.post(f"{_PATH}/send", API_SEND, body, renew=renew)
        return answers.receipt(answer, "processQueryKey")

    def read_status(
        self, *, conversation_id: str, process_query_key: str, page: str = "", patient: bool = True
    ) -> ReadStatus:
        """Return a message's status and its first 200 readers, or those of a `page` (KB:0722).

        Repeated for some seconds; if `patient`, also while DingTalk has no data yet, each time for another
        billed call. How long after the send a group's message can be asked about is unverified.
        """
        asked = {"processQueryKey": process_query_key, "maxResults": 200}
        body = self._address(conversation_id) | asked | ({"nextToken": page} if page else {})

        def ask() -> Mapping[str, object]:
            return self._session.ask(f"{_PATH}/query", API_QUERY, body)

        answer = self._session.ask_after(ask) if patient else ask()
        status, readers = answers.text(answer, "sendStatus"), answers.texts(answer, "readUserIds")
        more = answers.optional_text(answer, "nextToken") if answer.get("hasMore") is True else ""
        return ReadStatus(status, readers, next_page=more)

    def recall(self, *, conversation_id: str, process_query_keys: Sequence[str]) -> Recalled:
        """Recall at most 20 messages (KB:0725). Not repeated: whoever asked for it can ask again."""
        asked = {"processQueryKeys": list(process_query_keys)}
        answer = self._session.post(f"{_PATH}/recall", API_RECALL, self._address(conversation_id) | asked)
        return _parse_recall(answer)

    def robots(self, conversation_id: str) -> tuple[str, ...]:
        """Return the codes of the robots in a group (KB:0726); repeated for some seconds."""
        body = {"openConversationId": conversation_id}
        answer = self._session.ask("/v1.0/robot/groups/robots/query", API_ROBOTS, body)
        listed = answers.objects(answer, "chatbotInstanceVOList")
        return tuple(code for one in listed if (code := answers.optional_text(one, "robotCode")))

    def _address(self, conversation_id: str) -> dict[str, object]:
        return {"robotCode": self._session.account.robot_code, "openConversationId": conversation_id}


def _parse_recall(answer: Mapping[str, object]) -> Recalled:
    """Read the answer to a recall (KB:0723, KB:0725)."""
    return Recalled(answers.texts(answer, "successResult"), answers.labels(answer, "failedResult"))


MOST_PERSONS: Final = 20
"""User ids in one send (KB:0714; the text of its error says 100)."""


@dataclass(frozen=True, slots=True)
class SentToPersons:
    """Whom a send reached: DingTalk answers 200 even if it reached nobody (KB:0714).

    `process_query_key` is empty if nobody was reached. Those `flow_controlled` may be tried again later;
    only the SDK knows `filtered`, and its meaning is unverified.
    """

    process_query_key: str
    reached: tuple[str, ...]
    invalid: tuple[str, ...]
    flow_controlled: tuple[str, ...]
    filtered: tuple[str, ...]


class PersonRobot:
    """The robot to persons of its own organisation, by their user ids."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def send(self, *, user_ids: Sequence[str], message: RobotMessage, renew: bool = True) -> SentToPersons:
        """Send a message to at most 20 persons (KB:0714).

        Never repeated: DingTalk has no field that makes a second send harmless. With `renew=False` no token
        is fetched either.

        Raises:
            ValueError: for nobody, or more than 20.
            Failure: NoAnswer means that it may have arrived at some; all others that it has not.
        """
        if not 1 <= len(user_ids) <= MOST_PERSONS:
            raise ValueError(f"{len(user_ids)} recipients at once")
        body = {**self._robot(), "userIds": list(user_ids), **message.body()}
        path = "/v1.0/robot/oToMessages/batchSend"
        return _parse_sent(user_ids, self._session.post(path, API_SEND_PERSONS, body, renew=renew))

    def read_status(self, process_query_key: str, *, patient: bool = True) -> ReadStatus:
        """Return a message's status and readers within 24 hours (KB:0720); repeated as that of a group is."""
        query = {**self._robot(), "processQueryKey": process_query_key}

        def ask() -> Mapping[str, object]:
            return self._session.get("/v1.0/robot/oToMessages/readStatus", API_READ_STATUS, query)

        answer = self._session.ask_after(ask) if patient else ask()
        listed = answers.objects(answer, "messageReadInfoList")
        named = ((answers.optional_text(one, "userId"), answers.label(one, "name")) for one in listed)
        names = {person: name for person, name in named if person and name}
        persons = [(answers.optional_text(one, "userId"), one.get("readStatus") == "READ") for one in listed]
        read = tuple(person for person, has_read in persons if person and has_read)
        unread = tuple(person for person, has_read in persons if person and not has_read)
        # The document's own example is misspelt: "SUCESS".
        status = answers.text(answer, "sendStatus").replace("SUCESS", "SUCCESS")
        return ReadStatus(status, read, unread, names)

    def recall(self, process_query_keys: Sequence[str]) -> Recalled:
        """Recall at most 20 messages within 24 hours (KB:0723). Not repeated."""
        body = {**self._robot(), "processQueryKeys": list(process_query_keys)}
        answer = self._session.post("/v1.0/robot/otoMessages/batchRecall", API_RECALL_PERSONS, body)
        return _parse_recall(answer)

    def _robot(self) -> dict[str, str]:
        return {"robotCode": self._session.account.robot_code}


def _parse_sent(user_ids: Sequence[str], answer: Mapping[str, object]) -> SentToPersons:
    invalid = answers.texts(answer, "invalidStaffIdList")
    controlled = answers.texts(answer, "flowControlledStaffIdList")
    filtered = answers.texts(answer, "filteredStaffIdList")
    left_out = {*invalid, *controlled, *filtered}
    reached = tuple(one for one in user_ids if one not in left_out)
    # If nobody was reached, DingTalk may leave out the key (unverified); else the answer must have one.
    read_key = answers.receipt if reached else answers.optional_text
    return SentToPersons(read_key(answer, "processQueryKey"), reached, invalid, controlled, filtered)
