"""The address book, as far as a unionId is needed. Exempt from the quota (KB:1432)."""

import json

from dingwatch.sandbox.answers import Family, Json, Refusal
from dingwatch.sandbox.gateway import Api, Call


async def user(call: Call) -> Json:
    """POST /topapi/v2/user/get?access_token= {userid} → result.unionid."""
    try:
        document = json.loads(call.body)
    except (ValueError, RecursionError):
        document = None
    user_id = document.get("userid") if isinstance(document, dict) else None
    if not isinstance(user_id, str):
        raise Refusal(40035, "不合法的参数")
    union_id = call.world.settings.users.get(user_id)
    if union_id is None:
        raise Refusal(60121, "找不到该用户")
    return {"result": {"userid": user_id, "unionid": union_id, "name": user_id}}


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
