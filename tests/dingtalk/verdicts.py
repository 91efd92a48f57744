"""The verdicts on calls and answers that fail."""

import json
import traceback
from collections.abc import Callable, Mapping
from urllib.parse import quote

import pytest
from requests.structures import CaseInsensitiveDict

from dingwatch.dingtalk import Host
from dingwatch.dingtalk.errors import result_of
from dingwatch.model import Failure, Verdict
from tests.dingtalk.peers import HOOK, SECRET, SIGNATURE, SIGNING_SECRET, TOKEN

SECRETS = (TOKEN, SECRET, HOOK, SIGNING_SECRET, quote(SIGNING_SECRET, safe=""), SIGNATURE, "/bucket/")


def verdict(call: Callable[[], object]) -> Verdict:
    """Return the verdict on a call that fails, having looked for secrets in all that a log could show."""
    with pytest.raises(Failure) as caught:
        call()
    error = caught.value
    shown = "".join([*traceback.format_exception(error), repr(error.__context__), repr(error.verdict)])
    assert [secret for secret in SECRETS if secret in shown] == []
    return error.verdict


def verdict_on(
    answer: object,
    status: int = 200,
    host: Host = Host.API,
    *,
    headers: Mapping[str, str] | None = None,
    now: float = 0.0,
    api: str = "",
) -> Verdict:
    """Return the verdict on an answer that is no success: bytes, or what becomes JSON."""
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    with pytest.raises(Failure) as caught:
        result_of(host, status, CaseInsensitiveDict(headers or {}), body, now, api=api)
    return caught.value.verdict
