from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from dingwatch.sandbox import MediaRules, Sandbox, Settings

if TYPE_CHECKING:
    from tests.sandbox.conftest import Clock, Peer


def test_upload_answer(peer: Peer, clock: Clock) -> None:
    """An upload answers errcode, errmsg, type, media_id with its prefix, and milliseconds."""
    answer = peer.upload().json()
    media_id = answer.pop("media_id")
    assert media_id.startswith("@lA")
    assert answer == {"errcode": 0, "errmsg": "ok", "type": "file", "created_at": int(clock.now * 1000)}


def test_stored_as_uploaded(peer: Peer, sandbox: Sandbox) -> None:
    """The bytes and the name are kept as they came."""
    content = bytes(range(256)) * 5000 + b"\r\n--not the boundary\r\n"
    media_id = peer.media_id("表格 (终稿).xlsx", content)
    (upload,) = sandbox.uploads()
    assert (upload.media_id, upload.name, upload.size) == (media_id, "表格 (终稿).xlsx", len(content))
    assert upload.sha256 == hashlib.sha256(content).hexdigest()
    assert sandbox.content(media_id) == content


def test_same_bytes_other_id(peer: Peer) -> None:
    """The same bytes again get another id."""
    assert peer.media_id() != peer.media_id()


@pytest.mark.parametrize("name", ["a.txt", "a.md", "图.png", "a.mp4", "a.py", "a.ZIP", "a.tar.gz", ".b.pdf"])
def test_accepted_names(peer: Peer, name: str) -> None:
    """What is reported to work is accepted, whatever its case."""
    assert peer.upload(name).json()["errcode"] == 0


@pytest.mark.parametrize("name", ["a.html", "a.HTM", "avatar-hachi", "a.", ".pdf"])
def test_refused_names(peer: Peer, name: str) -> None:
    """HTML and names without an extension are 40005, with HTTP 200."""
    answer = peer.upload(name)
    assert answer.status_code == 200
    assert answer.json() == {"errcode": 40005, "errmsg": "不合法的文件类型"}


def test_type_in_the_form(peer: Peer, sandbox: Sandbox) -> None:
    """Type and token may also be form fields, as the documentation and the stream SDK have them."""
    answer = peer.session.post(
        sandbox.url + "/media/upload",
        data={"type": "image", "access_token": peer.legacy_token()},
        files={"media": ("a.png", b"x")},
        timeout=10,
    )
    assert answer.json()["type"] == "image"


def test_types_other_than_file(peer: Peer) -> None:
    """Type image takes the documented pictures only."""
    assert peer.upload("a.png", kind="image").json()["type"] == "image"
    assert peer.upload("a.pdf", kind="image").json()["errcode"] == 40005


def test_order_of_checks(peer: Peer, sandbox: Sandbox) -> None:
    """The first thing that is wrong decides: token, type, multipart, part, empty, extension, size."""
    url, token = sandbox.url + "/media/upload", peer.legacy_token()
    right = {"access_token": token, "type": "file"}
    post = peer.session.post

    def code(files: object = None, **query: str) -> int:
        return int(post(url, params=query, files=files, timeout=10).json()["errcode"])  # type: ignore[arg-type]

    assert code() == 41001
    assert code(access_token="wrong") == 40014
    assert code(access_token=token) == 40004
    assert code(access_token=token, type="document") == 40004
    assert code(**right) == 43008
    assert code({"other": ("a.html", b"")}, **right) == 41005
    assert code({"media": ("a.html", b"")}, **right) == 44001
    assert code({"media": ("a.html", b"x" * (21 << 20))}, **right) == 40006  # cut before it is parsed
    assert code({"media": ("a.html", b"x" * ((20 << 20) + 1))}, **right) == 40005
    assert code({"media": ("a.pdf", b"x" * ((20 << 20) + 1))}, **right) == 40006
    assert code({"media": ("a.pdf", b"x" * (20 << 20))}, **right) == 0


def test_own_rules(peer_of: Callable[[Settings], Peer]) -> None:
    """Limits and refused extensions can be set."""
    peer = peer_of(Settings(media=MediaRules(limits={"file": 10}, refused=frozenset({"exe"}))))
    assert peer.upload("a.html", b"x" * 10).json()["errcode"] == 0
    assert peer.upload("a.exe").json()["errcode"] == 40005
    assert peer.upload("a.pdf", b"x" * 11).json()["errcode"] == 40006


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('form-data; name="media"; filename="报告 2024.pdf"'.encode(), "报告 2024.pdf"),
        (b'form-data; name="media"; filename="%E6%8A%A5.pdf"', "%E6%8A%A5.pdf"),
        (b'form-data; name="media"; filename="a;b=\\"c\\".pdf"', 'a;b="c".pdf'),
        (b"form-data; name=media; filename=plain.pdf", "plain.pdf"),
        (b'form-data; name="media"; filename="a.pdf"; filename*=utf-8\'\'b.txt', "a.pdf"),
        (b'form-data; name="media"; filename="\xff.pdf"', "\ufffd.pdf"),
    ],
)
def test_file_names_on_the_wire(peer: Peer, sandbox: Sandbox, disposition: bytes, name: str) -> None:
    """The name is what stands in filename=, raw bytes read as UTF-8 and nothing decoded."""
    assert peer.raw_upload(disposition)["errcode"] == 0
    (upload,) = sandbox.uploads()
    assert upload.name == name
    assert sandbox.content(upload.media_id) == b"hello"


@pytest.mark.parametrize(
    "disposition",
    [
        b"form-data; name=\"media\"; filename*=utf-8''%E6%8A%A5%E5%91%8A.pdf",
        b'form-data; name="media"',
        b'form-data; name="media"; filename=""',
        b'form-data; name="file"; filename="a.pdf"',
    ],
)
def test_parts_without_a_name(peer: Peer, disposition: bytes) -> None:
    """A part without a raw filename is no file, even when filename* has one (41005)."""
    assert peer.raw_upload(disposition)["errcode"] == 41005


def test_unclosed_part(peer: Peer) -> None:
    """A part whose closing boundary never came is not there (41005)."""
    body = b'--xyz\r\nContent-Disposition: form-data; name="media"; filename="a.pdf"\r\n\r\nhalf'
    answer = peer.session.post(
        peer.sandbox.url + "/media/upload",
        params={"access_token": peer.legacy_token(), "type": "file"},
        data=body,
        headers={"content-type": "multipart/form-data; boundary=xyz"},
        timeout=10,
    )
    assert answer.json()["errcode"] == 41005


def test_download(peer: Peer) -> None:
    """A download answers with the bytes, named by the media id as far as a file name can be."""
    media_id = peer.media_id("图.png", b"\x89PNG")
    answer = peer.get("/media/downloadFile", access_token=peer.legacy_token(), media_id=media_id)
    assert answer.content == b"\x89PNG"
    assert answer.headers["content-type"] == "image/png"
    assert f'filename="{media_id.replace("/", "_")}.png"' in answer.headers["content-disposition"]


def test_download_of_nothing(peer: Peer) -> None:
    """An unknown media id is HTTP 200 with errcode 40004."""
    answer = peer.get("/media/downloadFile", access_token=peer.legacy_token(), media_id="@lAzPD")
    assert answer.status_code == 200
    assert answer.json() == {"errcode": 40004, "errmsg": "invalid media_id"}
