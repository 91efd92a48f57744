"""The refusals that any API may give, said as each host says them."""

from aiohttp import web

from dingwatch.sandbox.answers import Family, Refusal, refused
from dingwatch.sandbox.signatures import too_skewed


def token_missing(family: Family) -> Refusal:
    """No token where this host looks for it."""
    if family is Family.NEW:
        message = "缺少参数：x-acs-dingtalk-access-token"
        return Refusal("AuthenticationFailed.MissingParameter", message, at_gate=True)
    return Refusal(41001, "缺少access_token参数", at_gate=True)


def token_invalid(family: Family, errcode: int) -> Refusal:
    """A token that is unknown or past its end: 400 on the new host, not 401."""
    if family is Family.STORAGE:
        return too_skewed()
    message = "不合法的access_token"
    return Refusal("InvalidAuthentication" if family is Family.NEW else errcode, message, at_gate=True)


def throttled(family: Family) -> Refusal:
    """More calls a second than the app may make; 403 and not 429 (KB:1433). The text is unverified [?]."""
    if family is Family.STORAGE:
        return Refusal("SlowDown", "Please reduce your request rate.", status=503)
    message = "您的服务器调用钉钉开放平台当前接口的请求超过了QPS上限，请1秒后重试"
    code = "Forbidden.AccessDenied.QpsLimitForAppkeyAndApi" if family is Family.NEW else 90018
    return Refusal(code, message, status=_denied(family), at_gate=True)


def throttled_minute(family: Family) -> Refusal:
    """More calls a minute than the app may make (KB:0013). The legacy host's code is unverified [?]."""
    message = "您的服务器调用钉钉开放平台当前接口的请求超过了QPM上限，请1分钟后重试"
    code = "Forbidden.AccessDenied.QpmLimitForAppkeyAndApi" if family is Family.NEW else 90018
    return Refusal(code, message, status=_denied(family), at_gate=True)


def exhausted(family: Family, used: int, allowed: int) -> Refusal:
    """The organisation's calls of this month are used up (KB:1433), and the text holds both figures.

    The text is the legacy host's, from a help page. That the new host says the same is unverified [?].
    """
    if family is Family.STORAGE:
        return _access_denied()
    figures = f"调用量:{used}次,额度:{allowed}次"
    message = f"您的企业本月api调用量已超过限制,{figures},请登录开发者后台-资源管理-查看用量明细"
    code = "Forbidden.AccessDenied.ApiCountLimitForOrg" if family is Family.NEW else 90020
    return Refusal(code, message, status=_denied(family), at_gate=True)


def ip_not_allowed(family: Family, address: str) -> Refusal:
    """The caller's address is not on the app's list; the message usually quotes it."""
    if family is Family.STORAGE:
        return _access_denied()
    message = f"访问ip不在白名单之中,request ip={address}"
    code = "Forbidden.AccessDenied.IpNotInWhiteList" if family is Family.NEW else 60020
    return Refusal(code, message, status=_denied(family), at_gate=True)


def no_permission(family: Family, scope: str) -> Refusal:
    """The app lacks a permission."""
    if family is Family.STORAGE:
        return _access_denied()
    message = (
        f"没有调用该接口的权限，应用尚未开通所需的权限：[{scope}]，请在开发者后台的权限管理中申请并发布版本"
    )
    if family is Family.NEW:
        code = "Forbidden.AccessDenied.AccessTokenPermissionDenied"
        return Refusal(code, message, status=403, scopes=(scope,), at_gate=True)
    return Refusal(60011, message, at_gate=True)


def missing_body() -> Refusal:
    """New host: the body is not declared as JSON, or there is none."""
    return Refusal("Missingbody", "body is mandatory for this action.")


def invalid_body() -> Refusal:
    """New host: the body is not a JSON object."""
    return Refusal("Invalidbody", "Specified parameter body is not valid. JSON parsing error")


def missing_field(name: str) -> Refusal:
    """New host: a required field is absent."""
    return Refusal(f"Missing{name}", f"{name} is mandatory for this action.")


def unsupported_type(name: str) -> str:
    """The text for a type of message that does not exist, as it was seen in public on both hosts."""
    how = "请参考本接口对应文档查看支持的消息类型，或者在https://open.dingtalk.com/document/ 搜索对应文档"
    return f"错误描述: 不支持类型 {name} ;解决方案:请使用支持的类型;参考链接:{how};"


def unknown_path(host: str, path: str) -> web.Response:
    """No such API, as each family says it. The body of the new host's 404 is unverified [?]."""
    if path.startswith("/topapi/"):
        return refused(Family.TOPAPI, _unknown_topapi(path))
    if path.startswith(("/v1.0/", "/v2.0/")) or host.startswith("api."):
        message = "Specified api is not found, please check your url and method."
        return refused(Family.NEW, Refusal("InvalidAction.NotFound", message, status=404))
    return refused(Family.LEGACY, Refusal(404, "请求的URI地址不存在"))


def wrong_method(family: Family, wanted: str, host: str, path: str) -> web.Response:
    """A known path, but GET for POST or the other way round (43001, 43002)."""
    if family is Family.NEW:
        return unknown_path(host, path)
    if family is Family.STORAGE:
        message = "The specified method is not allowed against this resource."
        return refused(family, Refusal("MethodNotAllowed", message, status=405))
    code = 43001 if wanted == "GET" else 43002
    return refused(family, Refusal(code, f"需要{wanted}请求"))


def _unknown_topapi(path: str) -> Refusal:
    name = "dingtalk.oapi." + path.removeprefix("/topapi/").strip("/").replace("/", ".")
    return Refusal(22, f"不合法ApiName，ApiName = {name}")


def _access_denied() -> Refusal:
    """What object storage says to whatever is not allowed [?]."""
    return Refusal("AccessDenied", "You have no right to access this object.", status=403)


def _denied(family: Family) -> int | None:
    return 403 if family is Family.NEW else None
