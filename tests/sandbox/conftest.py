"""A sandbox to test, and a client that knows only the fact sheet."""

import json
import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest
import requests

from dingwatch.sandbox import Sandbox, Settings
from tests.sandbox.drives import Drive

TOKEN_HEADER = "x-acs-dingtalk-access-token"


class Clock:
    """Wall-clock seconds that pass only when told: 2026-11-24 10:00 in China."""

    def __init__(self) -> None:
        self.now = 1795485600.0

    def __call__(self) -> float:
        """What the sandbox asks."""
        return self.now


class Peer:
    """Plain HTTP requests to one sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.session = requests.Session()
        self.session.trust_env = False

    def get(self, path: str, **query: str) -> requests.Response:
        """GET with a query."""
        return self.session.get(self.sandbox.url + path, params=query, timeout=10)

    def post(self, path: str, body: object, token: str | None = None) -> requests.Response:
        """POST of JSON, with the new host's token header."""
        headers = {} if token is None else {TOKEN_HEADER: token}
        return self.session.post(self.sandbox.url + path, json=body, headers=headers, timeout=10)

    def call(self, method: str, path: str, body: object = None, **query: str) -> requests.Response:
        """A call of the new host with its token, JSON and a query."""
        return self.session.request(
            method,
            self.sandbox.url + path,
            params=query,
            json=body,
            headers={TOKEN_HEADER: self.new_token()},
            timeout=10,
        )

    def new_token(self) -> str:
        """A token of api.dingtalk.com."""
        credentials = {"appKey": self.sandbox.client_id, "appSecret": self.sandbox.client_secret}
        return str(self.post("/v1.0/oauth2/accessToken", credentials).json()["accessToken"])

    def legacy_token(self) -> str:
        """A token of oapi.dingtalk.com."""
        query = {"appkey": self.sandbox.client_id, "appsecret": self.sandbox.client_secret}
        return str(self.get("/gettoken", **query).json()["access_token"])

    def upload(
        self, name: str = "报告 2024.pdf", content: bytes = b"%PDF-1.7", kind: str = "file"
    ) -> requests.Response:
        """media/upload as requests writes it: raw UTF-8 in the part's header."""
        return self.session.post(
            self.sandbox.url + "/media/upload",
            params={"access_token": self.legacy_token(), "type": kind},
            files={"media": (name, content)},
            timeout=10,
        )

    def media_id(self, name: str = "报告 2024.pdf", content: bytes = b"%PDF-1.7") -> str:
        """Uploads, and gives back the id."""
        return str(self.upload(name, content).json()["media_id"])

    def group_body(self, **changes: object) -> dict[str, object]:
        """A correct body of groupMessages/send, with changes; None takes a field out."""
        parameter = {"mediaId": "@lAzPD-unknown", "fileName": "报告 2024.pdf", "fileType": "pdf"}
        body = {
            "robotCode": self.sandbox.robot_code,
            "openConversationId": self.sandbox.conversations[0].id,
            "msgKey": "sampleFile",
            "msgParam": json.dumps(parameter),
            **changes,
        }
        return {key: value for key, value in body.items() if value is not None}

    def send(self, media_id: str, name: str = "报告 2024.pdf", **changes: object) -> requests.Response:
        """groupMessages/send of one file."""
        parameter = {"mediaId": media_id, "fileName": name, "fileType": name.rpartition(".")[2]}
        body = self.group_body(msgParam=json.dumps(parameter, ensure_ascii=False), **changes)
        return self.post("/v1.0/robot/groupMessages/send", body, self.new_token())

    def raw(self, request: bytes) -> bytes:
        """Sends bytes as they are and reads until the other side closes."""
        address = self.sandbox.url.removeprefix("http://").split(":")
        with socket.create_connection((address[0], int(address[1])), timeout=10) as connection:
            connection.sendall(request)
            answer = b""
            while block := connection.recv(65536):
                answer += block
            return answer

    def raw_upload(self, disposition: bytes, content: bytes = b"hello") -> dict[str, object]:
        """media/upload with the part's Content-Disposition given byte by byte."""
        body = b"--xyz\r\nContent-Disposition: " + disposition + b"\r\n\r\n" + content + b"\r\n--xyz--\r\n"
        path = f"/media/upload?access_token={self.legacy_token()}&type=file"
        head = (
            f"POST {path} HTTP/1.1\r\nHost: oapi.dingtalk.com\r\nConnection: close\r\n"
            f"Content-Type: multipart/form-data; boundary=xyz\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        answer = self.raw(head.encode() + body)
        document = json.loads(answer.partition(b"\r\n\r\n")[2])
        assert isinstance(document, dict)
        return document


@pytest.fixture(autouse=True)
def _quiet_peer() -> Iterator[None]:
    """The peer's own HTTP library writes addresses with tokens into the log; that is not what is tested."""
    logger = logging.getLogger("urllib3")
    level = logger.level
    logger.setLevel(logging.INFO)
    yield
    logger.setLevel(level)


@pytest.fixture
def clock() -> Clock:
    """The sandbox's clock, which stands still."""
    return Clock()


@pytest.fixture
def peer_of(clock: Clock) -> Iterator[Callable[[Settings], Peer]]:
    """Makes a client of a running sandbox with these settings."""
    with ExitStack() as stack:

        def make(settings: Settings) -> Peer:
            made = Peer(stack.enter_context(Sandbox(settings=settings, clock=clock)))
            stack.enter_context(closing(made.session))
            return made

        yield make


@pytest.fixture
def peer(peer_of: Callable[[Settings], Peer]) -> Peer:
    """A client of a sandbox with default settings."""
    return peer_of(Settings())


@pytest.fixture
def sandbox(peer: Peer) -> Sandbox:
    """The sandbox of `peer`."""
    return peer.sandbox


@pytest.fixture
def drive(peer: Peer) -> Drive:
    """A space of the operator."""
    return Drive(peer)
