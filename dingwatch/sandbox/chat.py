"""The messages of all conversations, and who wants to hear of new ones."""

import secrets
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from dingwatch.sandbox.model import Conversation, Message


@dataclass(frozen=True, slots=True)
class Happened:
    """What a listener is told. `message` is None when everything was reset."""

    kind: str  # message | recall | reset
    message: Message | None = None


Listener = Callable[[Happened], None]

_PERSON = "user:"  # a one-to-one chat has no openConversationId at DingTalk; this one is the page's own


def person_chat(user_id: str) -> str:
    """The id under which the messages to one person are kept."""
    return _PERSON + user_id


class Chat:
    """All messages in the order they came. Safe for use from several threads."""

    def __init__(self, groups: tuple[Conversation, ...]) -> None:
        self._groups = {group.id: group for group in groups}
        self._lock = threading.Lock()
        self._listeners: tuple[Listener, ...] = ()
        self._number = 0
        self._clear()

    def _clear(self) -> None:
        self.epoch = secrets.token_hex(4)  # a page that saw another epoch starts afresh
        self._messages: dict[str, Message] = {}
        self._by_conversation: dict[str, list[str]] = {}
        self._uuids: set[tuple[str, str]] = set()
        self._by_key: dict[str, list[str]] = {}
        self._asked: Counter[str] = Counter()
        self._readers: dict[str, dict[str, float]] = {}  # by message id, who has read it and when

    def group(self, conversation_id: str) -> Conversation | None:
        """The group with this openConversationId."""
        return self._groups.get(conversation_id)

    def by_chat_id(self, chat_id: str) -> Conversation | None:
        """The group with this legacy chatid."""
        found = [group for group in self._groups.values() if group.chat_id and group.chat_id == chat_id]
        return found[0] if found else None

    def is_new(self, token: str, message_uuid: str) -> bool:
        """Whether a custom robot has not sent anything under this msgUuid yet."""
        return (token, message_uuid) not in self._uuids

    def remember(self, token: str, message_uuid: str) -> None:
        """A custom robot has sent something under this msgUuid."""
        self._uuids.add((token, message_uuid))

    def conversations(self) -> tuple[Conversation, ...]:
        """All groups, then the people who were written to."""
        with self._lock:
            people = [each for each in self._by_conversation if each.startswith(_PERSON)]
        return (*self._groups.values(), *(Conversation(each, each.removeprefix(_PERSON)) for each in people))

    def post(self, message: Message) -> Message:
        """Adds a message under a number of its own."""
        with self._lock:
            self._number += 1
            message = replace(message, id=f"m{self._number}")
            self._messages[message.id] = message
            self._by_conversation.setdefault(message.conversation_id, []).append(message.id)
            if message.process_query_key:
                self._by_key.setdefault(message.process_query_key, []).append(message.id)
        self._tell(Happened("message", message))
        return message

    def recall(self, process_query_key: str) -> bool:
        """Takes back what was sent under this key; False when there is nothing to take back."""
        with self._lock:
            taken = [self._messages[each] for each in self._by_key.get(process_query_key, ())]
            taken = [replace(message, recalled=True) for message in taken if not message.recalled]
            self._messages.update({message.id: message for message in taken})
        for message in taken:
            self._tell(Happened("recall", message))
        return bool(taken)

    def message(self, message_id: str) -> Message | None:
        """The message with this number."""
        return self._messages.get(message_id)

    def messages(self, conversation_id: str, limit: int | None = None) -> tuple[Message, ...]:
        """The messages of one conversation, oldest first; with a limit, the newest of them."""
        with self._lock:
            ids = self._by_conversation.get(conversation_id, [])
            return tuple(self._messages[each] for each in (ids[-limit:] if limit else ids))

    def count(self, conversation_id: str) -> int:
        """How many messages a conversation has."""
        with self._lock:
            return len(self._by_conversation.get(conversation_id, ()))

    def by_key(self, process_query_key: str) -> tuple[Message, ...]:
        """What was sent under this key."""
        with self._lock:
            return tuple(self._messages[each] for each in self._by_key.get(process_query_key, ()))

    def ask(self, process_query_key: str) -> int:
        """Counts a question about this key, and says which it is, from 1."""
        with self._lock:
            self._asked[process_query_key] += 1
            return self._asked[process_query_key]

    def read(self, conversation_id: str, user_ids: Iterable[str], at: float) -> None:
        """These people read all that is in a conversation by now."""
        with self._lock:
            for message_id in self._by_conversation.get(conversation_id, ()):
                readers = self._readers.setdefault(message_id, {})
                for user_id in user_ids:
                    readers.setdefault(user_id, at)

    def readers(self, message_id: str) -> dict[str, float]:
        """Who has read a message, and when, in that order."""
        with self._lock:
            return dict(self._readers.get(message_id, {}))

    def reset(self) -> None:
        """Forgets every message."""
        with self._lock:
            self._clear()
        self._tell(Happened("reset"))

    def listen(self, listener: Listener) -> None:
        """Calls `listener` after every change, in the thread that made it. It must not block."""
        with self._lock:
            self._listeners = (*self._listeners, listener)

    def ignore(self, listener: Listener) -> None:
        """Ends `listen`."""
        with self._lock:
            self._listeners = tuple(each for each in self._listeners if each is not listener)

    def _tell(self, happened: Happened) -> None:
        for listener in self._listeners:
            listener(happened)
