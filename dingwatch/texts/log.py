"""Lines of the service's log."""

from __future__ import annotations

from dingwatch.texts.language import Text


class Log(Text):
    """Lines of the service's log."""

    NOT_YET = (
        "此版本尚不支持，该设置不起作用（not yet: {key}）",
        "not yet: {key} (this version ignores it)",
    )
    SENT = ("已发送：{path} → {conversation}", "sent: {path} → {conversation}")
    NOTICED = (
        "已发送通知（代替文件）：{path} → {conversation}",
        "sent a notice instead of the file: {path} → {conversation}",
    )
    FAILED = (
        "发送失败：{path} → {conversation}（{reason}）。{advice}",
        "failed: {path} → {conversation} ({reason}). {advice}",
    )
    SKIPPED = (
        "已跳过：{path} → {conversation}（{reason}）。{advice}",
        "skipped: {path} → {conversation} ({reason}). {advice}",
    )
    WITHDRAWN = (
        "已取消发送：{path} → {conversation}（{reason}）。{advice}",
        "withdrawn: {path} → {conversation} ({reason}). {advice}",
    )
    DOUBTED = (
        "无法确认是否已送达：{path} → {conversation}（{reason}）。{advice}",
        "uncertain whether it arrived: {path} → {conversation} ({reason}). {advice}",
    )
    RETRYING = (
        "稍后重试：{path} → {conversation}（{reason}）。{advice}",
        "will retry: {path} → {conversation} ({reason}). {advice}",
    )
    RESENDING = (
        "上次发送没有收到钉钉的应答，重新发送：{path} → {conversation}",
        "resending, because DingTalk's answer was lost: {path} → {conversation}",
    )
    EXTENSION_REFUSED = (
        "钉钉不接受 .{extension} 文件，以后压缩成 zip 发送：{path}",
        "DingTalk refuses .{extension} files; sending them as zip archives from now on: {path}",
    )
    IMAGE_REFUSED = (
        "钉钉不接受这张图片，改为按文件发送：{path} → {conversation}（{reason}）。{advice}",
        "picture refused, sending it as a file: {path} → {conversation} ({reason}). {advice}",
    )
    LINE_REFUSED = (
        "文件说明发送失败，只发送文件：{path} → {conversation}（{reason}）。{advice}",
        "caption failed, sending the file alone: {path} → {conversation} ({reason}). {advice}",
    )
    PAUSED = (
        "暂停 {scope} {key}，{seconds} 秒后重试（{reason}）。{advice}",
        "paused {scope} {key}, retrying in {seconds} s ({reason}). {advice}",
    )
    OUT_OF_CALLS = (
        "API 调用额度已用完（{reason}），暂停发送到 {day}；文件不会丢失。{advice}",
        "API quota exhausted ({reason}): sending is paused until {day}, no file is lost. {advice}",
    )
    RESUMED = ("恢复 {scope} {key}", "resumed {scope} {key}")
    RECOVERED = (
        "上次运行异常中断，继续处理 {count} 项未完成的投递",
        "the last run was interrupted; resuming {count:unfinished delivery|unfinished deliveries}",
    )
    LEDGER_DOWN = (
        "发送记录数据库暂时不可用（{reason}），暂停发送。{advice}",
        "the ledger is unavailable ({reason}); nothing is sent meanwhile. {advice}",
    )
    STATE_DIR_GONE = (
        "运行期间 {path} 被删除或替换，服务停止：无法记录的文件不会发送",
        (
            "{path} was removed or replaced while in use; the service stops: nothing is sent that cannot be"
            " recorded"
        ),
    )
    BACKUP_FAILED = (
        "发送记录数据库备份失败（{reason}）。{advice}",
        "ledger backup failed ({reason}). {advice}",
    )
    CLOCK_SET_BACK = (
        "系统时间被往回调了 {seconds} 秒，等待时间已相应缩短",
        "the clock was set back by {seconds} s; waits that it would have prolonged are cut",
    )
    LEDGER_BACK = ("发送记录数据库恢复正常，继续发送", "the ledger is available again; sending continues")
    UNREADABLE = (
        "暂时无法读取：{path}（{reason}）。{advice}",
        "cannot read: {path} ({reason}). {advice}",
    )
    RESTLESS = (
        "大小和修改时间不变，但 {message} 一直在变化，因此尚未发送：{path}。{advice}",
        "size and time stay the same, but {message} keeps changing, so it is not sent: {path}. {advice}",
    )
    NOT_REGULAR = (
        "已忽略链接、管道、套接字和设备文件：{path}（共 {count} 个）",
        "ignored links, pipes, sockets and devices: {path} ({count} in total)",
    )
    UNSETTLED = (
        "{hours} 小时以来一直在变化或被占用，继续等待：{path}（{code}）。{advice}",
        "still changing or in use after {hours} hours, waiting: {path} ({code}). {advice}",
    )
    FLOOD = (
        (
            "文件夹 {folder} 一小时内新增超过 {most} 项投递，未发送的全部暂缓发送："
            "执行 dingwatch release '{folder}' 继续发送，或 dingwatch discard '{folder}' 放弃"
        ),
        (
            "folder {folder}: more than {most} deliveries within an hour; unsent ones are on hold. Run"
            " dingwatch release '{folder}' to send them, dingwatch discard '{folder}' to drop them"
        ),
    )
    TOUCHED = (
        (
            "文件夹 {folder} 中 10 个以上的旧文件只有修改时间变了（恢复或复制造成的？），未发送的暂缓发送："
            "执行 dingwatch release '{folder}' 发送，或 dingwatch discard '{folder}' 放弃"
        ),
        (
            "folder {folder}: only the times of more than 10 old files have changed (restored or copied?);"
            " unsent ones are on hold. Run dingwatch release '{folder}' to send them,"
            " dingwatch discard '{folder}' to drop them"
        ),
    )
    FALLEN_BACK = (
        "文件夹 {folder} 无法接收全部 inotify 事件（{code}），改为轮询：{path}。{advice}",
        ("folder {folder}: inotify cannot cover the whole tree ({code}); polling instead: {path}. {advice}"),
    )
    FOLDER_DOWN = (
        "文件夹 {folder} 无法监视：{path}（{code}）。{advice}",
        "folder {folder} cannot be watched: {path} ({code}). {advice}",
    )
    FOLDER_BACK = ("文件夹 {folder} 已恢复监视：{path}", "folder {folder} is watched again: {path}")
    BASELINE = (
        "文件夹 {folder}：{count} 个已有文件不发送（existing: skip）",
        "folder {folder}: {count:existing file|existing files} not sent (existing: skip)",
    )
    WIDENED = (
        (
            "文件夹 {folder} 的过滤规则放宽：{old} 个文件在上次扫描前就有，按 existing: {existing} 处理；"
            "{new} 个文件是新的，将发送"
        ),
        (
            "folder {folder}: the filter newly lets in {old:file|files} from before the last scan"
            " (existing: {existing}) and {new:new file|new files} to be sent"
        ),
    )
    REPLACED = (
        (
            "文件夹 {folder} 换成了另一个目录：{path}；其中 {old} 个旧文件按 existing: {existing} 处理，"
            "{new} 个文件是新的，将发送"
        ),
        (
            "folder {folder}: another directory lies at {path}; it holds {old:old file|old files}"
            " (existing: {existing}) and {new:new file|new files} to be sent"
        ),
    )
    SWITCHED = (
        "文件夹 {folder} 的路径 {path} 现在指向 {root}（原来是 {before}），改为监视新的目录",
        "folder {folder}: {path} now leads to {root} (before: {before}); watching the new directory",
    )
    QUEUED = ("已加入发送队列：{path}", "queued: {path}")
    NO_TRUST_STORE = (
        (
            "系统没有 CA 证书库（ca-certificates），改用 certifi 自带的列表；"
            "公司代理的证书请用 REQUESTS_CA_BUNDLE 指定"
        ),
        (
            "the system has no store of CA certificates (ca-certificates): certifi's list is used instead;"
            " name the CA of a company's proxy in REQUESTS_CA_BUNDLE"
        ),
    )
    READY = ("正在监视 {count} 个文件夹", "watching {count:folder|folders}")
    HANG_UP = (
        "收到 SIGHUP，不作处理；修改配置后请重启服务",
        "SIGHUP is ignored; restart the service after changing the config",
    )
    NO_OUTPUT = (
        "无法写标准输出（{reason}），服务继续运行",
        "cannot write to standard output ({reason}); the service goes on",
    )
    BUG = (
        "程序内部错误，服务停止；重启后继续未完成的发送",
        "internal error, the service stops; after a restart it continues the unfinished work",
    )
