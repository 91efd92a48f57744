"""Alerts and the daily summary: messages to whoever runs dingwatch. Markdown; values come escaped."""

from __future__ import annotations

from dingwatch.texts.language import Text


class Alerts(Text):
    """Alerts and the daily summary."""

    TITLE = ("dingwatch {host}：{count} 个问题", "dingwatch {host}: {count:problem|problems}")
    TITLE_OVER = (
        "dingwatch {host}：{count} 个问题已恢复",
        "dingwatch {host}: {count:problem|problems} resolved",
    )
    HEAD = ("{host} 上的 dingwatch 需要处理：", "dingwatch on {host} needs attention:")
    HEAD_OVER = ("{host} 上的 dingwatch 已恢复：", "dingwatch on {host}, resolved:")
    MORE = (
        "另有 {count} 项，请执行 {status} 查看。",
        "{count} more: run {status} to see them.",
    )
    LEDGER = (
        "发送记录数据库自 {since} 起无法写入（{reason}），期间不发送任何文件，也不丢失文件。{advice}",
        (
            "The ledger has not been writable since {since} ({reason}): nothing is sent meanwhile, nothing is"
            " lost. {advice}"
        ),
    )
    LEDGER_OVER = (
        "发送记录数据库已恢复，继续发送（问题始于 {since}）。",
        "The ledger can be written again, sending continues (it began {since}).",
    )
    REFUSED = (
        "钉钉自 {since} 起拒绝调用：{target}（{reason}）。{advice}处理后执行 {resume} 立即重试。",
        (
            "DingTalk has refused calls since {since}: {target} ({reason}). {advice} Then run {resume}"
            " to try again at once."
        ),
    )
    REFUSED_OVER = (
        "钉钉重新接受调用：{target}（问题始于 {since}）。",
        "DingTalk takes calls again: {target} (it began {since}).",
    )
    QUOTA = (
        (
            "本月 API 调用已用 {used} / {limit} 次，超过 {share} %。"
            "请减少发送，或在开发者后台购买；详情见 {status}。"
        ),
        (
            "{used} of the month's {limit} API calls are used, more than {share} %. Send less, or buy more in"
            " the developer console; {status} shows what uses them."
        ),
    )
    QUOTA_FULL = (
        (
            "本月 API 调用额度已用完（{used} / {limit} 次），钉钉可能拒绝后续调用；"
            "届时文件等待发送，不会丢失。请在开发者后台购买后执行 {resume}，或等到下个月 1 日。"
        ),
        (
            "The month's API calls are used up ({used} of {limit}): DingTalk may refuse more, and files wait"
            " then. None is lost. Buy more in the developer console and run {resume}, or wait until the 1st."
        ),
    )
    QUOTA_OVER = ("API 调用额度重新可用。", "There are API calls left again.")
    NODE_LOST = (
        "节点 {name} 自 {since} 起失联，它的文件夹无人监视。请检查那台主机；如果它不再使用，请执行 {drain}。",
        (
            "Node {name} has been lost since {since}: nobody watches its folders. Look after that host; if it"
            " is gone for good, run {drain}."
        ),
    )
    NODE_LOST_OVER = (
        "节点 {name} 已恢复，或已执行 drain（问题始于 {since}）。",
        "Node {name} works again or was drained (it began {since}).",
    )
    FOLDER_DOWN = (
        "文件夹 {name} 自 {since} 起无法监视{reason}，其中的文件不会发送。{advice}",
        "Folder {name} has been down since {since}{reason}: its files are not sent. {advice}",
    )
    FOLDER_DOWN_OVER = (
        "文件夹 {name} 已恢复监视（问题始于 {since}）。",
        "Folder {name} is watched again (it began {since}).",
    )
    NODE_FOLDER_DOWN = (
        "节点 {node} 上的文件夹 {name} 自 {since} 起无法监视{reason}，该节点不会发送其中的文件。{advice}",
        (
            "Folder {name} on node {node} has been down since {since}{reason}: that node sends none of its"
            " files. {advice}"
        ),
    )
    NODE_FOLDER_DOWN_OVER = (
        "节点 {node} 上的文件夹 {name} 已恢复监视（问题始于 {since}）。",
        "Folder {name} on node {node} is watched again (it began {since}).",
    )
    HELD = (
        "文件夹 {name} 自 {since} 起有 {count} 项投递暂缓发送。执行 {release} 继续发送，或 {discard} 放弃。",
        (
            "Folder {name} has {count:delivery|deliveries} on hold since {since}. Run {release} to send them,"
            " or {discard} to drop them."
        ),
    )
    HELD_OVER = (
        "文件夹 {name} 不再有暂缓发送的文件（问题始于 {since}）。",
        "Folder {name} has nothing on hold any more (it began {since}).",
    )
    FAILED = (
        (
            "文件夹 {name} 有 {count} 项发送失败（始于 {since}），最近一个：{file}（{reason}）。"
            "{advice}处理后执行 {retry}；列表见 {list}。"
        ),
        (
            "Folder {name} has {count:failed delivery|failed deliveries} since {since}, the latest {file}"
            " ({reason}). {advice} Then run {retry}; {list} lists them."
        ),
    )
    FAILED_OVER = (
        "文件夹 {name} 不再有发送失败的文件（问题始于 {since}）。",
        "Folder {name} has no failed file any more (it began {since}).",
    )
    UNCERTAIN = (
        (
            "文件夹 {name} 有 {count} 项无法确认是否已送达（始于 {since}），最近一个：{file}。"
            "请到会话中查看，再执行 {resolve}；列表见 {list}。"
        ),
        (
            "Folder {name} has {count:delivery|deliveries} of which nobody knows whether they arrived, since"
            " {since}, the latest {file}. Look into the conversation, then run {resolve}; {list} lists them."
        ),
    )
    UNCERTAIN_OVER = (
        "文件夹 {name} 不再有结果不确定的文件（问题始于 {since}）。",
        "Folder {name} has no uncertain file any more (it began {since}).",
    )
    GATE = (
        (
            "文件夹 {name} 有 {count} 个文件等待发送：before_send 的程序没有给出结果（始于 {since}，"
            "{reason}）。{advice}"
        ),
        (
            "Folder {name}: {count:file waits|files wait} because the program of before_send has given no"
            " verdict since {since} ({reason}). {advice}"
        ),
    )
    GATE_OVER = (
        "文件夹 {name} 的 before_send 程序恢复正常（问题始于 {since}）。",
        "Folder {name}: the program of before_send gives verdicts again (it began {since}).",
    )
    SENT_BY_HAND = ("dingwatch send", "dingwatch send")
    REASON = ("（{reason}）", " ({reason})")

    SUMMARY_TITLE = ("dingwatch {host}：{day} 汇总", "dingwatch {host}: summary of {day}")
    SUMMARY_HEAD = (
        "{host} 上的 dingwatch，{since} 至 {until}：共发送 {sent} 项。",
        "dingwatch on {host}, {since} to {until}: {sent} sent.",
    )
    SUMMARY_FOLDER = (
        "{name}：发送 {sent}，等待 {waiting}，暂缓 {held}，失败 {failed}，不确定 {uncertain}",
        "{name}: {sent} sent, {waiting} waiting, {held} on hold, {failed} failed, {uncertain} uncertain",
    )
    SUMMARY_DOWN = ("{folder}，目前无法监视", "{folder}; it cannot be watched now")
    SUMMARY_QUIET = (
        "其余 {count} 个文件夹没有文件。",
        "Nothing in {count:other folder|other folders}.",
    )
