"""The client, which holds every family of calls. Each raises `Failure` with a verdict."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Self

from dingwatch.dingtalk.apis import API_PROBE, Host
from dingwatch.dingtalk.channel import Call, Channel
from dingwatch.dingtalk.conversations import Contacts, ConversationFiles, Conversations
from dingwatch.dingtalk.drive import Storage
from dingwatch.dingtalk.legacy import Legacy
from dingwatch.dingtalk.media import Media
from dingwatch.dingtalk.robot import GroupRobot, PersonRobot
from dingwatch.dingtalk.session import Account, Session
from dingwatch.dingtalk.transport import Timeouts
from dingwatch.dingtalk.trust import TrustStore
from dingwatch.dingtalk.webhook import Webhook, WebhookRobot
from dingwatch.model import Verdict


class Client:
    """Calls DingTalk. Safe to use from several threads; opens nothing before the first call.

    Args:
        account: the app that makes the calls.
        gate: called with the API's name right before each request; it may wait, or raise `Failure`.
        count: called with the API's name for each request.
        sleep: waits some seconds before a call that is safe to repeat is repeated.
        clock: wall-clock seconds, for the age of tokens and of idle connections.
        timeouts: of each request.
        pool: how many connections are kept for each host.
        monotonic: seconds, for how long an answer takes. Without it the wall clock counts, and setting that
            forward ends the requests in flight.
        note: called with the API's name and the verdict (None for a success) after each request.

    Attributes:
        channel: makes calls that need no token, for recipients that DingTalk knows nothing of.
        media: uploads and downloads of media.
        groups: the robot's messages to groups.
        persons: the robot's messages to persons.
        conversations: the ids of conversations.
        contacts: the ids of persons.
        legacy: sends that DingTalk gives to old apps alone.
    """

    def __init__(  # noqa: PLR0913 (each is one thing that this module must not have of its own)
        self,
        account: Account,
        *,
        gate: Callable[[str], object],
        count: Callable[[str], object],
        sleep: Callable[[int | float], None],
        clock: Callable[[], float],
        timeouts: Timeouts | None = None,
        pool: int = 8,
        monotonic: Callable[[], float] | None = None,
        note: Callable[[str, Verdict | None], object] = lambda *_: None,
    ) -> None:
        self.channel = Channel(
            gate=gate,
            count=count,
            sleep=sleep,
            clock=clock,
            timeouts=timeouts,
            pool=pool,
            monotonic=monotonic,
            note=note,
        )
        self._session = Session(account, self.channel)
        self._tokens = self._session.tokens
        self.media = Media(self._session)
        self.groups = GroupRobot(self._session)
        self.persons = PersonRobot(self._session)
        self.conversations = Conversations(self._session)
        self.contacts = Contacts(self._session)
        self.legacy = Legacy(self._session)

    def storage(self, operator: str) -> Storage:
        """Return the drive's calls; `operator` is the unionId of the person whose rights they need."""
        return Storage(self._session, operator)

    def conversation_files(self, operator: str) -> ConversationFiles:
        """Return the calls that bring entries of the drive to conversations, by an operator's unionId."""
        return ConversationFiles(self._session, operator)

    def webhook(self, webhook: Webhook) -> WebhookRobot:
        """Return a custom robot, which needs no token of the account's."""
        return WebhookRobot(self.channel, webhook)

    @property
    def trust(self) -> TrustStore:
        """Whose certificates are believed."""
        return self.channel.trust

    @property
    def clock_ahead(self) -> float | None:
        """Seconds by which this machine's clock is ahead of DingTalk's; None before the first answer."""
        return self.channel.ahead

    def close(self) -> None:
        """Close all connections."""
        self.channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- Tokens --------------------------------------------------------------------------------

    def token_fresh(self, host: Host) -> bool:
        """Return whether a call to this host needs no token call first; makes no request."""
        return self._tokens.peek(host) is not None

    def fetch_token(self, host: Host, *, force: bool = False) -> None:
        """Get a token (KB:0033, KB:1444), unless a fresh one is there; repeated for some seconds.

        Raises:
            Failure: Misconfigured for wrong credentials; NotReached, NoAnswer, Throttled.
        """
        self._tokens.renew(host, force=force)

    def probe_store(self, address: str) -> None:
        """Find out whether the drive's store can be reached: TCP, TLS and an empty request.

        `address` is a scheme and a host. It costs no billed call, and neither token nor signature goes there.

        Raises:
            Failure: NotReached.
        """
        self.channel.reach(Call(API_PROBE, "HEAD", f"{address}/"))

    def robots(self, conversation_id: str) -> tuple[str, ...]:
        """Return the codes of the robots in a group: `groups.robots`, under the name that scripts know."""
        return self.groups.robots(conversation_id)
