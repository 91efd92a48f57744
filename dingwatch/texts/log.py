"""Lines of the service's log."""

from __future__ import annotations

from dingwatch.texts.language import Text


class Log(Text):
    """Lines of the service's log."""

    NODE_TAKEN = (
        (
            "另一台主机（或另一个进程）正以节点名 {node} 使用同一个发送记录数据库，服务已停止。"
            "请在其中一处的配置里用 node: 设置另一个名称，然后重新启动"
        ),
        (
            "another host or process works on the same ledger as node {node}, so the service stopped. Set"
            " another name by node: in the config of one of them, then start it again"
        ),
    )
    LEASE_LOST = (
        "节点 {node} 与数据库失去联系的时间过长，其他节点可能已接手其未完成的发送；现已恢复",
        (
            "node {node} could not reach the database for too long; other nodes may have taken over what it"
            " had in hand. It works again"
        ),
    )
    FAILED_OVER = (
        "数据库已切换到备用服务器；补写了其中缺少的 {count} 条发送记录",
        (
            "the database has failed over to another server; {count} deliveries that it did not know of"
            " are written again"
        ),
    )
    NODE_LOST = (
        "节点 {node} 已失去联系；其 {count} 个未完成的发送由其他节点继续",
        "node {node} is lost; the {count} deliveries that it had in hand go on without it",
    )
    SENT = (
        "已发送：{file} → {conversation}（{size}，用时 {duration}）",
        "sent: {file} → {conversation} ({size}, {duration})",
    )
    PUT_AWAY = ("已发送的文件已移走：{file} → {place}", "moved after it was sent: {file} → {place}")
    PUT_BACK = (
        "移走后又有变化，已移回：{place} → {file}，稳定后再处理",
        "changed after it was moved, so moved back: {place} → {file}",
    )
    NO_FEEDBACK = (
        (
            "文件夹 {folder} 无法写入（{reason}）：不能放置提示，也不能移动已发送的文件，发送不受影响。"
            "请检查权限；systemd 服务还需要 ReadWritePaths=（见 dingwatch check）"
        ),
        (
            "cannot write to folder {folder} ({reason}): no notes, no moves of sent files; sending goes on."
            " Check its permissions; a systemd service also needs ReadWritePaths= (dingwatch check)"
        ),
    )
    NO_DIRECTORY = (
        (
            "文件夹 {folder} 中的 {place} 被其他文件或链接占用（{reason}），"
            "已发送的文件留在原处，发送不受影响。请把它改名或移走"
        ),
        (
            "folder {folder}: a file or a link is in the way of {place} ({reason}), so sent files stay where"
            " they are; sending goes on. Rename it, or move it away"
        ),
    )
    NOTICED = (
        "已发送通知（代替文件）：{file} → {conversation}（{size}，用时 {duration}）",
        "sent a notice instead of the file: {file} → {conversation} ({size}, {duration})",
    )
    FAILED = (
        "发送失败：{file} → {conversation}（{reason}）。{advice}",
        "failed: {file} → {conversation} ({reason}). {advice}",
    )
    SKIPPED = (
        "已跳过：{file} → {conversation}（{reason}）。{advice}",
        "skipped: {file} → {conversation} ({reason}). {advice}",
    )
    WITHDRAWN = (
        "已取消发送：{file} → {conversation}（{reason}）。{advice}",
        "withdrawn: {file} → {conversation} ({reason}). {advice}",
    )
    DOUBTED = (
        "无法确认是否已送达：{file} → {conversation}（{reason}）。{advice}",
        "uncertain whether it arrived: {file} → {conversation} ({reason}). {advice}",
    )
    RETRYING = (
        "稍后重试：{file} → {conversation}（{reason}）。{advice}",
        "will retry: {file} → {conversation} ({reason}). {advice}",
    )
    RESENDING = (
        "上次发送没有收到钉钉的应答，重新发送：{file} → {conversation}",
        "resending, because DingTalk's answer was lost: {file} → {conversation}",
    )
    EXTENSION_REFUSED = (
        "钉钉不接受 .{extension} 文件，以后压缩成 zip 发送：{file}",
        "DingTalk refuses .{extension} files; sending them as zip archives from now on: {file}",
    )
    IMAGE_REFUSED = (
        "钉钉不接受这张图片，改为按文件发送：{file} → {conversation}（{reason}）。{advice}",
        "picture refused, sending it as a file: {file} → {conversation} ({reason}). {advice}",
    )
    BUNDLE_REFUSED = (
        "钉钉不接受压缩包，其中的文件改为逐个发送：{file} → {conversation}（{reason}）。{advice}",
        "archive refused, sending its files one by one: {file} → {conversation} ({reason}). {advice}",
    )
    LINE_REFUSED = (
        "文件说明发送失败，只发送文件：{file} → {conversation}（{reason}）。{advice}",
        "caption failed, sending the file alone: {file} → {conversation} ({reason}). {advice}",
    )
    PAUSED = (
        "暂停 {scope} {key}，{seconds} 秒后重试（{reason}）。{advice}",
        "paused {scope} {key}, retrying in {seconds} s ({reason}). {advice}",
    )
    ENTRY_DELETED = (
        "已从钉盘中删除到期的文件：{folder}/{name}",
        "deleted from the drive, as drive_keep says: {folder}/{name}",
    )
    ENTRY_STAYS = (
        "无法从钉盘中删除 {folder}/{name}，不再尝试（{reason}）。{advice}",
        "{folder}/{name} cannot be deleted from the drive and stays there ({reason}). {advice}",
    )
    SCREENING_FAILED = (
        "发送前检查没有结果，文件等待：{file}（{reason}）。{advice}",
        "before_send gave no verdict, files wait: {file} ({reason}). {advice}",
    )
    SCREENING_WORKS = (
        "文件夹 {folder} 的发送前检查恢复正常",
        "before_send works again in folder {folder}",
    )
    OUT_OF_CALLS = (
        "API 调用额度已用完（{reason}），暂停发送到 {day}；文件不会丢失。{advice}",
        "API quota exhausted ({reason}): sending is paused until {day}, no file is lost. {advice}",
    )
    RESUMED = ("恢复 {scope} {key}", "resumed {scope} {key}")
    FOLDER_PAUSED = (
        "文件夹 {folder} 已被 {by} 暂停，新文件排队等待；执行 dingwatch resume '{folder}' 恢复发送",
        (
            "folder {folder} was paused by {by}; files are queued until its time is over or"
            " dingwatch resume '{folder}'"
        ),
    )
    FOLDER_RESUMED = ("文件夹 {folder} 恢复发送", "folder {folder} is resumed: sending continues")
    ALERT_SENT = (
        "已发送告警：{count} 项 → {conversation}",
        "alert sent: {count:item|items} → {conversation}",
    )
    SUMMARY_SENT = ("已发送每日汇总：{conversation}", "daily summary sent: {conversation}")
    ALERT_FAILED = (
        "告警没有送达 {conversation}（{reason}），稍后重试。{advice}",
        "an alert did not reach {conversation} ({reason}), it will be tried again. {advice}",
    )
    ALERT_LOST = (
        "告警是否送达 {conversation} 无法确认（{reason}），不再重发。",
        "nobody knows whether an alert reached {conversation} ({reason}); it is not sent again.",
    )
    HEARTBEAT_FAILED = (
        "心跳地址 alerts.heartbeat_url 访问失败（{reason}）。请检查该地址和网络。",
        "the heartbeat (alerts.heartbeat_url) failed ({reason}); check the address and the network",
    )
    HEARTBEAT_BACK = ("心跳恢复正常", "the heartbeat gets through again")
    RECOVERED = (
        "上次运行异常中断，继续处理 {count} 项未完成的投递",
        "the last run was interrupted; resuming {count:unfinished delivery|unfinished deliveries}",
    )
    LEDGER_DOWN = (
        "发送记录数据库暂时不可用（{reason}），暂停发送。{advice}",
        "the ledger is unavailable ({reason}); nothing is sent meanwhile. {advice}",
    )
    STATE_DIR_GONE = (
        "运行期间 {path} 被删除或替换，服务停止：无法记录的文件不会发送；请放回原处，再启动服务",
        (
            "{path} was removed or replaced while in use; the service stops: nothing is sent that cannot be"
            " recorded. Put it back, and start the service"
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
        "暂时无法读取：{file}（{reason}）。{advice}",
        "cannot read: {file} ({reason}). {advice}",
    )
    RESTLESS = (
        "大小和修改时间不变，但 {message} 一直在变化，因此尚未发送：{file}。{advice}",
        "size and time stay the same, but {message} keeps changing, so it is not sent: {file}. {advice}",
    )
    NOT_REGULAR = (
        "已忽略链接、管道、套接字和设备文件：{file}（共 {count} 个）",
        "ignored links, pipes, sockets and devices: {file} ({count} in total)",
    )
    UNSETTLED = (
        "{hours} 小时以来一直在变化或被占用，继续等待：{file}（{code}）。{advice}",
        "still changing or in use after {hours} hours, waiting: {file} ({code}). {advice}",
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
        "文件夹 {folder} 无法监视：{path}（{reason}）。{advice}",
        "folder {folder} cannot be watched: {path} ({reason}). {advice}",
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
    QUEUED = ("已加入发送队列：{file}（{size}）", "queued: {file} ({size})")
    REPEATED = (
        "{sentence}（{minutes} 分钟内又出现 {count} 次同样的问题，这是最后一次）",
        "{sentence} [the last of {count} more like this within {minutes} min]",
    )
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
    DIRECTORY_NEW = (
        "文件夹 {folder}：发现新目录，开始监视：{path}",
        "folder {folder}: a new directory, watched from now on: {path}",
    )
    DIRECTORY_GONE = (
        "文件夹 {folder}：目录已不存在或不再有收件人，停止监视：{path}",
        "folder {folder}: the directory is gone, or nobody is to get its files; watched no more: {path}",
    )
    DIRECTORY_UNLISTED = (
        "目录不在 recipients 表中，没有监视：{path}；请在表中加一行",
        "a directory that is not in the table of recipients is not watched: {path}; add a line for it",
    )
    TABLE_REFUSED = (
        "收件人表有误，继续使用原来的表：{problem}",
        "the table of recipients is wrong, the former one stays in force: {problem}",
    )
    READY = ("正在监视 {count} 个文件夹", "watching {count:folder|folders}")
    RELOADED = ("已重新加载配置：{changes}", "config reloaded: {changes}")
    RELOAD_REFUSED = (
        "没有重新加载配置，继续使用原来的配置：{problems}",
        "config not reloaded, the former one stays in force: {problems}",
    )
    NO_OUTPUT = (
        "无法写标准输出（{reason}），服务继续运行",
        "cannot write to standard output ({reason}); the service goes on",
    )
    BUG = (
        "程序内部错误，服务停止；重启后继续未完成的发送",
        "internal error, the service stops; after a restart it continues the unfinished work",
    )
