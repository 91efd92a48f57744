"""The enterprise robot to persons, each in a conversation of its own with the robot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from dingwatch.dingtalk import answers
from dingwatch.dingtalk.apis import API_READ_STATUS, API_RECALL_PERSONS, API_SEND_PERSONS
from dingwatch.dingtalk.messages import RobotMessage
from dingwatch.dingtalk.robot import Recalled, recalled
from dingwatch.dingtalk.session import Session

MOST_PERSONS: Final = 20
"""User ids in one send (KB:0714; the text of its error says 100)."""


@dataclass(frozen=True, slots=True)
class SentToPersons:
    """What became of a send, for each recipient: DingTalk says 200 even when it reached nobody (KB:0714).

    `process_query_key` is empty when nobody was reached. Those `flow_controlled` may be tried again
    later; `filtered` is known to the SDK alone, and what it means is unverified.
    """

    process_query_key: str
    reached: tuple[str, ...]
    invalid: tuple[str, ...]
    flow_controlled: tuple[str, ...]
    filtered: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReadStatus:
    """What became of a message: `SUCCESS`, `RECALLED` or `PROCESSING`, and who has read it (KB:0720)."""

    status: str
    read_by: tuple[str, ...]
    unread_by: tuple[str, ...]


class PersonRobot:
    """The robot to persons of its own organisation, by their user ids."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def send(self, *, user_ids: Sequence[str], message: RobotMessage, renew: bool = True) -> SentToPersons:
        """Send a message to at most 20 persons (KB:0714).

        Never repeated here: no field makes a second send harmless. With `renew=False` no token is fetched
        either.

        Raises:
            ValueError: for nobody, or more than 20.
            Failure: NoAnswer means that it may have arrived at some; all others that it has not.
        """
        if not 1 <= len(user_ids) <= MOST_PERSONS:
            raise ValueError(f"{len(user_ids)} recipients at once")
        body = {**self._robot(), "userIds": list(user_ids), **message.body()}
        path = "/v1.0/robot/oToMessages/batchSend"
        return _sent(user_ids, self._session.post(path, API_SEND_PERSONS, body, renew=renew))

    def read_status(self, process_query_key: str) -> ReadStatus:
        """Ask what became of a message within 24 hours (KB:0720); repeated for some seconds."""
        query = {**self._robot(), "processQueryKey": process_query_key}
        answer = self._session.get("/v1.0/robot/oToMessages/readStatus", API_READ_STATUS, query)
        listed = answer.get("messageReadInfoList")
        persons = [one for one in (listed if isinstance(listed, list) else ()) if isinstance(one, dict)]
        read = tuple(str(one.get("userId")) for one in persons if one.get("readStatus") == "READ")
        unread = tuple(str(one.get("userId")) for one in persons if one.get("readStatus") != "READ")
        # The document's own example is misspelt: "SUCESS".
        status = answers.text(answer, "sendStatus").replace("SUCESS", "SUCCESS")
        return ReadStatus(status, read, unread)

    def recall(self, process_query_keys: Sequence[str]) -> Recalled:
        """Take messages back, at most 20 and within 24 hours (KB:0723). Not repeated."""
        body = {**self._robot(), "processQueryKeys": list(process_query_keys)}
        answer = self._session.post("/v1.0/robot/otoMessages/batchRecall", API_RECALL_PERSONS, body)
        return recalled(answer)

    def _robot(self) -> dict[str, str]:
        return {"robotCode": self._session.account.robot_code}


def _sent(user_ids: Sequence[str], answer: Mapping[str, object]) -> SentToPersons:
    invalid = answers.texts(answer, "invalidStaffIdList")
    controlled = answers.texts(answer, "flowControlledStaffIdList")
    filtered = answers.texts(answer, "filteredStaffIdList")
    left_out = {*invalid, *controlled, *filtered}
    reached = tuple(one for one in user_ids if one not in left_out)
    # Whether a key comes when nobody was reached is unverified; for those who were there must be one.
    key = answers.text(answer, "processQueryKey") if reached else str(answer.get("processQueryKey") or "")
    return SentToPersons(key, reached, invalid, controlled, filtered)
