"""Help texts and output of the commands."""

from __future__ import annotations

from dingwatch.texts.language import Text


class Cli(Text):
    """Help texts and output of the commands."""

    HELP = (
        "监视文件夹，几秒内把新文件发送到钉钉会话：内容完整，不丢失，不重复。",
        "Watches folders and sends each new file to a DingTalk conversation: complete, once, within seconds.",
    )
    RUN = ("在前台运行服务。", "Run the service in the foreground.")
    CHECK = (
        "运行前检查：配置、文件夹、权限、inotify 上限、凭证、机器人。",
        "Check the config, folders, permissions, watch limits, credentials and robot before a run.",
    )
    STATUS = ("显示服务和各文件夹的状态。", "Show the status of the service and its folders.")
    HISTORY = ("显示发送记录，最新的在前。", "Show the delivery history, newest first.")
    RETRY = (
        "重新发送失败、已跳过、已取消或监视前已有的文件。",
        "Retry failed, skipped, withdrawn or pre-existing files.",
    )
    RESOLVE = ("人工确认结果不确定的投递。", "Settle an uncertain delivery by hand.")
    WHY = ("显示对一个文件的所有处理过程和原因。", "Show every decision about one path.")
    RELEASE = (
        "发送文件夹中因 hold_over 暂缓发送的文件。",
        "Send the files that hold_over put on hold in a folder.",
    )
    DISCARD = (
        "放弃文件夹中因 hold_over 暂缓发送的文件。",
        "Drop the files that hold_over put on hold in a folder.",
    )
    PAUSE_COMMAND = (
        "暂停一个文件夹：新文件排队等待，直到 resume 或到时间为止。",
        "Pause a folder: its files are queued until it is resumed, or the time is over.",
    )
    RELOAD = (
        "让正在运行的服务重新读取配置，不中断发送。",
        "Have the running service read the config again, without a restart.",
    )
    RESUME = (
        "恢复用 pause 暂停的文件夹；不带文件夹名称时，立即重试其他所有暂停的发送，包括因额度用完而暂停的。",
        (
            "Resume a folder that was paused by hand; without a folder, retry everything else that is paused,"
            " also after the month's calls were used up."
        ),
    )
    RECALL = ("撤回已发送的消息。", "Recall a sent message.")
    SEND = ("立即发送文件。", "Send files now.")
    INIT = ("交互式设置。", "Interactive setup.")
    DEMO = ("无需注册，立即试用。", "Try dingwatch without an account.")
    SANDBOX = ("运行本地的钉钉模拟服务（沙箱）。", "Run the local DingTalk sandbox.")
    COMPLETION = (
        "输出 bash、zsh 或 fish 的命令补全脚本。",
        "Print the completion script for bash, zsh or fish.",
    )
    OPT_CONFIG = ("配置文件。", "The config file.")
    OPT_OFFLINE = ("不连接钉钉。", "Do not contact DingTalk.")
    OPT_JSON = ("输出 JSON。", "Print JSON.")
    OPT_LOG_FORMAT = (
        "日志格式：text 供人阅读，json 每行一个对象（默认按配置 log.format）。",
        "Log as text for people, or as one JSON object a line (default: log.format of the config).",
    )
    OPT_METRICS = ("输出 Prometheus 文本格式的指标。", "Print metrics in Prometheus text format.")
    OPT_CHECK = (
        "只输出一行，供监控程序使用；退出码：0 正常，1 警告，2 严重，3 无法判断。",
        "Print one line for a monitor; exit code 0 well, 1 warning, 2 critical, 3 cannot tell.",
    )
    OPT_WATCH = (
        "在终端中持续显示：正在发送、正在稳定、等待中、最近发送的文件；按 Ctrl-C 结束。",
        "Show live on a terminal what is sent, settles, waits and was sent last; Ctrl-C ends it.",
    )
    OPT_FOLDER = ("文件夹的名称。", "The name of a folder.")
    OPT_STATE = ("只显示这个状态的记录。", "Show only this state.")
    OPT_CSV = ("输出 CSV（UTF-8）。", "Print CSV (UTF-8).")
    OPT_RECIPIENT = (
        "只显示发给这个会话、user:userId、chat:chatId、webhook:…，或 aliases 中这个名称的记录。",
        "Show only what is for this conversation ID, user:ID, chat:ID, webhook:… or name in aliases.",
    )
    OPT_SEARCH = (
        "只显示路径中含有这段文字的记录，不分大小写。",
        "Show only paths that contain this text, in any case.",
    )
    OPT_SINCE = (
        "只显示这个时间之后的记录：日期（2026-11-24、2026-11-24T08:30）或时长（3d）。",
        "Show what was noticed since then: a date (2026-11-24, 2026-11-24T08:30) or a duration ago (3d).",
    )
    OPT_UNTIL = (
        "只显示这个时间之前的记录；写日期时包括当天。",
        "Show what was noticed until then; a day that is given is included.",
    )
    OPT_ARCHIVE = ("压缩包的文件名。", "The archive to write.")
    OPT_NAMES = ("保留文件和文件夹的全名。", "Keep names of files and folders whole.")
    OPT_VERBOSE = ("显示原始的状态变化。", "Show the raw changes of state.")
    OPT_LIMIT = ("最多显示多少行。", "The maximum number of lines.")
    OPT_ALL = ("所有失败的投递。", "All failed deliveries.")
    OPT_BASELINE = (
        "开始监视前文件夹中已有的文件。",
        "Files that were in the folder before it was watched.",
    )
    OPT_SENT = ("确认已送达。", "The file arrived.")
    OPT_RESEND = ("没有送达，再发送一次。", "The file did not arrive: send it again.")
    OPT_TO = (
        "会话 ID、user:userId、chat:chatId、aliases 中的名称，或配置中的文件夹名称。",
        "A conversation ID, user:ID, chat:ID, a name in aliases, or the name of a folder in the config.",
    )
    OPT_TIMEOUT = (
        "最多等待多久，例如 30s、5m；到时未发送的文件记为失败（gave_up）。",
        "How long to wait, such as 30s or 5m; what is not sent by then is failed (gave_up).",
    )
    OPT_FOR = (
        "暂停多久，例如 30m、2h、3d；不指定则一直暂停到执行 resume。",
        "How long, such as 30m, 2h or 3d; without it, until resume.",
    )
    OPT_DRAIN_TIMEOUT = (
        "最多等待多久，例如 30s、5m；到时仍未结束则退出码为 1。",
        "How long to wait, such as 30s or 5m; exit code 1 if something is in flight then.",
    )
    OPT_REASON = ("原因，显示在 status 中。", "The reason, which status shows.")
    OPT_HOST = ("监听地址。", "The address to listen on.")
    OPT_PORT = ("监听端口，0 为任意端口。", "The port to listen on; 0 picks a free one.")
    OPT_OVERWRITE = ("覆盖已有的配置文件。", "Overwrite an existing config file.")
    OPT_SANDBOX = (
        "连接这个地址的沙箱（dingwatch sandbox），而不是钉钉。",
        "Use the sandbox (dingwatch sandbox) at this address instead of DingTalk.",
    )
    OPT_WAIT = ("等待群成员 @ 机器人的秒数。", "Seconds to wait for a mention of the robot.")
    CONFIG_BAD = ("配置有 {count} 处问题：", "the config has {count:problem|problems}:")
    CONFIG_LINE = ("（第 {line} 行）", " (line {line})")
    NODE_LOST = (
        (
            "节点 {node} 自 {since} 起失联：它的文件夹无人监视。请检查那台主机；"
            "如果它不再使用，请执行 dingwatch drain {word}"
        ),
        (
            "node {node} is lost since {since}: nobody watches its folders. Look after that host; if it is"
            " gone for good, run dingwatch drain {word}"
        ),
    )
    NODE_DRAINING = (
        "节点 {node} 已执行 drain，不再发送；恢复请执行 dingwatch undrain {word}",
        "node {node} is drained and sends nothing; run dingwatch undrain {word} to resume",
    )
    NODES_UP = ("正常的节点：{nodes}", "nodes that are up: {nodes}")
    NO_NODE_NAME = (
        "节点名是空的；请写出节点名，或去掉这个参数。",
        "the name of the node is empty; name one, or leave it out.",
    )
    DRAIN = (
        "让一个节点（默认本节点）不再开始新的发送，并等待正在进行的发送完成（停机维护之前，或主机不再使用）。",
        (
            "Have a node, by default this one, send nothing new, and wait for what is in flight (before a"
            " planned stop, or for a host that is gone for good)."
        ),
    )
    UNDRAIN = ("让一个节点（默认本节点）恢复发送。", "Have a node, by default this one, send again.")
    DRAINED = (
        "节点 {node} 不再发送任何文件，没有正在进行的发送；恢复请执行 dingwatch undrain {word}。",
        "node {node} sends nothing any more, and nothing is in flight; dingwatch undrain {word} resumes it.",
    )
    UNDRAINED = ("节点 {node} 恢复发送。", "node {node} sends again.")
    UNDRAINED_LATER = ("节点 {node} 在启动后恢复发送。", "node {node} sends again once it is started.")
    NO_NODE = (
        "发送记录数据库没有名为 {node} 的节点；现有：{nodes}",
        "no node named {node} works on the ledger; it knows: {nodes}",
    )
    DRAIN_ALONE = (
        "只有共用 PostgreSQL 发送记录数据库的节点才能执行此命令；这里请直接停止服务。",
        "only a node of a ledger in PostgreSQL can be drained; here, stop the service.",
    )
    DRAIN_NOT_RUNNING = (
        (
            "节点 {node} 没有运行，因此没有正在进行的发送。它不再算作失联；"
            "重新启动后，执行 dingwatch undrain {word} 才恢复发送。"
        ),
        (
            "node {node} does not run, so nothing is in flight. It does not count as lost any more; should it"
            " start again, it sends nothing until dingwatch undrain {word}."
        ),
    )
    DRAIN_NEW = (
        "节点 {node} 还没有使用过这个发送记录数据库，没有什么可停；它启动后就会发送，如需停止请届时再执行。",
        (
            "node {node} has never worked on this ledger, so there is nothing to drain; once it is started,"
            " it sends. To stop that, run this again then."
        ),
    )
    DRAIN_SLOW = (
        "等待 {seconds} 秒后仍有 {count} 项操作正在进行；它们会继续完成，不会开始新的发送。",
        "{count:operation|operations} still in flight after {seconds} s; they go on, and nothing new begins.",
    )
    LEDGER_FAILED = (
        "无法使用 {path} 中的发送记录数据库：{reason}。{advice}",
        "cannot use the ledger in {path}: {reason}. {advice}",
    )
    LEDGER_DISK_FULL = (
        "发送记录数据库 {path} 所在的磁盘 {disk} 已满；请腾出空间后重新执行命令。",
        "the disk {disk}, which holds the ledger {path}, is full; free some space and repeat the command.",
    )
    FORBIDDEN = (
        "没有权限访问 {path}；请用服务的用户或 root 运行此命令。",
        "permission denied: {path}. Run this command as the service's user or as root.",
    )
    OUTPUT_FAILED = (
        "无法写标准输出（{reason}）；命令在此之前完成的操作有效。请换一个地方输出，或腾出磁盘空间。",
        (
            "cannot write to standard output ({reason}); what the command had done by then stays done. Send"
            " the output elsewhere, or free some space."
        ),
    )
    NO_PROC = (
        "没有挂载 /proc，dingwatch 要用它安全地打开文件。请执行 mount -t proc proc /proc，或检查容器设置。",
        (
            "/proc is not mounted; dingwatch needs it to open files safely. Run mount -t proc proc /proc, or"
            " change the container's settings."
        ),
    )
    NODE_TAKEN = (
        (
            "另一台主机（或另一个进程）正以节点名 {node} 使用同一个发送记录数据库。"
            "请先停止它，或在这个配置里用 node: 设置另一个名称。"
        ),
        (
            "another host or process works on the same ledger as node {node}. Stop that one, or set another"
            " name by node: in this config."
        ),
    )
    LOCKED = (
        (
            "另一个 dingwatch（进程 {pid}）正在使用 {path}；每个 state_dir 只能运行一个服务。"
            "请先停止它，或为这个配置设置另一个 state_dir。"
        ),
        (
            "another dingwatch (process {pid}) is using {path}; only one service may run per ledger. Stop"
            " that one, or set another state_dir in this config."
        ),
    )
    RUNNING = ("服务正在运行（进程 {pid}）", "the service is running (process {pid})")
    CANNOT_ASK = (
        "无法得知服务的状态：{path} 属于其他用户，或服务没有应答。请用服务的用户或 root 运行此命令",
        (
            "the service cannot be asked: {path} is another user's, or it does not answer. Run this command"
            " as the service's user or as root"
        ),
    )
    CONFIG_EDITED = (
        "配置文件有改动；以上是服务正在使用的配置，执行 dingwatch reload 后新配置才生效",
        (
            "the config was edited since the service read it; the above is what it runs with until"
            " dingwatch reload"
        ),
    )
    NO_STATE_DIR = (
        "目录 {path} 不存在：服务还没有运行过，或目录已被删除；请检查 state_dir，再启动服务",
        (
            "there is no directory {path}: the service has never run, or the directory was removed; check"
            " state_dir, and start the service"
        ),
    )
    NOT_RUNNING = (
        "服务没有运行；请启动它（systemctl start dingwatch，或 dingwatch run）",
        "the service is not running; start it (systemctl start dingwatch, or dingwatch run)",
    )
    PAUSE = ("暂停：{scope}，下次重试 {until}。{reason}", "paused: {scope}, next try {until}. {reason}")
    PAUSE_REASON = ("{cause}：{key}。{advice}", "{cause}: {key}. {advice}")
    HISTORY_WHY = ("{cause}。{advice}", "{cause}. {advice}")
    AT_ONCE = ("立即", "at once")
    CONFIG_COMMAND = (
        "显示生效的配置和来源（show），或输出供编辑器使用的 JSON Schema（schema）。",
        "Show the values in force and where they come from (show), or a JSON Schema for editors (schema).",
    )
    FROM_DEFAULT = ("默认值 {source}", "default {source}")
    FROM_FILE = ("第 {line} 行", "line {line}")
    FROM_DEFAULTS = ("folder_defaults，第 {line} 行", "folder_defaults, line {line}")
    FROM_MERGED = ("{source}，第 {line} 行", "{source}, line {line}")
    FROM_ENVIRONMENT = ("环境变量或凭据 {source}", "environment: {source}")
    FROM_TABLE = ("表 {source}", "table {source}")
    FROM_DIRECTORY = ("目录 {source}", "directory {source}")
    UNLISTED_DIRECTORIES = (
        "{count} 个目录不在 recipients 表中，没有监视：{paths}",
        "{count:directory is|directories are} not in the table of recipients, and not watched: {paths}",
    )
    LEFT = (
        "{count} 个文件未发送，因为所属的文件夹已不在配置中；见 dingwatch history --state failed",
        (
            "{count:file|files} not sent, because the folder is no longer in the config;"
            " see dingwatch history --state failed"
        ),
    )
    TOLD = (
        "{count} 项按配置只发送了通知，没有发送文件（skipped，noticed）",
        "{count} went as notices instead of files, as configured (skipped, noticed)",
    )
    DIRECT = ("（send 命令）", "(by send)")
    RESUMED = ("立即重试：{scope} {key}（{cause}）", "retrying now: {scope} {key} ({cause})")
    RESUMED_LATER = (
        "服务启动后立即重试：{scope} {key}（{cause}）",
        "will be retried when the service starts: {scope} {key} ({cause})",
    )
    RESUMED_WAITING = (
        "{count} 个等待重试的投递不再等待",
        "no longer waiting for their next try: {count:delivery|deliveries}",
    )
    NOT_PAUSED = ("没有暂停的发送。", "nothing is paused")
    FOLDER_LINK = (
        "生成一个文件夹的网页链接，供放文件的人查看；--revoke 撤销",
        "Print a link to the page of one folder, for those who drop files there; --revoke revokes it.",
    )
    OPT_REVOKE = ("撤销这个文件夹的所有链接", "Revoke every link to this folder.")
    LINK_MADE = (
        (
            "任何打开这个链接的人都能看到文件夹 {name} 最近的文件，但不能操作。链接只显示这一次；"
            "撤销：dingwatch folder-link '{name}' --revoke"
        ),
        (
            "Whoever opens this link sees the latest files of folder {name}, and can do nothing. It is shown"
            " only once; dingwatch folder-link '{name}' --revoke revokes it."
        ),
    )
    LINKS_REVOKED = (
        "文件夹 {name}：已撤销 {count} 个链接",
        "folder {name}: {count:link|links} revoked",
    )
    LINK_NEEDS_HTTP = (
        "没有生成链接：配置中没有 http.listen，没有网页可以打开；加上它并重启服务",
        "no link was made: without http.listen there is no page; add it, and restart the service",
    )
    FOLDER_IS_PAUSED = (
        "文件夹 {name} 已被 {by} 暂停（{since}，{until}{why}）；执行 dingwatch resume '{name}' 恢复发送",
        "folder {name} was paused by {by} on {since} {until}{why}; dingwatch resume '{name}' ends that",
    )
    UNTIL_RESUMED = ("直到恢复为止", "until it is resumed")
    UNTIL_TIME = ("到 {at} 为止", "until {at}")
    PAUSED_BECAUSE = ("：{reason}", ": {reason}")
    FOLDER_NOT_PAUSED = (
        "文件夹 {name} 没有被暂停，未做任何改动",
        "folder {name} is not paused; nothing was changed",
    )
    FOLDER_RESUMED = ("文件夹 {name} 恢复发送", "folder {name} is resumed")
    FOLDER_RESUMED_LATER = (
        "文件夹 {name} 已恢复；服务启动后继续发送",
        "folder {name} is resumed; sending continues when the service starts",
    )
    STILL_PAUSED = (
        "文件夹 {names} 仍然暂停；请分别执行 dingwatch resume 文件夹名称",
        "still paused by hand: {names}; dingwatch resume FOLDER resumes each",
    )
    PAUSE_TOO_SHORT = (
        "暂停时间必须大于 0，例如 30m、2h、3d。",
        "the time of a pause must be longer than 0, such as 30m, 2h or 3d.",
    )
    COL_PAUSED = ("已暂停", "paused")
    ONE_FORMAT = (
        "--json、--metrics、--check 和 --watch 只能使用其中一个。",
        "use one of --json, --metrics, --check and --watch.",
    )
    ONE_LIST_FORMAT = ("--json 和 --csv 只能使用其中一个。", "use either --json or --csv, not both.")
    WHEN = (
        "请写日期（2026-11-24、2026-11-24T08:30、2026-11-24T00:30:00Z）或时长（30m、12h、3d，表示多久以前）。",
        (
            "write a date (2026-11-24, 2026-11-24T08:30, 2026-11-24T00:30:00Z) or how long ago it was"
            " (30m, 12h, 3d)."
        ),
    )
    SINCE_AFTER_UNTIL = (
        "--since 晚于 --until，不会有任何记录；请把两者对调。",
        "--since is later than --until, so nothing can match; swap the two.",
    )
    NO_ALIAS = (
        "{name} 既不是 ID（cid…、user:…、chat:…、webhook:…），也不在 aliases 中。是不是想写 {nearest}？",
        (
            "{name} is neither an ID (cid…, user:…, chat:…, webhook:…) nor one of the aliases."
            " Did you mean {nearest}?"
        ),
    )
    NO_RECIPIENT = (
        (
            "{name} 不是接收方；请写 dingwatch history 中的会话 ID（cid…）、user:…、chat:…、webhook:…"
            " 或 aliases 中的名称"
        ),
        (
            "{name} is no recipient; give a conversation ID (cid…), user:…, chat:… or webhook:…, as"
            " dingwatch history shows it, or a name in aliases"
        ),
    )
    COL_FOLDER = ("文件夹", "folder")
    COL_WATCH = ("监视", "watch")
    COL_SENT = ("已发送", "sent")
    COL_WAITING = ("等待中", "waiting")
    COL_TROUBLE = ("需处理", "needs attention")
    COL_PATH = ("路径", "path")
    COL_ID = ("编号", "id")
    COL_NOTICED = ("时间", "noticed")
    COL_BASELINE = ("监视前已有", "baseline")
    COL_CONVERSATION = ("会话", "conversation")
    COL_SIZE = ("大小", "size")
    COL_STATE = ("状态", "state")
    COL_NODE = ("节点", "node")
    COL_WHY = ("原因", "reason")
    NO_FOLDER = (
        "配置中没有名为 {name} 的文件夹；现有：{names}",
        "no folder named {name} in the config; the config has: {names}",
    )
    NO_TARGET = (
        (
            "{name} 既不是会话 ID（cid…、user:…、chat:…），也不是配置中的文件夹或名称（aliases）。"
            "是不是想写 {nearest}？现有：{names}"
        ),
        (
            "{name} is neither a recipient (cid…, user:…, chat:…) nor a folder or an alias in the config."
            " Did you mean {nearest}? The config has: {names}"
        ),
    )
    NO_FILES = (
        "文件夹 {name} 只配置了自定义机器人（webhook），它只能发送通知，不能发送文件；请指定会话 ID。",
        (
            "folder {name} has only a custom robot (webhook), which carries notices, not files; give a"
            " conversation ID instead."
        ),
    )
    RETRY_WHAT = (
        "请指定编号、--all，或 --folder 名称 --baseline 三者之一。",
        "give IDs, or --all, or --folder NAME --baseline.",
    )
    RETRY_NOT = (
        "未做任何改动；这些编号不存在，或当前状态不能重试：{ids}；编号和状态见 dingwatch history",
        (
            "nothing was changed; these IDs are unknown, or their state does not allow a retry: {ids};"
            " dingwatch history shows IDs and states"
        ),
    )
    RETRY_UNMAPPED = (
        "未重试：配置中没有把文件夹 {name} 发送到 {conversation}；加回配置并执行 dingwatch reload 即可继续",
        (
            "not retried: the config does not map folder {name} to {conversation}; once that is added back"
            " and reloaded (dingwatch reload), it continues by itself"
        ),
    )
    RESOLVE_WHAT = ("请指定 --sent 或 --resend。", "give --sent or --resend.")
    RESOLVE_NOT = (
        "未做任何改动；编号 {id} 不存在，或状态不是 uncertain；见 dingwatch history --state uncertain",
        (
            "nothing was changed; {id} is unknown or not uncertain: dingwatch history --state uncertain lists"
            " those that are"
        ),
    )
    RESOLVED_SENT = ("{id} 已标记为送达", "{id} is marked as sent")
    RESOLVED_RESEND = ("{id} 将再发送一次", "{id} will be sent again")
    RELEASED = ("文件夹 {name}：{count} 项恢复发送", "folder {name}: {count} released")
    DISCARDED = (
        "文件夹 {name}：已放弃 {count} 项；如需发送其中的文件，请执行 dingwatch retry 编号",
        "folder {name}: {count} dropped; to send one of them after all, run dingwatch retry ID",
    )
    HELD = (
        (
            "文件夹 {name}：{count} 项暂缓发送（一小时内新增过多，或只有修改时间变了）；"
            "执行 dingwatch release '{name}' 继续发送，或 dingwatch discard '{name}' 放弃"
        ),
        (
            "folder {name}: {count} on hold (too many within an hour, or only their times have changed);"
            " run dingwatch release '{name}' to send them, dingwatch discard '{name}' to drop them"
        ),
    )
    UNSETTLED = (
        "{hours} 小时以来一直在变化或被占用：{path}；原因见 dingwatch why",
        "still changing or in use after {hours} hours: {path}; dingwatch why shows the reason",
    )
    WHY_PATH = ("{path}（文件夹 {folder}）", "{path} (folder {folder})")
    WHY_NOWHERE = (
        "{path} 不在任何被监视的文件夹中；现有：{names}",
        "{path} is in no watched folder; the config has: {names}",
    )
    WHY_UNKNOWN = (
        "没有这个文件，也没有它的发送记录；请检查路径。",
        "There is no such file, and the ledger has no record of it: check the path.",
    )
    WHY_NEW = (
        "还没有它的发送记录；服务运行时，文件稳定后就会发送。",
        "The ledger has no record of it yet; a running service sends it once it has settled.",
    )
    WHY_NOT_WATCHED = (
        "服务还没有监视这个文件夹；修改配置后请执行 dingwatch reload。",
        "The service has not watched this folder yet: run dingwatch reload after changing the config.",
    )
    HISTORY_MOVED = ("已移到 {place}", "moved to {place}")
    WHY_AWAY = ("文件已不存在。", "The file no longer exists.")
    WHY_BASELINE = (
        "{when} #{id} 开始监视时已经存在，不发送；如需发送，请执行 dingwatch retry {id}",
        "{when} #{id} was there when the folder was first watched: not sent; dingwatch retry {id} sends it",
    )
    WHY_EXCLUDED = ("被规则 {pattern} 排除，不发送。", "Not sent: the pattern {pattern} excludes it.")
    WHY_NOT_INCLUDED = (
        "不匹配 include，或位于子文件夹而 recursive 为 false，不发送。",
        "Not sent: no include pattern matches, or it is in a subfolder and recursive is false.",
    )
    WHY_NOT_THERE = ("现在不能发送（{reason}）。{advice}", "It cannot be sent now ({reason}). {advice}")
    WHY_EMPTY = (
        "文件是空的：{minutes} 分钟内没有写入内容就跳过（skipped）。",
        "The file is empty; it is skipped if it has no content after {minutes} minutes.",
    )
    WHY_SETTLING = ("已等待 {seconds} 秒，等它稳定下来", "settling for {seconds} s so far")
    WHY_WAITS = ("暂时不能发送：{reason}。{advice}", "It has to wait: {reason}. {advice}")
    WHY_TURN = (
        "正在排队：先稳定的文件先发送，速度受 pace 限制。",
        "It waits for its turn: files that settled earlier go first, at the rate that pace allows.",
    )
    LEFT_OUT = (
        "未重新发送 {path}（{reason}）。{advice}",
        "left out: {path} ({reason}). {advice}",
    )
    WHOLE_MESSAGE = (
        "它与另外 {count} 个文件在同一条消息里，这些文件一并处理",
        "it shares one message with {count:other file|other files}, to which this applies too",
    )
    RETRIED = ("{count} 项重新加入发送队列", "{count} queued again")
    FILE_BAD = ("无法发送 {path}（{reason}）。{advice}", "cannot be sent: {path} ({reason}). {advice}")
    SENDING = ("发送中", "sending")
    SEND_ENDED = (
        "已中断；未发送的文件已记录，服务下次运行时会继续发送。",
        "interrupted; unsent files stay in the ledger, and the service sends them when it runs.",
    )
    FILE_SENT = ("已发送 {id}：{path} → {conversation}", "sent {id}: {path} → {conversation}")
    FILE_UNCERTAIN = (
        "无法确认是否已送达 {id}：{path} → {conversation}（{reason}）。{advice}",
        "uncertain {id}: {path} → {conversation} ({reason}). {advice}",
    )
    FILE_NOT_SENT = (
        "未发送 {id}：{path} → {conversation}（{reason}）。{advice}",
        "not sent {id}: {path} → {conversation} ({reason}). {advice}",
    )
    BUG = (
        "程序内部错误，命令未完成，请报告以下内容。已记录的发送任务由服务继续",
        "internal error, the command did not finish; please report what follows. The service carries on",
    )
    DEMO_FOLDER = ("共享文件夹", "share")
    DEMO_HINT = (
        (
            "把文件复制到这个文件夹，就会出现在会话（page）里，经过显示在状态页（status）上："
            "cp /etc/hostname '{folder}/你好.txt'。按 Ctrl-C 结束。"
        ),
        (
            "Copy any file into the folder: it appears in the chat (page), and its story on the status page"
            " (status): cp /etc/hostname '{folder}/hello.txt'. Press Ctrl-C to stop."
        ),
    )
    SANDBOX_HINT = (
        "把上面的内容复制到配置文件；按 Ctrl-C 结束。",
        "Copy this into a config file. Press Ctrl-C to stop.",
    )
    SANDBOX_OPEN = (
        (
            "注意：模拟服务监听 {host}，对网络开放且没有密码：能连到 {port} 端口的人都可以"
            "查看其中的消息和文件、调用接口、设置故障。只供可信网络中的测试使用；仅本机使用时请去掉 --host。"
        ),
        (
            "Warning: the sandbox listens on {host}, open to the network and without a password: whoever"
            " reaches port {port} can read its messages and files, call its APIs and order faults. Use it for"
            " tests on a trusted network; for this machine alone, leave out --host."
        ),
    )
    PORT_TAKEN = (
        "无法监听 {host}:{port}（{reason}）；请改用其他 --port 或 --host。",
        "cannot listen on {host}:{port}: {reason}; choose another --port or --host.",
    )
