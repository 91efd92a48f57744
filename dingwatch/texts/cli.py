"""What the commands say."""

from __future__ import annotations

from dingwatch.texts.language import Text


class Cli(Text):
    """What the commands say."""

    HELP = (
        "监视文件夹，几秒内把每个新文件完整发到钉钉会话，不丢失，不重复。",
        "Watches folders and sends each new file to a DingTalk conversation: whole, once, within seconds.",
    )
    RUN = ("在前台运行服务。", "Run the service in the foreground.")
    CHECK = (
        "运行前检查：配置、文件夹、权限、监视上限、凭证、机器人。",
        "Check before a run: config, folders, permissions, watch limits, credentials, robot.",
    )
    STATUS = ("显示服务和各文件夹的状态。", "Show how the service and its folders stand.")
    HISTORY = ("显示发送记录，最新的在前。", "Show what was sent and what was not, newest first.")
    RETRY = (
        "重新发送失败、跳过、已移走或原有的文件。",
        "Put what failed, was skipped or gone, or was there before, to work.",
    )
    RESOLVE = ("由人确认不确定的投递。", "Settle an uncertain delivery by hand.")
    WHY = ("说明对一个文件的每个决定。", "Show every decision about one path.")
    RELEASE = (
        "发送因 hold_over 而暂留的文件。",
        "Send what hold_over holds in a folder.",
    )
    DISCARD = (
        "放弃因 hold_over 而暂留的文件。",
        "Give up what hold_over holds in a folder.",
    )
    RESUME = (
        "立即重试所有暂停的内容，包括因调用次数用完而暂停的。",
        "Try everything that is paused again at once, also after the month's calls were used up.",
    )
    RECALL = ("撤回已发送的消息。", "Take a sent message back.")
    SEND = ("立即发送文件。", "Send files now.")
    INIT = ("引导完成设置。", "Be led through the set-up.")
    DEMO = ("无需注册，立即试用。", "Try it at once, with nothing to register.")
    SANDBOX = ("运行本地的钉钉替身。", "Run the local stand-in for DingTalk.")
    OPT_CONFIG = ("配置文件。", "The config file.")
    OPT_OFFLINE = ("不联系钉钉。", "Ask nothing of DingTalk.")
    OPT_JSON = ("输出 JSON。", "Print JSON.")
    OPT_METRICS = ("按 Prometheus 的文本格式输出。", "Print metrics in Prometheus' text format.")
    OPT_FOLDER = ("文件夹的名称。", "A folder's name.")
    OPT_STATE = ("只显示这个状态。", "Only this state.")
    OPT_LIMIT = ("最多显示多少行。", "How many lines at the most.")
    OPT_ALL = ("全部失败的投递。", "Everything that failed.")
    OPT_BASELINE = ("文件夹里原有的文件。", "The files that were in the folder before.")
    OPT_SENT = ("它已经送达。", "It arrived.")
    OPT_RESEND = ("它没有送达，再发一次。", "It did not arrive: send it once more.")
    OPT_TO = (
        "会话 ID、user:userId、chat:chatId，或配置中的文件夹名称。",
        "A conversation ID, user:ID, chat:ID, or the name of a folder in the config.",
    )
    OPT_HOST = ("监听地址。", "The address to listen on.")
    OPT_PORT = ("监听端口，0 为任意。", "The port to listen on; 0 takes any.")
    OPT_OVERWRITE = ("覆盖已有的配置。", "Replace a config that is there.")
    OPT_SANDBOX = (
        "用这个地址的替身（dingwatch sandbox）代替钉钉。",
        "Use the stand-in (dingwatch sandbox) at this address instead of DingTalk.",
    )
    OPT_WAIT = ("等待有人 @ 机器人的秒数。", "For how many seconds to wait for a mention of the robot.")
    NOT_YET = ("“{command}”尚未实现（not yet）。", "not yet: {command} comes with a later version.")
    CONFIG_BAD = ("配置有 {count} 处问题：", "the config has {count:problem|problems}:")
    CONFIG_LINE = ("（第 {line} 行）", " (line {line})")
    LEDGER_FAILED = (
        "无法使用 {path} 中的账本：{reason}。{advice}",
        "the ledger in {path} cannot be used: {reason}. {advice}",
    )
    FORBIDDEN = (
        "没有权限访问 {path}；请用服务的用户或 root 运行这个命令。",
        "{path} may not be accessed: run this command as the service's user, or as root.",
    )
    LOCKED = (
        "已有一个 dingwatch（进程 {pid}）在使用 {path}；同一账本只能运行一个服务。",
        "another dingwatch (process {pid}) works on {path}: one ledger, one service.",
    )
    RUNNING = ("服务正在运行（进程 {pid}）", "the service is running (process {pid})")
    NOT_RUNNING = ("服务没有运行", "the service is not running")
    PAUSE = ("暂停：{scope}，下次尝试 {until}。{reason}", "paused: {scope}, next try {until}. {reason}")
    PAUSE_REASON = ("{cause}：{key}。{advice}", "{cause}: {key}. {advice}")
    HISTORY_WHY = ("{cause}。{advice}", "{cause}. {advice}")
    AT_ONCE = ("立即", "at once")
    LEFT = (
        "{count} 个文件所属的文件夹已不在配置中，没有发送；见 dingwatch history --state failed",
        "{count:file|files} of folders that left the config not sent: dingwatch history --state failed",
    )
    TOLD = (
        "{count} 项按配置只发了通知，没有发送文件（skipped，noticed）",
        "{count} went as notices instead of files, as configured (skipped, noticed)",
    )
    DIRECT = ("（send 命令）", "(by send)")
    RESUMED = ("立即重试：{scope} {key}（{cause}）", "tried again at once: {scope} {key} ({cause})")
    RESUMED_LATER = (
        "服务启动后立即重试：{scope} {key}（{cause}）",
        "tried again as soon as the service runs: {scope} {key} ({cause})",
    )
    NOT_PAUSED = ("没有暂停的内容。", "nothing is paused")
    ONE_FORMAT = ("--json 和 --metrics 只能用一个。", "give --json or --metrics, not both.")
    COL_FOLDER = ("文件夹", "folder")
    COL_WATCH = ("监视", "watch")
    COL_SENT = ("已发送", "sent")
    COL_WAITING = ("等待中", "waiting")
    COL_TROUBLE = ("需处理", "needs a look")
    COL_PATH = ("路径", "path")
    COL_ID = ("编号", "id")
    COL_NOTICED = ("时间", "noticed")
    COL_BASELINE = ("原有", "baseline")
    COL_CONVERSATION = ("会话", "conversation")
    COL_STATE = ("状态", "state")
    COL_WHY = ("原因", "why")
    NO_FOLDER = ("配置中没有文件夹 {name}；有：{names}", "no folder {name} in the config; there are: {names}")
    NO_TARGET = (
        "{name} 既不是会话 ID（cid…、user:…、chat:…），也不是配置中的文件夹；有：{names}",
        "{name} is neither a recipient (cid…, user:…, chat:…) nor a folder of the config; there are: {names}",
    )
    NO_FILES = (
        "文件夹 {name} 只有自定义机器人（webhook），它只能发通知；请给出会话 ID。",
        "folder {name} has a custom robot (webhook) alone, which carries notices, not files: name another.",
    )
    RETRY_WHAT = (
        "请给出编号、--all，或 --folder 名称 --baseline 三者之一。",
        "give IDs, or --all, or --folder NAME --baseline.",
    )
    RETRY_NOT = (
        "没有改动任何东西；这些编号不存在，或其状态不能重试：{ids}",
        "nothing was changed; unknown, or not to be retried in their state: {ids}",
    )
    RESOLVE_WHAT = ("请给出 --sent 或 --resend。", "give --sent or --resend.")
    RESOLVE_NOT = (
        "没有改动任何东西；编号 {id} 不存在，或者它不是 uncertain",
        "nothing was changed; {id} is unknown, or not uncertain",
    )
    RESOLVED_SENT = ("{id} 已记为送达", "{id} is taken as sent")
    RESOLVED_RESEND = ("{id} 将再发一次", "{id} is sent once more")
    RELEASED = ("文件夹 {name}：{count} 项开始发送", "folder {name}: {count} released")
    DISCARDED = (
        "文件夹 {name}：放弃 {count} 项；用 dingwatch retry 编号 可以发送其中的文件",
        "folder {name}: {count} given up; dingwatch retry ID sends one after all",
    )
    HELD = (
        (
            "文件夹 {name}：一小时内新增过多，暂留 {count} 项；"
            "请执行 dingwatch release '{name}' 发送，或 dingwatch discard '{name}' 放弃"
        ),
        (
            "folder {name}: too many within an hour, {count} are held; dingwatch release '{name}' sends them,"
            " dingwatch discard '{name}' gives them up"
        ),
    )
    RESTLESS = (
        "{hours} 小时以来没有稳定下来：{path}；原因见 dingwatch why",
        "has not come to rest for {hours} hours: {path}; dingwatch why tells what it waits for",
    )
    WHY_PATH = ("{path}（文件夹 {folder}）", "{path} (folder {folder})")
    WHY_NOWHERE = (
        "{path} 不在任何被监视的文件夹里；有：{names}",
        "{path} lies in no watched folder; there are: {names}",
    )
    WHY_UNKNOWN = (
        "没有这个文件，账本里也没有它的记录。",
        "There is no such file, and the ledger knows nothing of it.",
    )
    WHY_NEW = (
        "账本里还没有它的记录；服务运行时会在稳定后发送。",
        "The ledger does not know it yet; a running service sends it once it has settled.",
    )
    WHY_NOT_WATCHED = (
        "服务还没有监视过这个文件夹；修改配置后请重启服务。",
        "The service has not watched this folder yet: restart it after a change of the config.",
    )
    WHY_AWAY = ("文件已不在那里。", "The file is not there any more.")
    WHY_BASELINE = (
        "{when} #{id} 首次监视时已经存在，不发送；用 dingwatch retry {id} 可以发送",
        "{when} #{id} was there when the folder was first watched: not sent; dingwatch retry {id} sends it",
    )
    WHY_EXCLUDED = ("被规则 {pattern} 排除，不发送。", "The pattern {pattern} excludes it: it is not sent.")
    WHY_NOT_INCLUDED = (
        "不符合 include，或在子文件夹里而 recursive 为 false，不发送。",
        "It matches no include pattern, or lies in a subfolder of a folder that is not recursive: not sent.",
    )
    WHY_NOT_THERE = ("现在不能发送（{reason}）。{advice}", "It cannot be sent now ({reason}). {advice}")
    WHY_EMPTY = (
        "文件是空的：等它写入内容，{minutes} 分钟后标为 skipped。",
        "It is empty: it is given {minutes} minutes to be filled, and then skipped.",
    )
    WHY_SETTLING = ("{seconds} 秒以来等待它稳定", "has been settling for {seconds} s")
    WHY_WAITS = ("它还不能发送：{reason}。{advice}", "it is held back: {reason}. {advice}")
    WHY_TURN = (
        "它在排队：先稳定的文件先发，发送速度受 pace 限制。",
        "It waits for its turn: what settled earlier goes first, and no faster than pace allows.",
    )
    LEFT_OUT = (
        "未发送 {path}（{reason}）{advice}",
        "left out: {path} ({reason}). {advice}",
    )
    RETRIED = ("{count} 项重新进入发送队列", "{count} back to work")
    FILE_BAD = ("无法发送 {path}（{reason}）{advice}", "cannot be sent: {path} ({reason}). {advice}")
    SENDING = ("发送中", "sending")
    SEND_ENDED = (
        "已中断；还没有发送的文件留在账本里，服务下次运行时会发送。",
        "interrupted; what is not sent yet stays in the ledger, and the service sends it when it runs.",
    )
    FILE_SENT = ("已发送 {id}：{path} → {conversation}", "sent {id}: {path} → {conversation}")
    FILE_UNCERTAIN = (
        "不确定 {id}：{path} → {conversation}（{reason}）{advice}",
        "uncertain {id}: {path} → {conversation} ({reason}). {advice}",
    )
    FILE_NOT_SENT = (
        "未发送 {id}：{path} → {conversation}（{reason}）{advice}",
        "not sent {id}: {path} → {conversation} ({reason}). {advice}",
    )
    BUG = (
        "程序内部错误，命令没有完成；请报告以下内容。账本中已有的工作由服务继续",
        "an internal error ended the command; please report what follows. The service goes on with its work",
    )
    DEMO_FOLDER = ("共享文件夹", "share")
    DEMO_HINT = (
        "把任意文件放进这个文件夹，就会出现在页面上：cp /etc/hostname '{folder}/你好.txt'。按 Ctrl-C 结束。",
        "Copy any file there and see it on the page: cp /etc/hostname '{folder}/hello.txt'. Ctrl-C ends.",
    )
    SANDBOX_HINT = (
        "把上面的内容放进配置文件；按 Ctrl-C 结束。",
        "Put this into a config file; Ctrl-C ends it.",
    )
    PORT_TAKEN = (
        "无法监听 {host}:{port}（{reason}）；请换一个 --port 或 --host。",
        "cannot listen on {host}:{port}: {reason}; choose another --port or --host.",
    )
