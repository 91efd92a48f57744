"""A simulated DingTalk: takes uploads and messages, fails before or after the effect, and remembers all."""

from __future__ import annotations

import io
import zipfile
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final, Self

from dingwatch.delivery import Job, Send, SendCaption, Upload
from dingwatch.delivery.jobs import Question
from dingwatch.dingtalk import Host, RobotMessage, SampleFile, SampleMarkdown
from dingwatch.ledger.delivery import Delivery
from dingwatch.model import (
    Cause,
    Failure,
    MediaLost,
    Misconfigured,
    NoAnswer,
    NotReached,
    Rejected,
    Scope,
    Throttled,
    TokenRejected,
    TypeRefused,
    Verdict,
)
from tests.simulation.disk import digest_of


def _cause(code: str) -> Cause:
    return Cause(code, "", "UNKNOWN_CODE")


UNREACHED: Final = NotReached(_cause("unreachable"), Scope.APP)
_TOKEN: Final = TokenRejected(_cause("40014"), Scope.APP)
_EVERYWHERE: Final[tuple[Verdict, ...]] = (
    UNREACHED,
    NoAnswer(_cause("no_answer"), Scope.API),
    NoAnswer(_cause("no_answer"), Scope.API),
    NoAnswer(_cause("gate_page"), Scope.APP),
    Throttled(_cause("90018"), Scope.API, 1.0),
    Throttled(_cause("45009"), Scope.APP, 20.0),
    _TOKEN,
    Rejected(_cause("40006")),
)
UPLOAD_FAULTS: Final = (*_EVERYWHERE, Misconfigured(_cause("60011"), Scope.API))
SEND_FAULTS: Final = (
    *_EVERYWHERE,
    NoAnswer(_cause("34015"), Scope.CONVERSATION),
    Throttled(_cause("send.too.fast"), Scope.CONVERSATION, 3.0),
    Throttled(_cause("operationConcurrentControl"), Scope.ROW, 5.0),
    Misconfigured(_cause("resource.not.found"), Scope.CONVERSATION),
    MediaLost(_cause("miss.param.file")),
)
TOKEN_FAULTS: Final = (
    UNREACHED,
    NoAnswer(_cause("no_answer"), Scope.API),
    Throttled(_cause("90018"), Scope.API, 2.0),
    Misconfigured(_cause("40089"), Scope.APP),
)


@dataclass(frozen=True)
class Receipt:
    """A message that arrived: by which delivery, as it stood when its send was claimed, and what it holds."""

    at: float
    row: Delivery
    digest: str


class Chat:
    """DingTalk, in the place of `dingtalk.Client`. `job` is what is being carried out."""

    def __init__(self, rng: Random, monotonic: Callable[[], float], refused: frozenset[str]) -> None:
        self.rate = 0.0
        self.out = False
        self.stopping = False
        self.job: Job | None = None
        self.fresh = dict.fromkeys(Host, True)
        self.received: list[Receipt] = []
        self.lines: Counter[int] = Counter()
        """By delivery: how often the line before its file arrived."""
        self.uploads: Counter[str] = Counter()
        self.lost: set[str] = set()
        self.faults: defaultdict[int, list[str]] = defaultdict(list)
        """By delivery: what was answered instead of a success, or never answered."""
        self.wasted: Counter[str] = Counter()
        """By content: uploads and media ids that were lost."""
        self._rng = rng
        self._monotonic = monotonic
        self._refused = refused
        self._media: dict[str, tuple[list[str], str]] = {}
        """By media id: the digests of the files in it, and the upload's key."""

    # --- What a client does ----------------------------------------------------------------------

    def token_fresh(self, host: Host) -> bool:
        """Return whether a call needs no token call first."""
        return self.fresh[host]

    def fetch_token(self, host: Host, *, force: bool = False) -> None:
        """Get a token."""
        if force or not self.fresh[host]:
            self._fail(TOKEN_FAULTS)
            self.fresh[host] = True

    @property
    def media(self) -> Self:
        """Where files are uploaded."""
        return self

    @property
    def groups(self) -> Self:
        """Where messages are sent."""
        return self

    def upload(
        self, *, name: str, content: bytes | memoryview, kind: str = "file", renew: bool = True
    ) -> str:
        """Take a file; return its media id."""
        assert kind == "file"
        self._token(Host.OAPI, renew=renew)
        job = self.job
        assert isinstance(job, Upload)
        if name.rpartition(".")[2] in self._refused:
            raise Failure(TypeRefused(_cause("40005")))
        answer = self._fails(UPLOAD_FAULTS)
        if answer is None or (isinstance(answer, NoAnswer) and self._rng.random() < 0.5):
            self.uploads[job.payload.key.id] += 1
            media = f"@{len(self._media)}"
            digests = [digest_of(one) for one in _unpacked(bytes(content))]
            self._media[media] = (digests, job.payload.key.id)
        if answer is not None:
            raise Failure(answer)
        return media

    def send(self, *, conversation_id: str, message: RobotMessage, renew: bool = True) -> str:
        """Take a message; return its key."""
        if isinstance(message, SampleMarkdown):
            return self._take_line(conversation_id, renew=renew)
        assert isinstance(message, SampleFile)
        media_id, file_name, file_type = message.media_id, message.file_name, message.file_type
        self._token(Host.API, renew=renew)
        job = self.job
        assert isinstance(job, Send)
        assert (job.row.recipient, file_name) == (conversation_id, job.payload.name)
        assert file_name.lower().endswith(f".{file_type}")
        answer = self._fails(SEND_FAULTS)
        if isinstance(answer, MediaLost):
            self.lose(media_id)
        if media_id in self.lost:
            raise Failure(MediaLost(_cause("miss.param.file")))
        if answer is None or (isinstance(answer, NoAnswer) and self._rng.random() < 0.5):
            digests, _ = self._media[media_id]
            for row, digest in zip(job.rows, digests, strict=True):
                self.received.append(Receipt(self._monotonic(), row, digest))
        if answer is not None:
            raise Failure(answer)
        return f"key{len(self.received)}"

    def _take_line(self, conversation_id: str, *, renew: bool) -> str:
        self._token(Host.API, renew=renew)
        job = self.job
        assert isinstance(job, SendCaption)
        assert job.row.recipient == conversation_id
        answer = self._fails(tuple(fault for fault in SEND_FAULTS if not isinstance(fault, MediaLost)))
        if answer is None or (isinstance(answer, NoAnswer) and self._rng.random() < 0.5):
            self.lines[job.row.id] += 1
        if answer is not None:
            raise Failure(answer)
        return f"line{self.lines.total()}"

    def _token(self, host: Host, *, renew: bool) -> None:
        assert not renew or host is Host.OAPI
        if self.stopping:
            raise Failure(NotReached(_cause("stopped")))
        if not self.fresh[host] and renew:
            self.fresh[host] = True
        if not self.fresh[host]:
            raise Failure(_TOKEN)

    def _fail(self, faults: tuple[Verdict, ...]) -> None:
        answer = self._fails(faults)
        if answer is not None:
            raise Failure(answer)

    def _fails(self, faults: tuple[Verdict, ...]) -> Verdict | None:
        if self.out:
            return UNREACHED
        if self._rng.random() >= self.rate:
            return None
        answer = self._rng.choice(faults)
        if isinstance(answer, TokenRejected):
            self.fresh[Host.API if isinstance(self.job, Send | SendCaption) else Host.OAPI] = False
        return answer

    # --- What the story does ------------------------------------------------------------------------

    def lose(self, media_id: str | None = None) -> None:
        """Forget a file."""
        media_id = media_id or (self._rng.choice(list(self._media)) if self._media else None)
        if media_id is not None and media_id not in self.lost:
            self.lost.add(media_id)
            self.wasted[self._media[media_id][1]] += 1

    def note(self, job: Job, result: object) -> None:
        """Remember what an answer was that is no success, or that it was never heard (None)."""
        if isinstance(job, Question | SendCaption) or not (result is None or isinstance(result, Verdict)):
            return
        name = type(result).__name__ if result is not None else "dropped"
        if isinstance(job, Upload):
            self.wasted[job.payload.key.id] += 1
        for row in job.rows:
            self.faults[row.id].append(name)


def _unpacked(content: bytes) -> list[bytes]:
    """Return the files that an archive was made of, in its order."""
    if not content.startswith(b"PK"):
        return [content]
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return [archive.read(name) for name in archive.namelist()]
