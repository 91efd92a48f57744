"""Media: files up to the media limit, which DingTalk keeps under an id that does not expire."""

from __future__ import annotations

import secrets

from dingwatch.dingtalk import answers
from dingwatch.dingtalk.apis import API_MEDIA, API_UPLOAD, MEDIA_LIMIT, Host
from dingwatch.dingtalk.channel import ACCEPT, Call
from dingwatch.dingtalk.session import Session
from dingwatch.dingtalk.transport import Sink, multipart
from dingwatch.model import NotReached


class Media:
    """Uploads and downloads media."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def upload(
        self, *, name: str, content: bytes | memoryview, kind: str = "file", renew: bool = True
    ) -> str:
        """Upload one file (KB:0646) and return its media id, verbatim.

        `name` needs an extension: DingTalk judges the type by it; `kind` is `file`, `image`, `voice` or
        `video`. Repeated once when it was not reached.

        Raises:
            Failure: TypeRefused, Rejected, Throttled, QuotaExhausted, Misconfigured, NotReached, NoAnswer.
        """

        def call(token: str) -> str:
            boundary = secrets.token_hex(16)
            # KB:0646 has the type in the form; with it there alone some clients got 40004 (API sheet 2.1).
            url = self._session.legacy_url("/media/upload", {"access_token": token, "type": kind})
            headers = {**ACCEPT, "Content-Type": f"multipart/form-data; boundary={boundary}"}
            body = multipart("media", name, content, boundary, {"type": kind})
            silence = self._session.channel.timeouts.upload
            call = Call(API_UPLOAD, "POST", url, headers, body, silence)
            return answers.text(self._session.channel.ask(Host.OAPI, call), "media_id")

        def once(token: str) -> str:
            return self._session.channel.repeat(lambda: call(token), NotReached, attempts=2)

        return self._session.with_token(Host.OAPI, once, renew=renew)

    def download(self, media_id: str, into: Sink, *, limit: int = MEDIA_LIMIT) -> int:
        """Write a media file's bytes into `into`, and return how many there were.

        The call has left today's documents; whether it still serves new apps is unverified (API sheet
        2.2). Repeated once when it was not reached. What was written before a failure stays written.

        Raises:
            Failure: NoAnswer too for a file of more than `limit` bytes, of which no more is written.
        """

        def call(token: str) -> int:
            url = self._session.legacy_url(
                "/media/downloadFile", {"access_token": token, "media_id": media_id}
            )
            call = Call(API_MEDIA, "GET", url, silence=self._session.channel.timeouts.upload)
            return self._session.channel.receive(Host.OAPI, call, into, limit=limit)

        def once(token: str) -> int:
            return self._session.channel.repeat(lambda: call(token), NotReached, attempts=2)

        return self._session.with_token(Host.OAPI, once)
