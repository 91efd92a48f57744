from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING, Any

import pytest
import requests

from dingwatch.sandbox import Fault, FaultKind, Sandbox
from tests.sandbox.drives import PART, Drive

if TYPE_CHECKING:
    from tests.sandbox.conftest import Clock


def code_of(answer: requests.Response) -> str:
    """The code in an error of the storage host, which is XML."""
    assert answer.headers["content-type"].startswith("application/xml")
    match = re.search(
        r"<Error><Code>(\w+)</Code><Message>.+</Message><RequestId>.+</RequestId></Error>", answer.text
    )
    assert match
    return match[1]


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Content-Type": "application/octet-stream"}, "SignatureDoesNotMatch"),
        ({"Content-Type": ""}, None),
        ({"Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg=="}, "SignatureDoesNotMatch"),
        ({"x-oss-meta-extra": "1"}, "SignatureDoesNotMatch"),
        ({"x-oss-date": "Tue, 24 Nov 2026 02:00:01 GMT"}, "SignatureDoesNotMatch"),
        ({"Authorization": "OSS STS.sandbox:AAAA"}, "SignatureDoesNotMatch"),
        ({"Authorization": ""}, "AccessDenied"),
        ({"X-Unsigned": "may be there"}, None),
    ],
)
def test_headers_are_signed(drive: Drive, headers: dict[str, str], code: str | None) -> None:
    """A PUT has exactly the headers of its address and no Content-Type, or its signature does not match."""
    info = drive.info()
    answer = drive.put(info["headerSignatureInfo"], b"x", **headers)
    assert answer.status_code == (200 if code is None else 403)
    if code is not None:
        assert code_of(answer) == code
        assert drive.commit(info["uploadKey"], "a.txt").json()["code"] == "dentryUploadError"


def test_an_address_is_for_one_part(drive: Drive) -> None:
    """The headers of one part do not fit another's address."""
    infos = drive.part_infos(drive.begin_parts(), 1, 2)
    mixed = {**infos[1], "headers": infos[2]["headers"]}
    infos[1]["resourceUrls"][0] = infos[1]["resourceUrls"][0].replace("partNumber=1", "partNumber=3")
    for info in (mixed, infos[1]):
        # All were signed in the same second, so that only the address tells them apart.
        assert code_of(drive.put(info, b"x" * PART)) == "SignatureDoesNotMatch"


def test_addresses_end(drive: Drive, sandbox: Sandbox, clock: Clock) -> None:
    """After its 900 seconds, or when all are ended, an address is RequestTimeTooSkewed; a new one works."""
    info = drive.info()
    clock.now += 900
    assert drive.put(info["headerSignatureInfo"], b"x").status_code == 200
    clock.now += 1
    assert code_of(drive.put(info["headerSignatureInfo"], b"x")) == "RequestTimeTooSkewed"
    key = drive.begin_parts()
    old = drive.part_infos(key, 1)[1]
    sandbox.expire_addresses()
    assert code_of(drive.put(old, b"x")) == "RequestTimeTooSkewed"
    assert drive.put(drive.part_infos(key, 1)[1], b"x").status_code == 200


def test_only_what_was_asked_for(drive: Drive) -> None:
    """After the commit nobody can PUT to the same address."""
    info = drive.info()
    drive.put(info["headerSignatureInfo"], b"x")
    drive.commit(info["uploadKey"], "a.txt")
    again = drive.put(info["headerSignatureInfo"], b"y")
    assert (again.status_code, code_of(again)) == (404, "NoSuchUpload")


def test_a_cut_body_leaves_nothing(drive: Drive, sandbox: Sandbox) -> None:
    """A PUT that breaks off in the middle is no part."""
    info = drive.info()["headerSignatureInfo"]
    upload = drive.info()
    path = upload["headerSignatureInfo"]["resourceUrls"][0].removeprefix(sandbox.url)
    lines = [f"{name}: {value}" for name, value in upload["headerSignatureInfo"]["headers"].items()]
    head = "\r\n".join([f"PUT {path} HTTP/1.1", "Host: x", "Content-Length: 100", *lines, "", ""])
    host, port = sandbox.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(head.encode() + b"only a part")
    assert drive.put(info, b"x").status_code == 200  # the server goes on
    assert drive.commit(upload["uploadKey"], "a.txt").json()["code"] == "dentryUploadError"


def test_bodies_without_a_length(drive: Drive, sandbox: Sandbox) -> None:
    """A chunked body is taken too, and one over the limit of the other calls."""
    info = drive.info()
    block = b"0123456789abcdef" * 65536  # 1 MiB
    signed = info["headerSignatureInfo"]
    answer = drive.peer.session.put(
        signed["resourceUrls"][0], data=(block for _ in range(25)), headers=signed["headers"], timeout=60
    )
    assert answer.status_code == 200
    assert drive.commit(info["uploadKey"], "a.bin", size=25 << 20).json()["dentry"]["size"] == 25 << 20
    (entry,) = sandbox.entries(drive.space_id)
    assert max(map(len, sandbox.entry_blocks(entry))) <= 1 << 20
    assert sandbox.entry_content(entry) == block * 25


def test_unlimited_and_unbilled(drive: Drive, sandbox: Sandbox) -> None:
    """The storage host needs no token, counts against no quota, and is counted by name."""
    billed = sandbox.billed()
    info = drive.info()
    for _ in range(3):
        drive.put(info["headerSignatureInfo"], b"x")
    assert (sandbox.billed() - billed, sandbox.calls()["storage-host/put"]) == (1, 3)


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        (FaultKind.THROTTLE, 503, "SlowDown"),
        (FaultKind.ERROR, 500, "InternalError"),
        (FaultKind.TOKEN_DEAD, 403, "RequestTimeTooSkewed"),
        (FaultKind.NO_PERMISSION, 403, "AccessDenied"),
        (FaultKind.IP_NOT_ALLOWED, 403, "AccessDenied"),
        (FaultKind.QUOTA, 403, "AccessDenied"),
    ],
)
def test_faults(drive: Drive, sandbox: Sandbox, kind: FaultKind, status: int, code: str) -> None:
    """Faults are said in XML, after the whole body was read, and nothing is kept."""
    info = drive.info()
    sandbox.inject(Fault("storage-host/put", kind))
    answer = drive.put(info["headerSignatureInfo"], b"x" * (4 << 20))
    assert (answer.status_code, code_of(answer)) == (status, code)
    assert drive.commit(info["uploadKey"], "a.txt").json()["code"] == "dentryUploadError"


@pytest.mark.parametrize(("kind", "kept"), [(FaultKind.CUT_BEFORE, False), (FaultKind.CUT_AFTER, True)])
def test_cuts(drive: Drive, sandbox: Sandbox, kind: FaultKind, kept: bool) -> None:  # noqa: FBT001
    """A lost answer is lost before or after the bytes were kept."""
    info = drive.info()
    sandbox.inject(Fault("storage-host/put", kind))
    with pytest.raises(requests.ConnectionError):
        drive.put(info["headerSignatureInfo"], b"x")
    assert drive.commit(info["uploadKey"], "a.txt").ok is kept


def test_download(drive: Drive, clock: Clock) -> None:
    """A download needs the headers of its temporary address, gives ranges, and ends with the address."""
    content = bytes(range(256)) * 1000
    dentry = drive.store("a.bin", content)
    info = download_address(drive, dentry["id"])
    assert get(drive, info).content == content
    assert code_of(drive.peer.session.get(info["resourceUrls"][0], timeout=10)) == "AccessDenied"
    for text, expected in (
        ("bytes=1-4", content[1:5]),
        ("bytes=255990-", content[255990:]),
        ("bytes=-3", content[-3:]),
    ):
        part = get(drive, info, Range=text)
        assert (part.status_code, part.content) == (206, expected)
    assert get(drive, info, Range="bytes=1-4").headers["content-range"] == f"bytes 1-4/{len(content)}"
    beyond = get(drive, info, Range="bytes=256000-")
    assert (beyond.status_code, code_of(beyond)) == (416, "InvalidRange")
    clock.now += 901
    assert code_of(get(drive, info)) == "RequestTimeTooSkewed"


def test_versions(drive: Drive) -> None:
    """An overwritten file still gives its older version, when that is asked for."""
    drive.store("a.txt", b"old")
    dentry = drive.store("a.txt", b"new", conflictStrategy="OVERWRITE")
    assert get(drive, download_address(drive, dentry["id"])).content == b"new"
    assert get(drive, download_address(drive, dentry["id"], version=1)).content == b"old"
    wrong = drive.post(drive.path(f"dentries/{dentry['id']}/downloadInfos/query"), {"option": {"version": 3}})
    assert (wrong.status_code, wrong.json()["code"]) == (400, "paramError.version")


def test_methods(drive: Drive) -> None:
    """The storage host takes PUT and GET only."""
    address = drive.info()["headerSignatureInfo"]["resourceUrls"][0]
    answer = drive.peer.session.post(address, timeout=10)
    assert (answer.status_code, code_of(answer)) == (405, "MethodNotAllowed")


def download_address(drive: Drive, dentry_id: str, **option: object) -> dict[str, Any]:
    """The headerSignatureInfo of downloadInfos."""
    answer = drive.post(drive.path(f"dentries/{dentry_id}/downloadInfos/query"), {"option": option}).json()
    assert answer["protocol"] == "HEADER_SIGNATURE"
    info = answer["headerSignatureInfo"]
    assert isinstance(info, dict)
    return info


def get(drive: Drive, info: dict[str, Any], **headers: str) -> requests.Response:
    """GET with the headers of the address."""
    return drive.peer.session.get(info["resourceUrls"][0], headers={**info["headers"], **headers}, timeout=10)
