"""Why DingTalk cannot be used from here, and what to click."""

from __future__ import annotations

from dingwatch.texts.language import Text


class Purpose(Text):
    """The purpose of a permission."""

    FOR = ("（{purposes}）", " ({purposes})")
    SEND = ("用于发送消息和文件", "it is needed to send messages and files")
    ROBOTS = (
        "只用于 check 和 init 查询机器人是否在群里，发送文件不需要它",
        "only check and init need it, to see whether the robot is in the group, not sending",
    )
    CONVERT = ("用于把 chatId 转换为会话 ID", "it is needed to convert a chatId")
    PERSONS = (
        "用于向个人发送超过 20 MiB 的文件，以及 receipts 显示姓名",
        "it is needed to send files over 20 MiB to persons, and for names in receipts",
    )
    OPEN = ("用于 link --open 显示预览地址", "it is needed for the addresses of link --open")
    FETCH = ("用于 fetch 和 link 取回大文件", "it is needed to download large files with fetch and link")
    OPERATOR = (
        "只用于 check 查询操作人能否使用群文件，发送文件不需要它",
        "only check needs it, to see whether the operator can use the group's files, not sending",
    )
    DRIVE = ("用于经钉盘发送超过 20 MiB 的文件", "it is needed to send files over 20 MiB through the drive")


class Diagnosis(Text):
    """Advice where more is known than the name of the cause."""

    SCOPE = (
        (
            "应用缺少权限 {scopes}{purpose}：开发者后台 → 应用 → 权限管理，搜索 {scopes} 并申请；"
            "再到 版本管理与发布 发布新版本，发布后才生效。"
        ),
        (
            "The app lacks the permission {scopes}{purpose}: developer console → app → 权限管理"
            " (permissions), search {scopes} and request it; then publish a new version (版本管理与发布), or"
            " it has no effect."
        ),
    )
    IP = (
        (
            "本机的出口 IP {address} 不在白名单中：开发者后台 → 应用 → 安全设置 → 服务器出口IP，"
            "添加 {address} 并保存。"
        ),
        (
            "This machine's address {address} is not on the allow-list: developer console → app → 安全设置 →"
            " 服务器出口IP, add {address} and save."
        ),
    )
    EXPIRED = (
        "证书不在有效期内，很可能是本机时间不对：请用 timedatectl 检查，并启用 NTP 校时。",
        (
            "The certificate is not valid at this time, so the clock is probably wrong: check timedatectl,"
            " and enable NTP."
        ),
    )
    INTERCEPTED = (
        (
            "对方的证书不是公认机构签发的，很可能是公司代理或防火墙在解密流量：请让它放行"
            " *.dingtalk.com，或把公司的 CA 证书加入系统信任库（update-ca-certificates、update-ca-trust），"
            "或用 REQUESTS_CA_BUNDLE 指定。"
        ),
        (
            "The certificate was not issued by a public authority: a proxy or firewall probably decrypts the"
            " traffic. Exempt *.dingtalk.com there, or add the company's CA to the system's trust store"
            " (update-ca-certificates, update-ca-trust), or name it in REQUESTS_CA_BUNDLE."
        ),
    )
    PROXY_LOGIN = (
        (
            "代理 {proxy} 要求登录：请把用户名和密码写进 HTTPS_PROXY（http://user:password@host:port），"
            "或用 NO_PROXY 让钉钉不经过代理。"
        ),
        (
            "The proxy {proxy} requires a login: put it into HTTPS_PROXY (http://user:password@host:port), or"
            " bypass the proxy for DingTalk with NO_PROXY."
        ),
    )
    PROXY = (
        (
            "请求经过代理 {proxy}（环境变量 HTTP_PROXY / HTTPS_PROXY），没有得到钉钉的应答：请检查代理，"
            "或设置 NO_PROXY=.dingtalk.com 让钉钉不经过它。"
        ),
        (
            "Requests go through the proxy {proxy} (HTTP_PROXY / HTTPS_PROXY), and DingTalk's answer did not"
            " come back: check the proxy, or bypass it with NO_PROXY=.dingtalk.com."
        ),
    )
    GATE_PAGE = (
        (
            "应答是网页，不是钉钉接口的数据：中间可能有代理、防火墙或上网认证页；也可能是同一出口 IP"
            " 请求过多，被钉钉暂时拦截，请五分钟后再试。"
        ),
        (
            "The answer is a web page, not an API response: there may be a proxy, a firewall or a log-in page"
            " in between. Or DingTalk blocks this IP after too many requests; then try again in five minutes."
        ),
    )
