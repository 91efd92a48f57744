"""Findings of `check`."""

from __future__ import annotations

from dingwatch.texts.language import Text


class Checks(Text):
    """Findings of `check`."""

    CONFIG = ("配置正确，{count} 个文件夹", "the config is valid, {count:folder|folders}")
    STATE = ("state_dir {path} 可写", "state_dir {path} is writable")
    STATE_BAD = (
        "state_dir {path} 不可写；请修改权限，或用服务的用户运行本检查",
        "state_dir {path} is not writable; fix its permissions, or run this as the service's user",
    )
    STATE_NETWORK = (
        "state_dir {path} 在网络文件系统（{kind}）上，SQLite 在那里不可靠；请改用本地磁盘",
        "state_dir {path} is on a network file system ({kind}), where SQLite is not safe; use a local disk",
    )
    LEDGER = (
        "发送记录数据库正常；{month} 已用 API 调用 {used} 次",
        "the ledger can be opened; {used} API calls in {month}",
    )
    LEDGER_BAD = (
        "发送记录数据库无法打开：{reason}。{advice}",
        "the ledger cannot be opened: {reason}. {advice}",
    )
    FOLDER = ("{name}：{path} 可读（{kind}，{how}）", "{name}: {path} is readable ({kind}, {how})")
    FOLDER_BAD = (
        "{name}：{path} 无法监视（{reason}）。{advice}",
        "{name}: {path} cannot be watched ({reason}). {advice}",
    )
    IN_USE = (
        (
            "{name}：{path} 正由另一个 dingwatch 监视（{holder}），服务会等它停止后接管；"
            "请停止它，或设置 exclusive: false"
        ),
        (
            "{name}: {path} is watched by another dingwatch ({holder}), and the service would wait for it;"
            " stop that one, or set exclusive: false"
        ),
    )
    PROCESS = ("进程 {pid}：{program}", "process {pid}, {program}")
    PROCESS_UNSEEN = (
        "这里看不到它的进程，可能在另一个容器里",
        "its process cannot be seen from here; it may be in another container",
    )
    LATER = (
        "此版本尚不支持，该设置不起作用（not yet: {key}）",
        "not yet: {key} (this version ignores it)",
    )
    SHARED_LATER = (
        "{name}：尚不支持 shared（not yet）",
        "{name}: not yet: shared",
    )
    EVENTS = ("inotify 事件", "inotify events")
    POLLED = ("轮询", "polled")
    BLIND = (
        "{name}：{kind} 上收不到其他主机改动的事件；建议设为 watch: auto",
        "{name}: on {kind}, changes by other hosts cause no events; use watch: auto",
    )
    BASELINE = (
        "{name}：首次运行不发送 {count} 个已有文件",
        "{name}: the first run does not send {count:existing file|existing files}",
    )
    BACKLOG = (
        "{name}：首次运行会发送 {count} 条消息，约 {calls} 次 API 调用",
        "{name}: the first run sends {count:message|messages}, about {calls:API call|API calls}",
    )
    RECIPIENTS = ("{name}：还会发给 {recipients}", "{name}: also goes to {recipients}")
    KNOWN = (
        "{name}：以前监视过，只发送新文件",
        "{name}: has been watched before; only new files are sent",
    )
    WATCHES = (
        "需要 {needed} 个 inotify 监视，上限 {limit}",
        "{needed} inotify watches needed, {limit} allowed",
    )
    WATCHES_FEW = (
        "需要 {needed} 个 inotify 监视，上限 {limit}；请执行 sysctl -w fs.inotify.max_user_watches={wanted}",
        "{needed} inotify watches needed, {limit} allowed: sysctl -w fs.inotify.max_user_watches={wanted}",
    )
    TOKEN = ("凭证有效", "the credentials are valid")
    TOKEN_BAD = (
        "无法从 {host} 获取访问令牌（{reason}）。{advice}",
        "cannot get a token from {host} ({reason}). {advice}",
    )
    CLOCK_WRONG = (
        "本机时间比钉钉{direction} {seconds} 秒：请用 timedatectl 检查，并启用 NTP 校时",
        "this machine's clock is {seconds} s {direction} DingTalk's: check timedatectl, and enable NTP",
    )
    AHEAD = ("快", "ahead of")
    BEHIND = ("慢", "behind")
    PROXIED = ("通过代理 {proxy} 访问钉钉", "DingTalk is reached through the proxy {proxy}")
    ROBOT = ("机器人在会话 {conversation} 中", "the robot is in conversation {conversation}")
    ROBOT_BAD = (
        "机器人不在会话 {conversation} 中。{advice}",
        "the robot is not in conversation {conversation}. {advice}",
    )
    ROBOT_UNKNOWN = (
        "无法查询会话 {conversation} 中的机器人（{reason}）。{advice}",
        "cannot list the robots of conversation {conversation} ({reason}). {advice}",
    )
    NOT_ASKED = (
        "以同样的原因，没有再查询会话 {conversations}",
        "for the same reason nothing was asked about {conversations}",
    )
    OPERATOR = (
        "operator_union_id 对应的成员可以使用会话 {conversation} 的群文件",
        "the person of operator_union_id can use the files of conversation {conversation}",
    )
    OPERATOR_BAD = (
        "operator_union_id 对应的成员不能使用会话 {conversation} 的群文件（{reason}）。{advice}",
        "the person of operator_union_id cannot use conversation {conversation}'s files ({reason}). {advice}",
    )
    CONFIG_BAD = ("配置：{problem}", "config: {problem}")
    LEDGER_LATER = ("尚不支持 PostgreSQL 数据库（not yet）", "not yet: a ledger in PostgreSQL")
    UNLISTED = (
        "{name}：无法列出 {path}（{reason}）。{advice}",
        "{name}: cannot list {path} ({reason}). {advice}",
    )
    QUOTA = (
        "首次运行约需 {calls} 次 API 调用；{month} 已用 {used} 次，额度 {limit} 次",
        "the first run makes about {calls} API calls; {used} of {limit} in {month} are used",
    )
    QUOTA_SHORT = (
        "首次运行约需 {calls} 次 API 调用；{month} 已用 {used} 次，额度 {limit} 次：请改用 existing: skip",
        (
            "the first run makes about {calls} API calls, but {used} of {limit} in {month} are used:"
            " use existing: skip"
        ),
    )
