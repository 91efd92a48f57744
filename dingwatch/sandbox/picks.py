"""Conversations that a person picked in the client: ids for one legacy message each (KB:1490)."""

import secrets
import threading
from dataclasses import dataclass

from dingwatch.sandbox.answers import Refusal

_LIFE = 24 * 3600  # seconds


@dataclass(frozen=True, slots=True)
class _Pick:
    conversation_id: str
    user_id: str
    end: float


class Picks:
    """Ids given out by the front end. Safe for use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._picks: dict[str, _Pick] = {}

    def add(self, conversation_id: str, user_id: str, now: float) -> str:
        """The cid that this person's client hands to the app."""
        cid = secrets.token_hex(16)
        with self._lock:
            self._picks[cid] = _Pick(conversation_id, user_id, now + _LIFE)
        return cid

    def take(self, cid: object, user_id: str, now: float) -> str:
        """The conversation of a cid, which is used up by this.

        Raises:
            Refusal: 40016.
        """
        with self._lock:
            pick = self._picks.get(cid) if isinstance(cid, str) else None
            if pick is None or pick.user_id != user_id or pick.end <= now:
                raise Refusal(40016, "不合法的会话id")
            del self._picks[str(cid)]
            return pick.conversation_id

    def reset(self) -> None:
        """Forgets all of them."""
        with self._lock:
            self._picks.clear()
