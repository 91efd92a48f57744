"""The one line of `status --check`, and the live view of `status --watch`."""

from __future__ import annotations

from dingwatch.texts.language import Text


class Monitor(Text):
    """The one line of `status --check`, and the live view of `status --watch`."""

    BETWEEN = ("；", "; ")
    NO_TERMINAL = (
        "--watch 需要终端；请改用 dingwatch status 或 dingwatch status --json。",
        "--watch needs a terminal; use dingwatch status or dingwatch status --json instead.",
    )
    IN_HAND = ("正在发送：{count}", "in progress: {count}")
    CHANGING = ("仍在变化", "still changing")
    BEING_WRITTEN = ("有程序正在写入", "a program is writing it")
    LOCKED = ("有编辑器打开它", "open in an editor")
    SETTLING = ("等待稳定：{count}", "settling: {count}")
    IN_QUEUE = ("等待发送：{count}", "waiting: {count}")
    LAST_SENT = ("最近发送的 {count} 个：", "the last {count} sent:")
    WELL = (
        "正在监视 {count} 个文件夹，{waiting} 个文件等待发送",
        "watching {count:folder|folders}, {waiting} waiting",
    )
    FORBIDDEN = (
        "没有权限访问 {path}，请用服务的用户或 root 运行",
        "permission denied: {path}; run this as the service's user or as root",
    )
    SILENT = (
        "服务没有应答，或属于其他用户；请用服务的用户或 root 运行，仍无应答就重启服务",
        (
            "the service does not answer, or is another user's; run this as the service's user or as root,"
            " and restart the service if it still does not answer"
        ),
    )
    NOT_RUNNING = (
        "服务没有运行，请启动（systemctl start dingwatch）",
        "the service is not running; start it (systemctl start dingwatch)",
    )
    CONFIG = (
        "配置文件有 {count} 处问题，服务重启后无法启动，见 dingwatch check --offline",
        (
            "the config file has {count:problem|problems}, and the service could not start again;"
            " dingwatch check --offline lists them"
        ),
    )
    DOWN = (
        "无法监视的文件夹：{names}，原因见 dingwatch check --offline",
        "folders that cannot be watched: {names}; dingwatch check --offline shows why",
    )
    UNWATCHED = (
        "因节点失联而无人监视的文件夹：{names}",
        "folders that nobody watches, because their node is lost: {names}",
    )
    NODES_LOST = (
        "失联的节点：{names}，请检查那台主机上的服务",
        "nodes that are lost: {names}; look after the service on that host",
    )
    POLLED = (
        "配置了 inotify 但改为轮询的文件夹：{names}，见 dingwatch check --offline",
        "polled although inotify was asked for: {names}; see dingwatch check --offline",
    )
    FAILED = (
        "{count} 项发送失败，见 dingwatch history --state failed",
        "{count} failed; see dingwatch history --state failed",
    )
    UNCERTAIN = (
        "{count} 项结果不确定，见 dingwatch history --state uncertain",
        "{count} uncertain; see dingwatch history --state uncertain",
    )
    HELD = (
        "{count} 项暂缓发送（{names}），请执行 dingwatch release 或 discard",
        "{count} on hold ({names}); run dingwatch release or discard",
    )
    WAITING = (
        "最早的文件已等待 {minutes} 分钟，原因见 dingwatch status",
        "the oldest file has waited for {minutes} min; dingwatch status shows why",
    )
    NO_CALLS = (
        "钉钉因本月额度用完而拒绝调用，见 dingwatch status",
        "DingTalk refuses calls because the month's are used up; see dingwatch status",
    )
    CALLS = (
        "本月已用 {used} 次调用，额度 {limit} 次，见 dingwatch status",
        "{used} of the month's {limit} calls are used; see dingwatch status",
    )
