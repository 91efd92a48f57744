"""What the delivery loop asks to have done, and what comes back: frozen values both ways."""

from __future__ import annotations

from dataclasses import dataclass

from dingwatch.dingtalk import Host
from dingwatch.ledger.outbox import Delivery
from dingwatch.model import Verdict
from dingwatch.policy import Dress


@dataclass(frozen=True, slots=True)
class Upload:
    """Read one file, whole, and upload it; `rows` are all deliveries that wait for this content."""

    rows: tuple[Delivery, ...]
    dress: Dress

    @property
    def source(self) -> Delivery:
        """The row whose file is read."""
        return self.rows[0]


@dataclass(frozen=True, slots=True)
class Send:
    """Send one uploaded file to one conversation."""

    row: Delivery
    media_id: str
    dress: Dress


@dataclass(frozen=True, slots=True)
class FetchToken:
    """Get a token; `force` asks DingTalk even when one is cached (the probe after an outage)."""

    host: Host
    force: bool = False


Job = Upload | Send | FetchToken


@dataclass(frozen=True, slots=True)
class UploadDone:
    """DingTalk has the content."""

    media_id: str


@dataclass(frozen=True, slots=True)
class SendDone:
    """DingTalk took the message."""

    process_query_key: str


@dataclass(frozen=True, slots=True)
class Done:
    """It worked, and there is nothing more to say."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a job."""

    job: Job
    result: UploadDone | SendDone | Done | Verdict
