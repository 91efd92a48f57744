"""The address book, as far as unionIds and names are needed. Exempt from the quota (KB:1432)."""

import json
from collections.abc import Mapping

from dingwatch.sandbox.answers import Family, Json, Refusal
from dingwatch.sandbox.gateway import Api, Call


async def user(call: Call) -> Json:
    """POST /topapi/v2/user/get?access_token= {userid}, JSON or a form (KB:0056): who that is."""
    user_id = call.form.get("userid") or _body(call).get("userid")
    if not isinstance(user_id, str):
        raise Refusal(40035, "不合法的参数")
    union_id = call.world.settings.users.get(user_id)
    if union_id is None:
        raise Refusal(60121, "找不到该用户")
    name = call.world.settings.names.get(user_id, user_id)
    return {"result": {"userid": user_id, "unionid": union_id, "name": name}}


def _body(call: Call) -> Mapping[str, object]:
    try:
        document = json.loads(call.body)
    except (ValueError, RecursionError):
        document = None
    return document if isinstance(document, dict) else {}


APIS = (
    Api(
        "topapi/v2/user/get",
        Family.TOPAPI,
        "POST",
        "/topapi/v2/user/get",
        user,
        billed=False,
        scope="qyapi_get_member",
    ),
)
