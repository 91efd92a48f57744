"""How DingTalk says no, in each family's own shape. `Refusal` is raised by handlers; `refused` renders it.

Sources: KB:0013 (codes), KB:1433 (limits); the shapes are from answers seen in public.
"""

import json
import uuid
from collections.abc import Mapping
from enum import Enum
from xml.sax.saxutils import escape

from aiohttp import web

Json = Mapping[str, object]

_NO_SUCH_TOPAPI = 22

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))

REQUEST_ID_HEADER = "x-acs-dingtalk-request-id"


class Family(Enum):
    """Which host an API lives on, and for the legacy one whether it answers as a topapi."""

    NEW = "api.dingtalk.com"
    LEGACY = "oapi.dingtalk.com"
    TOPAPI = "oapi.dingtalk.com/topapi"
    STORAGE = "trans.dingtalk.com"  # object storage: no tokens but signatures, errors in XML

    @property
    def issuer(self) -> "Family":
        """The family whose tokens belong here: one per host."""
        return Family.LEGACY if self in (Family.LEGACY, Family.TOPAPI) else Family.NEW


class Refusal(Exception):  # noqa: N818 -- the word of the API: a call is refused, nothing here is broken
    """A call that DingTalk answers with an error.

    Attributes:
        code: a string for the new host, an errcode for the legacy one.
        message: for people, in Chinese like the real ones.
        status: HTTP status; None: the family's usual one (400 on the new host, 200 on the legacy one).
        scopes: requiredScopes, for a missing permission on the new host.
        at_gate: refused before the API itself was reached; a topapi wraps these in errcode 88.
    """

    def __init__(
        self,
        code: str | int,
        message: str,
        *,
        status: int | None = None,
        scopes: tuple[str, ...] = (),
        at_gate: bool = False,
    ) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.status = status
        self.scopes = scopes
        self.at_gate = at_gate


def accepted(family: Family, body: Json) -> web.Response:
    """A success, HTTP 200."""
    if family is Family.NEW:
        return _answer(200, body, {REQUEST_ID_HEADER: request_id()})
    head = {"errcode": 0, "errmsg": "ok"}
    tail = {"request_id": request_id()} if family is Family.TOPAPI else {}
    return _answer(200, {**head, **body, **tail})


def refused(family: Family, refusal: Refusal) -> web.Response:
    """An error in the family's shape."""
    if family is Family.NEW:
        return _refused_new(refusal)
    if family is Family.STORAGE:
        return _refused_storage(refusal)
    body: dict[str, object] = {"errcode": refusal.code, "errmsg": refusal.message}
    if family is Family.TOPAPI:
        body = {**_refused_topapi(refusal), "request_id": request_id()}
    return _answer(refusal.status or 200, body)


def request_id() -> str:
    """An id as DingTalk writes them: an upper-case UUID."""
    return str(uuid.uuid4()).upper()


def _refused_topapi(refusal: Refusal) -> Json:
    """A topapi wraps what its gate says, and has a third shape for an API that does not exist."""
    code, message = refusal.code, refusal.message
    if code == _NO_SUCH_TOPAPI:
        return {"errcode": code, "sub_msg": message, "errmsg": f"Invalid method[submsg={message}]"}
    if refusal.at_gate:
        wrapped = f"ding talk error[subcode={code},submsg={message}]"
        return {"errcode": 88, "sub_code": str(code), "sub_msg": message, "errmsg": wrapped}
    return {"errcode": code, "errmsg": message}


def _refused_new(refusal: Refusal) -> web.Response:
    number = request_id()
    body: dict[str, object] = {"code": refusal.code, "requestid": number, "message": refusal.message}
    if refusal.scopes:
        body["accessdenieddetail"] = {"requiredScopes": list(refusal.scopes)}
    return _answer(refusal.status or 400, body, {REQUEST_ID_HEADER: number})


def _refused_storage(refusal: Refusal) -> web.Response:
    number = request_id()
    code, message = escape(str(refusal.code)), escape(refusal.message)
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{code}</Code><Message>{message}</Message><RequestId>{number}</RequestId></Error>\n"
    )
    headers = {"x-oss-request-id": number}
    return web.Response(
        status=refusal.status or 400, text=text, content_type="application/xml", headers=headers
    )


def _answer(status: int, body: Json, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(
        status=status,
        # A lone surrogate that came in as \ud800 and is quoted back must not break the answer.
        body=_ENCODER.encode(body).encode("utf-8", "replace"),
        content_type="application/json",
        charset="utf-8",
        headers=headers,
    )
