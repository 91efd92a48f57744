"""The running service and answers with odd values: it goes on, and what it could not read waits."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pytest
from hypothesis import strategies as st

from dingwatch.config.values import Config, Webhook
from dingwatch.delivery.drives import WHOLE
from dingwatch.dingtalk import (
    API_CHAT,
    API_COMMIT,
    API_PART_ADDRESSES,
    API_PARTS_BEGIN,
    API_SEND,
    API_SEND_ENTRY,
    API_SEND_PERSONS,
    API_SPACE,
    API_TOKEN,
    API_UPLOAD,
    API_UPLOAD_INFO,
    API_USER,
    API_WEBHOOK,
    MEDIA_LIMIT,
    Host,
)
from dingwatch.sandbox import Fault, FaultKind, Sandbox
from dingwatch.service.daemon import Service
from tests.dingtalk.hostile import HOSTILE
from tests.fuzz.budget import SECONDS, a_few
from tests.ledger import execute
from tests.support import config, eventually, folder, running

PERSON: Final = "manager1234"
IN_PARTS: Final = WHOLE + 1
_SIGNATURE: Final = (
    "headerSignatureInfo",
    "headerSignatureInfo.resourceUrls",
    "headerSignatureInfo.resourceUrls.0",
    "headerSignatureInfo.headers",
    "headerSignatureInfo.headers.Authorization",
    "headerSignatureInfo.expirationSeconds",
    "headerSignatureInfo.region",
)
FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    API_TOKEN[Host.API]: ("accessToken", "expireIn"),
    API_TOKEN[Host.OAPI]: ("access_token", "expires_in", "errcode", "errmsg"),
    API_UPLOAD: ("media_id", "errcode", "errmsg"),
    API_SEND: ("processQueryKey",),
    API_SEND_PERSONS: ("processQueryKey", "invalidStaffIdList", "flowControlledStaffIdList"),
    API_CHAT: ("messageId", "errcode"),
    API_WEBHOOK: ("errcode", "errmsg"),
    API_SPACE: ("space", "space.id"),
    API_UPLOAD_INFO: ("uploadKey", *_SIGNATURE),
    API_PARTS_BEGIN: ("uploadKey",),
    API_PART_ADDRESSES: (
        "multipartHeaderSignatureInfos",
        *(f"multipartHeaderSignatureInfos.0.{field}" for field in ("partNumber", *_SIGNATURE)),
    ),
    API_COMMIT: ("dentry", "dentry.id", "dentry.spaceId", "dentry.name", "dentry.size"),
    API_SEND_ENTRY: ("file", "file.id", "file.spaceId", "file.conversationId", "file.name"),
    API_USER: ("result", "result.unionid"),
}
"""Each API that the service calls, and the fields that its answer has at the sandbox."""
IN_LARGE: Final = {API_SPACE, API_UPLOAD_INFO, API_COMMIT, API_SEND_ENTRY, API_USER}
IN_HUGE: Final = {API_PARTS_BEGIN, API_PART_ADDRESSES}


@dataclass(frozen=True)
class Odd:
    """A field of an API's answer, and what it holds; the whole answer for no field."""

    api: str
    field: str
    value: object

    def fault(self) -> Fault:
        """Return the order for the sandbox: every answer from now on."""
        return Fault(self.api, FaultKind.REPLACE, times=None, field=self.field, value=self.value)

    @property
    def size(self) -> int:
        """The size of a file that makes this call."""
        if self.api in IN_HUGE:
            return IN_PARTS
        return MEDIA_LIMIT + 1 if self.api in IN_LARGE else 10


def setting_of(directory: Path, sandbox: Sandbox) -> tuple[Config, Path, Path]:
    """Return a configuration with recipients of every kind, its folder, and one that carries notices."""
    share, notices = directory / "share", directory / "notices"
    for made in (share, notices):
        made.mkdir()
    first, second = sandbox.conversations[:2]
    robot = sandbox.settings.webhooks[0]
    address = Webhook(f"{sandbox.url}/robot/send?access_token={robot.token}", robot.secret)
    setting = config(
        directory / "state",
        sandbox,
        folder(share, first.id, user_ids=(PERSON,), chat_ids=(second.chat_id,)),
        folder(notices, webhook=address, send_as="notice"),
    )
    operator = sandbox.settings.operator_union_id
    return replace(setting, dingtalk=replace(setting.dingtalk, operator_union_id=operator)), share, notices


def outlive(odd: Odd) -> None:
    """Run the service against a sandbox whose answers hold something odd; require that it goes on."""
    with TemporaryDirectory() as directory, Sandbox() as sandbox:
        setting, share, notices = setting_of(Path(directory), sandbox)
        sandbox.inject(odd.fault())
        with running(setting) as daemon:
            with open(share / "a.bin", "xb") as file:
                file.truncate(odd.size)
            (notices / "b.txt").write_text("b")
            eventually(lambda: daemon.ended.is_set() or (odd.api in sandbox.calls() and is_idle(daemon)))
        require_sound(setting)


def is_idle(daemon: Service) -> bool:
    """Return whether what was answered has been entered."""
    return daemon._delivery.loop.in_hand == 0


def require_sound(setting: Config) -> None:
    """Require a ledger whose texts can all be read."""
    for table in ("versions", "deliveries", "uploads", "parts", "history", "pauses"):
        for row in execute(setting, f"SELECT * FROM {table}"):  # noqa: S608 (our own tables)
            assert all(value.isprintable() for value in row if isinstance(value, str)), row


@pytest.mark.parametrize("value", ["a surrogate", "400 digits"])
@pytest.mark.parametrize(
    ("api", "field"),
    [
        (API_UPLOAD, "media_id"),
        (API_SEND, "processQueryKey"),
        (API_UPLOAD_INFO, "uploadKey"),
        (API_UPLOAD_INFO, "headerSignatureInfo.expirationSeconds"),
        (API_COMMIT, "dentry.id"),
        (API_SEND_ENTRY, "file.id"),
    ],
)
def test_the_service_outlives_an_odd_value(api: str, field: str, value: str) -> None:
    """One odd value in one answer once stopped the service for all folders."""
    outlive(Odd(api, field, HOSTILE[value]))


FIELDS_OF_ALL: Final = [(api, field) for api, listed in FIELDS.items() for field in ("", *listed)]
ODDITIES: Final = st.builds(
    lambda place, value: Odd(place[0], place[1], value),
    st.sampled_from(FIELDS_OF_ALL),
    st.sampled_from(list(HOSTILE.values())),
)


@pytest.mark.sweep
def test_the_service_outlives_any_odd_value() -> None:
    """Any value in any field of any answer; an hour of it with FUZZ_SECONDS=3600."""
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        a_few(outlive, ODDITIES, 10, shrinks=False)  # each starts a service


def test_an_odd_answer_to_one_folder_does_not_hold_up_another(tmp_path: Path, sandbox: Sandbox) -> None:
    """The innocent file arrives while the other waits, and nobody has failed it."""
    setting, share, notices = setting_of(tmp_path, sandbox)
    odd: Any = HOSTILE["a surrogate"]
    sandbox.inject(Odd(API_UPLOAD, "media_id", odd).fault())
    with running(setting) as daemon:
        (share / "a.bin").write_bytes(b"a")
        eventually(lambda: API_UPLOAD in sandbox.calls() and is_idle(daemon))
        (notices / "b.txt").write_text("b")
        eventually(lambda: daemon.ended.is_set() or sandbox.calls().get(API_WEBHOOK))
        assert execute(setting, "SELECT count(*) FROM deliveries WHERE state = 'failed'") == [(0,)]
