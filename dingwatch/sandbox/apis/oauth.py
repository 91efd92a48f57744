"""Access tokens, three ways (KB:0033, KB:0037, KB:1444). All exempt from the quota (KB:1432)."""

from dingwatch.sandbox import refusals
from dingwatch.sandbox.answers import Family, Json, Refusal
from dingwatch.sandbox.gateway import Api, Call


async def access_token(call: Call) -> Json:
    """POST /v1.0/oauth2/accessToken {appKey, appSecret} (KB:0033)."""
    body = call.json
    for name in ("appKey", "appSecret"):
        if name not in body:
            raise refusals.missing_field(name)
    if not _is_ours(call, body["appKey"], body["appSecret"]):
        raise Refusal("invalidClientIdOrSecret", "无效的clientId或者clientSecret")
    return {"accessToken": _issue(call, Family.NEW), "expireIn": call.world.settings.token_seconds}


async def corp_token(call: Call) -> Json:
    """POST /v1.0/oauth2/{corpId}/token {client_id, client_secret, grant_type} (KB:0037)."""
    body = call.json
    if body.get("grant_type") != "client_credentials":
        raise Refusal("unsupported.grant.type", "不支持的grant_type")
    if not _is_ours(call, body.get("client_id"), body.get("client_secret")):
        raise Refusal("invalid.client", "无效的client_id或者client_secret")
    if call.request.match_info["corp_id"] != call.world.settings.corp_id:
        raise Refusal("unknownError", "未知错误", status=500)  # seen in public, odd as it is
    return {"access_token": _issue(call, Family.NEW), "expires_in": call.world.settings.token_seconds}


async def gettoken(call: Call) -> Json:
    """GET /gettoken?appkey=&appsecret= (KB:1444). Parameters in a body are ignored."""
    key, secret = call.query("appkey"), call.query("appsecret")
    if not key or not secret:
        raise Refusal(40035, "缺少参数 corpid or appkey")
    if not _is_ours(call, key, secret):
        raise Refusal(40096, "不合法的appKey或appSecret")
    return {"access_token": _issue(call, Family.LEGACY), "expires_in": call.world.settings.token_seconds}


def _is_ours(call: Call, key: object, secret: object) -> bool:
    settings = call.world.settings
    return (key, secret) == (settings.client_id, settings.client_secret)


def _issue(call: Call, family: Family) -> str:
    return call.world.tokens.issue(family, call.now)


APIS = (
    Api(
        "oauth2/accessToken",
        Family.NEW,
        "POST",
        "/v1.0/oauth2/accessToken",
        access_token,
        needs_token=False,
        billed=False,
    ),
    Api(
        "oauth2/token",
        Family.NEW,
        "POST",
        "/v1.0/oauth2/{corp_id}/token",
        corp_token,
        needs_token=False,
        billed=False,
    ),
    Api("gettoken", Family.LEGACY, "*", "/gettoken", gettoken, needs_token=False, billed=False),
)
