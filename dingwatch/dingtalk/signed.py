"""Addresses that DingTalk has signed: who holds one needs no token, for some minutes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from dingwatch.dingtalk import answers
from dingwatch.model import TokenRejected

LIFE: Final = 900
"""Seconds that a signature is good for where the answer does not say: those of the documents' examples."""


class SignatureExpired(TokenRejected):
    """The signature of an address is not valid (any more): the same request goes with a new one."""


@dataclass(frozen=True, slots=True)
class SignedAddress:
    """A signed address for the bytes of an entry, with exactly the headers that a request must carry.

    `urls` are alternatives, the best first (KB:0677); `expires_at` is by the wall clock.
    """

    urls: tuple[str, ...] = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    expires_at: float
    region: str = ""

    @property
    def url(self) -> str:
        """The best of the addresses. It is no link: without its headers it opens nothing."""
        return self.urls[0]

    @property
    def secrets(self) -> tuple[str, ...]:
        """The parts that must not reach a log."""
        return (*self.headers.values(), *self.urls)


def signed_address(answer: Mapping[str, Any], now: float) -> SignedAddress:
    """Read a `headerSignatureInfo` (KB:0674, KB:0677, KB:0678) that came at `now`.

    `internalResourceUrls` is left out, as the documents say. Which schemes come is unverified; an answer
    without an address of http or https is none.
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
