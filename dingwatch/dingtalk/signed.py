"""Signed addresses of the drive's store: for some minutes whoever holds one needs no token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from dingwatch.dingtalk import answers
from dingwatch.model import TokenRejected

LIFE: Final = 900
"""Seconds that a signature is good for where the answer does not say: those of the documents' examples."""


class SignatureExpired(TokenRejected):
    """The signature of an address has expired: the same request goes to a new address."""


@dataclass(frozen=True, slots=True)
class SignedAddress:
    """The URLs to upload or download an entry's bytes, and the headers for it, all of them and no others.

    `urls` are alternatives, the best first (KB:0677); `expires_at` is by the wall clock.
    """

    urls: tuple[str, ...] = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    expires_at: float
    region: str = ""

    @property
    def url(self) -> str:
        """The best URL. A browser cannot open it, because it lacks the headers."""
        return self.urls[0]

    @property
    def secrets(self) -> tuple[str, ...]:
        """Its parts that no message may repeat."""
        return (*self.headers.values(), *self.urls)


def parse_address(answer: Mapping[str, Any], now: float) -> SignedAddress:
    """Read a `headerSignatureInfo` (KB:0674, KB:0677, KB:0678) that came at `now`.

    `internalResourceUrls` is left out, as the documents say. Which schemes DingTalk sends is unverified; an
    answer without an http or https URL counts as no answer.
    """
    signature = answers.members(answer, "headerSignatureInfo")
    urls = tuple(
        url for url in answers.texts(signature, "resourceUrls") if url.startswith(("https:", "http:"))
    )
    if not urls:
        raise answers.without("resourceUrls")
    return SignedAddress(
        urls=urls,
        headers=answers.pairs(signature, "headers"),
        expires_at=now + (answers.whole(signature, "expirationSeconds") or LIFE),
        region=str(signature.get("region") or ""),
    )
