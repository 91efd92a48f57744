"""Who a person is."""

from __future__ import annotations

from dingwatch.dingtalk import answers
from dingwatch.dingtalk.apis import API_USER
from dingwatch.dingtalk.session import Members, Session
from dingwatch.model import NoAnswer, NotReached


class Contacts:
    """Asks the address book, which is exempt from the quota (KB:1432)."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def union_id(self, user_id: str) -> str:
        """Return the unionId of a user id (KB:0056), as the drive needs it; repeated for some seconds."""

        def once() -> Members:
            return self._session.post_legacy("/topapi/v2/user/get", API_USER, {"userid": user_id})

        answer = self._session.channel.repeat(once, NotReached, NoAnswer)
        return answers.text(answers.members(answer, "result"), "unionid")
