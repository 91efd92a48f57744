"""Temporary addresses of the storage host: signed headers, as Alibaba's object storage signs them.

The strictness is the original's (KB:0680): the signature covers the method, Content-MD5, Content-Type, every
`x-oss-` header and the address, so that a Content-Type that was not signed ends in SignatureDoesNotMatch.
"""

import base64
import hashlib
import hmac
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime

from dingwatch.sandbox.answers import Refusal

_ACCESS_ID = "STS.sandbox"


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """What a signature covers.

    Attributes:
        method: PUT or GET.
        path: with the query, as it stands in the request line.
        headers: all headers of the request, names in lower case.
    """

    method: str
    path: str
    headers: Mapping[str, str]

    @property
    def text(self) -> str:
        """The string to sign."""
        plain = [self.headers.get(name, "") for name in ("content-md5", "content-type", "date")]
        own = [f"{name}:{self.headers[name]}" for name in sorted(self.headers) if name.startswith("x-oss-")]
        return "\n".join([self.method, *plain, *own, self.path])


class Signer:
    """Signs addresses, and judges requests that came with a signature. Safe for use from several threads."""

    def __init__(self, seconds: int) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        # The last one signs; the others are those of ended addresses.
        self._keys: tuple[bytes, ...] = (secrets.token_bytes(32),)

    @property
    def seconds(self) -> int:
        """How long an address lives: expirationSeconds."""
        return self._seconds

    def headers(self, method: str, path: str, now: float) -> dict[str, str]:
        """The headers with which one request may be made until `seconds` from now."""
        date = formatdate(now, usegmt=True)
        text = SignedRequest(method, path, {"x-oss-date": date}).text
        return {"Authorization": _authorization(self._keys[-1], text), "x-oss-date": date}

    def check(self, request: SignedRequest, now: float) -> None:
        """Lets a request pass.

        Raises:
            Refusal: 403 AccessDenied, SignatureDoesNotMatch or RequestTimeTooSkewed.
        """
        given = request.headers.get("authorization")
        if not given:
            raise Refusal("AccessDenied", "You have no right to access this object.", status=403)
        known = [hmac.compare_digest(given, _authorization(key, request.text)) for key in self._keys]
        if not any(known):
            message = "The request signature we calculated does not match the signature you provided."
            raise Refusal("SignatureDoesNotMatch", message, status=403)
        issued = parsedate_to_datetime(request.headers["x-oss-date"]).timestamp()
        if not known[-1] or abs(now - issued) > self._seconds:
            raise too_skewed()

    def expire(self) -> None:
        """Ends all addresses given out so far."""
        with self._lock:
            self._keys = (*self._keys, secrets.token_bytes(32))


def too_skewed() -> Refusal:
    """The address has expired: ask for a new one (KB:0680)."""
    message = "The difference between the request time and the current time is too large."
    return Refusal("RequestTimeTooSkewed", message, status=403)


def _authorization(key: bytes, text: str) -> str:
    digest = hmac.new(key, text.encode("utf-8", "surrogateescape"), hashlib.sha1).digest()
    return f"OSS {_ACCESS_ID}:{base64.b64encode(digest).decode()}"
