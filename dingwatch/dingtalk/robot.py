"""The enterprise robot in groups: send, ask after, take back, and who is in a group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dingwatch.dingtalk import answers
from dingwatch.dingtalk.apis import API_QUERY, API_RECALL, API_ROBOTS, API_SEND
from dingwatch.dingtalk.messages import RobotMessage
from dingwatch.dingtalk.session import Session

_PATH = "/v1.0/robot/groupMessages"


@dataclass(frozen=True, slots=True)
class Delivered:
    """What became of a message: `SUCCESS`, `RECALLED` or `PROCESSING`, and who read it (KB:0722)."""

    status: str
    read_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Recalled:
    """The keys of messages that were taken back, and of those that were not, with DingTalk's reason."""

    done: tuple[str, ...]
    failed: Mapping[str, str]


class GroupRobot:
    """The robot in groups of its own organisation."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def send(self, *, conversation_id: str, message: RobotMessage, renew: bool = True) -> str:
        """Send a message to a group (KB:0716); return its processQueryKey.

        Never repeated here: no field makes a second send harmless. With `renew=False` no token is fetched
        either; when none is fresh, or it is refused, that is a TokenRejected.

        Raises:
            Failure: NoAnswer means that the message may have arrived; all others that it has not.
        """
        body = {**self._addressed(conversation_id), **message.body()}
        answer = self._session.post(f"{_PATH}/send", API_SEND, body, renew=renew)
        return answers.text(answer, "processQueryKey")

    def delivered(self, *, conversation_id: str, process_query_key: str) -> Delivered:
        """Ask what became of a message (KB:0722); repeated for some seconds."""
        asked = {"processQueryKey": process_query_key, "maxResults": 200}
        answer = self._session.ask(f"{_PATH}/query", API_QUERY, self._addressed(conversation_id) | asked)
        return Delivered(answers.text(answer, "sendStatus"), answers.texts(answer, "readUserIds"))

    def recall(self, *, conversation_id: str, process_query_keys: Sequence[str]) -> Recalled:
        """Take messages back, at most 20 (KB:0725). Not repeated: a person asked, and can do so again."""
        asked = {"processQueryKeys": list(process_query_keys)}
        answer = self._session.post(f"{_PATH}/recall", API_RECALL, self._addressed(conversation_id) | asked)
        return recalled(answer)

    def robots(self, conversation_id: str) -> tuple[str, ...]:
        """Return the codes of the robots in a group (KB:0726); repeated for some seconds."""
        body = {"openConversationId": conversation_id}
        answer = self._session.ask("/v1.0/robot/groups/robots/query", API_ROBOTS, body)
        listed = answer.get("chatbotInstanceVOList") or ()
        return tuple(str(one.get("robotCode")) for one in listed if isinstance(one, dict))

    def _addressed(self, conversation_id: str) -> dict[str, object]:
        return {"robotCode": self._session.account.robot_code, "openConversationId": conversation_id}


def recalled(answer: Mapping[str, object]) -> Recalled:
    """Read the answer to a recall (KB:0723, KB:0725)."""
    return Recalled(answers.texts(answer, "successResult"), answers.pairs(answer, "failedResult"))
