"""A person with a space of the drive, as the fact sheet has her use it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import requests

from dingwatch.sandbox import Space

if TYPE_CHECKING:
    from tests.sandbox.conftest import Peer

PART = 100 * 1024
"""Bytes of the smallest part there may be."""


class Drive:
    """One space, and the calls to it by its owner."""

    def __init__(self, peer: Peer, **option: object) -> None:
        self.peer = peer
        self.union_id = peer.sandbox.settings.operator_union_id
        answer = self.post("/v1.0/storage/spaces", {"option": option}).json()
        self.space_id = str(answer["space"]["id"])

    @property
    def space(self) -> Space:
        """As the sandbox knows it."""
        return next(each for each in self.peer.sandbox.spaces() if each.id == self.space_id)

    def post(self, path: str, body: object, **query: str) -> requests.Response:
        """POST with the owner as operator, unless the query names another."""
        return self.peer.call("POST", path, body, **{"unionId": self.union_id, **query})

    def path(self, rest: str) -> str:
        """A path of storage v1 under the space."""
        return f"/v1.0/storage/spaces/{self.space_id}/{rest}"

    def info(self, **check: object) -> dict[str, Any]:
        """Where to PUT one file."""
        body = {"protocol": "HEADER_SIGNATURE", "option": {"preCheckParam": check}}
        answer = self.post(self.path("files/uploadInfos/query"), body).json()
        assert isinstance(answer, dict)
        return answer

    def put(self, info: dict[str, Any], content: bytes, **headers: str) -> requests.Response:
        """PUT with exactly the headers of the address, and those that a test adds."""
        return self.peer.session.put(
            info["resourceUrls"][0], data=content, headers={**info["headers"], **headers}, timeout=10
        )

    def commit(self, upload_key: str, name: str, **option: object) -> requests.Response:
        """Commit into the root."""
        body = {"uploadKey": upload_key, "name": name, "parentId": "0", "option": option}
        return self.post(self.path("files/commit"), body)

    def store(self, name: str, content: bytes, **option: object) -> dict[str, Any]:
        """A whole file from the first call to the last; its dentry."""
        info = self.info()
        assert self.put(info["headerSignatureInfo"], content).status_code == 200
        dentry = self.commit(info["uploadKey"], name, **option).json()["dentry"]
        assert isinstance(dentry, dict)
        return dentry

    def begin_parts(self) -> str:
        """The uploadKey of an upload in parts."""
        answer = self.post(self.path("files/multiPartUploadInfos/init"), {"option": {}}).json()
        return str(answer["uploadKey"])

    def part_infos(self, upload_key: str, *numbers: int) -> dict[int, dict[str, Any]]:
        """The address of each part."""
        body = {"uploadKey": upload_key, "partNumbers": numbers}
        answer = self.post("/v1.0/storage/spaces/files/multiPartUploadInfos/query", body).json()
        infos = answer["multipartHeaderSignatureInfos"]
        return {each["partNumber"]: each["headerSignatureInfo"] for each in infos}
