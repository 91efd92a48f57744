"""Texts of the HTTP API, the status page and the page of a folder."""

from __future__ import annotations

from dingwatch.texts.language import Text


class Web(Text):
    """Errors of the HTTP API."""

    NO_FOLDER = (
        "没有名为 {name} 的文件夹；现有：{names}",
        "there is no folder named {name}; there are: {names}",
    )
    NO_RECIPIENT = (
        "{name} 既不是 ID（cid…、user:…、chat:…、webhook:…），也不在 aliases 中；aliases 有：{names}",
        "{name} is neither an ID (cid…, user:…, chat:…, webhook:…) nor one of the aliases: {names}",
    )
    NO_FOLDER_ID = (
        "没有编号为 {id} 的文件夹；编号见 /api/v1/status 中的 folders[].id",
        "there is no folder {id}; /api/v1/status has the ids in folders[].id",
    )
    NO_DELIVERY = (
        "没有编号为 {id} 的记录；编号见 /api/v1/history",
        "there is no delivery {id}; /api/v1/history has the ids",
    )
    NO_LINK = (
        "这个链接无效或已被撤销；请向管理员索取新的链接",
        "this link is wrong or was revoked; ask the administrator for another",
    )
    NOT_SHARED = (
        "发送记录没有与其他主机共用（ledger 不是 postgresql+psycopg://…），无法停止或恢复本节点的发送",
        (
            "no other host shares this ledger (`ledger` is no postgresql+psycopg://… address), so there is no"
            " node to drain"
        ),
    )
    NO_PAUSE = (
        "没有这个暂停：{scope} {key}；现有的见 /api/v1/status 中的 pauses",
        "there is no such pause: {scope} {key}; /api/v1/status lists those that there are in pauses",
    )
    WRONG_STATE = (
        "未做任何改动；编号 {id} 的状态是 {state}，不能执行此操作；状态见 /api/v1/history",
        "nothing was changed; {id} is {state}, to which this does not apply; /api/v1/history has the states",
    )
    FILE_REASON = ("{reason}。{advice}", "{reason}. {advice}")
    FILE_BAD = ("无法发送这个文件（{reason}）。{advice}", "the file cannot be sent ({reason}). {advice}")
    UNMAPPED = (
        "未重试；配置中没有把这个文件夹发送到 {conversation}。加回配置后会自动继续",
        "not retried; the config does not map the folder to {conversation}; once it does, it goes on",
    )
    PAUSE_FIXED = (
        "这个暂停何时结束由钉钉规定，提前重试只会再次被拒绝；仍要重试，请用 resume",
        "DingTalk has set the end of this pause, and refuses any earlier try; resume tries all the same",
    )
    BAD_PATH = (
        "path 必须是绝对路径，或相对于文件夹的路径",
        "path must be absolute, or relative to a folder and within it",
    )
    MISSING = (
        "缺少参数 {name}；请在地址中补上",
        "the parameter {name} is missing: add it to the address",
    )
    UNKNOWN_PARAMETER = (
        "没有名为 {name} 的参数；可用的有：{names}",
        "there is no parameter {name}; there are: {names}",
    )
    BAD_PARAMETER = ("参数 {name} 的值 {value} 无效：应为{expected}", "{name}: {value} is not {expected}")
    AN_ID = ("正整数", "a positive whole number")
    A_LIMIT = ("1 到 {most} 之间的整数", "a whole number from 1 to {most}")
    A_TIME = (
        "ISO 8601 日期或时间（2026-11-24 或 2026-11-24T08:00:00Z）",
        "an ISO 8601 date or time (2026-11-24 or 2026-11-24T08:00:00Z)",
    )
    A_DURATION = ("时长，例如 30m、2h、1d", "a duration such as 30m, 2h or 1d")
    A_STATE = ("以下状态之一：{states}", "one of the states {states}")
    A_SCOPE = ("app、api、conversation、folder 之一", "one of app, api, conversation, folder")
    A_PAGE = ("上一页的 next", "the value of next of the page before")
    A_FLAG = ("0 或 1", "0 or 1")
    A_DEED = (
        "需要确认的操作，例如 deliveries/9/resend",
        "an action that is asked about first, such as deliveries/9/resend",
    )
    BAD_FORM = ("表单的字段过多", "the form has too many fields")
    NONSENSE = (
        "这不是 HTTP 请求，或者请求行、请求头过长",
        "this is no HTTP request, or its first line or a header is too long",
    )
    NO_PATH = (
        "没有这个地址：{path}；所有地址见 docs/zh/http-api.md",
        "there is nothing at {path}; docs/http-api.md lists all addresses",
    )
    WRONG_METHOD = (
        "{path} 不支持 {method}；支持：{allowed}",
        "{path} does not take {method}; it takes {allowed}",
    )
    TOO_LARGE = ("请求过大；最多 {most} 字节", "the request is too large; {most} bytes are allowed")
    TOO_SLOW = (
        "请求没有在 {seconds} 秒内完整到达；请重新发送",
        "the request did not arrive whole within {seconds} s: send it again",
    )
    TOO_MANY = (
        "已有 {most} 个连接在等待事件，请稍后再试",
        "{most} connections wait for events already; try later",
    )
    BAD_HOST = (
        "拒绝以 {host} 为主机名的请求；如果这是本机的名称，请加入 http.hosts",
        "requests to the host name {host} are refused; if it is this machine's, add it to http.hosts",
    )
    FOREIGN = (
        "拒绝来自其他网站的请求；请直接打开 dingwatch 的地址，脚本不要发送 Origin",
        "requests of other sites are refused: open dingwatch by its own address; a script sends no Origin",
    )
    NO_TOKEN = (
        "需要令牌：请登录，或发送 Authorization: Bearer 和配置的 http.token_file 中的令牌",
        "a token is needed: log in, or send Authorization: Bearer with the token in http.token_file",
    )
    WRONG_TOKEN = (
        "令牌不正确；令牌是 http.token_file 文件的内容",
        "this is not the token; the token is the content of http.token_file",
    )
    LEDGER = (
        "无法使用发送记录数据库（{reason}）。{advice}",
        "the ledger cannot be used ({reason}). {advice}",
    )
    BUG = (
        "程序内部错误，详情见服务的日志",
        "internal error; the service's log has the details",
    )
    LISTEN_FAILED = (
        "无法监听 http.listen 的地址 {address}（{reason}）；请检查是否已被占用，或改用其他地址",
        "cannot listen on {address} (http.listen): {reason}; check whether it is taken, or choose another",
    )


class Page(Text):
    """The status page. A number takes its noun as a format, as everywhere."""

    TITLE = ("运行状态", "Status")
    SKIP = ("跳到正文", "Skip to content")
    LIVE = ("实时", "Live")
    OFFLINE = ("未连接", "Not connected")
    NAV = ("本页内容", "On this page")
    OTHER_LANGUAGE = ("English", "中文")

    NEEDS = ("需要处理", "Needs you")
    FOLDERS = ("文件夹", "Folders")
    NOW = ("正在进行", "Now")
    FIND = ("查找", "Find")
    PAUSES = ("暂停", "Pauses")
    QUOTA = ("本月调用", "Calls this month")
    LOG = ("日志", "Log")

    HERO_OK = (
        "一切正常：今天送达 {sent} 个文件，最近一次在 {ago}",
        "All is well: {sent:file|files} delivered today, the latest {ago}",
    )
    HERO_QUIET = (
        "一切正常：还没有送达过文件",
        "All is well: no file has been delivered yet",
    )
    HERO_ATTENTION = (
        "{count} 件事需要您处理；其余照常，今天已送达 {sent} 个文件",
        "{count:thing needs|things need} you; everything else goes on, {sent:file|files} delivered today",
    )
    HERO_LEDGER = (
        "发送记录无法使用，没有文件在发送",
        "The ledger cannot be used: nothing is being sent",
    )
    HERO_LEDGER_WHY = ("{path}（{code}）。", "{path} ({code}). ")
    HERO_FRESH = (
        "已就绪：正在监视 {count} 个文件夹，等第一个文件",
        "Ready: watching {count:folder|folders} for the first file",
    )
    HERO_OFFLINE = (
        "连接已中断：以下是 {ago}的状态",
        "Not connected: this is how it was {ago}",
    )
    HERO_OFFLINE_WHY = (
        "服务可能已停止，也可能是网络断开。放进来的文件都在，服务恢复后会自动接着发送，本页也会自动更新。",
        (
            "The service may have stopped, or the network is down. Every file that was dropped is still"
            " there, and is sent once the service is back; this page then goes on by itself."
        ),
    )
    RUN = ("在服务器上执行：", "On the server, run:")
    UP_FOR = ("{node}，已运行 {span}", "{node}, up for {span}")

    WAITING = ("等待发送", "Waiting")
    OLDEST = ("最早的在 {ago}放入", "oldest dropped {ago}")
    NOTHING_WAITS = ("没有文件在等", "nothing waits")
    SENT_TODAY = ("今天送达", "Delivered today")
    YESTERDAY = ("昨天此时 {count}", "{count} by this time yesterday")
    CALLS_LEFT = ("本月剩余调用", "Calls left this month")
    CALLS_USED = ("本月调用", "Calls this month")
    NO_LIMIT = ("没有设置上限", "no limit is set")
    RUNS_OUT = ("照此速度 {end}", "{end} at this rate")
    RUNS_OUT_ON = ("{day}用完", "gone on {day}")
    USED_UP = ("本月已用完", "used up for this month")
    LASTS = ("预计月底用到 {count}，够用", "about {count} by the end of the month: enough")
    UPLOADING = ("正在上传", "Uploading")
    RATE = ("合计 {rate}", "{rate} in all")
    IDLE = ("空闲", "idle")

    KIND_FAILED = ("未能发送", "Not sent")
    KIND_UNCERTAIN = ("不确定是否送达", "May have arrived")
    KIND_HELD = ("暂缓发送", "Held back")
    KIND_FOLDER_DOWN = ("文件夹不可用", "Folder down")
    RETRY = ("重试", "Retry")
    RETRY_ALL = ("全部重试（{count}）", "Retry all {count}")
    CONFIRM = ("已经送达", "It arrived")
    CONFIRM_ALL = ("都已经送达（{count}）", "All {count} arrived")
    RESEND = ("再发一次", "Send once more")
    RESEND_ALL = ("全部再发一次（{count}）", "Send all {count} once more")
    RELEASE = ("全部发送", "Send all")
    DISCARD = ("全部放弃", "Discard all")
    LOOK = ("再看一次", "Look again")
    LABEL = ("{action}：{name}", "{action}: {name}")
    FILES = ("{count} 个文件", "{count:file|files}")
    AND_MORE = ("等 {count} 个文件", "and {count} more")
    COUNT_FOLDERS = ("{count} 个文件夹", "{count:folder|folders}")
    ROUTE = ("{folder} → {to}", "{folder} → {to}")
    STOP = ("。", ". ")
    REQUEST_ID = ("请求编号", "request id")

    FILTER = ("按名称、路径或收件方筛选", "Filter by name, path or recipient")
    SORT = ("排序", "Sort")
    SORT_STATE = ("状态", "State")
    SORT_NAME = ("名称", "Name")
    SORT_WAITING = ("等待最多", "Most waiting")
    SORT_SENT = ("今天最多", "Most today")
    SORT_EVENT = ("最近变动", "Latest event")
    ALL = ("全部", "All")
    STATE_NEEDS = ("需处理", "Needs you")
    STATE_WAITING = ("有等待", "Waiting")
    STATE_PAUSED = ("已暂停", "Paused")
    STATE_OK = ("正常", "Well")
    STATE_STOPPED = ("已停止", "Stopped")
    COLUMN_NAME = ("名称与路径", "Name and path")
    COLUMN_TO = ("发往", "To")
    COLUMN_WATCH = ("监视", "Watched")
    COLUMN_SETTLING = ("未写完", "Settling")
    COLUMN_WAITING = ("等待", "Waiting")
    COLUMN_FAILED = ("失败", "Failed")
    COLUMN_HOURS = ("24 小时送达", "Sent, 24 hours")
    COLUMN_ACTION = ("操作", "Action")
    WATCH_INOTIFY = ("实时监视", "Live")
    WATCH_POLL = ("每 {span}扫描", "Scanned every {span}")
    WATCH_DOWN = ("无法监视", "Not watched")
    WATCH_STOPPED = ("已停止", "Stopped")
    WATCH_UNKNOWN = ("监视状态未知", "Unknown")
    WATCH_NEW = ("正在载入", "Being loaded")
    EVENT = ("变动", "event")
    NO_EVENT = ("尚无变动", "no event yet")
    SCAN = ("全扫", "scan")
    PAUSE = ("暂停", "Pause")
    RESUME = ("继续", "Resume")
    PAUSED_UNTIL = ("暂停到 {until}", "paused until {until}")
    PAUSED = ("已暂停", "paused")
    HELD_COUNT = ("暂缓 {count}", "{count} held")
    UNCERTAIN_COUNT = ("不确定 {count}", "{count:doubt|doubts}")
    BARS = ("最近 24 小时：送达 {sent}，失败 {failed}", "last 24 hours: {sent} sent, {failed} failed")
    TODAY_COUNT = ("今天 {count}", "{count} today")
    NO_SUCH_FOLDER = ("没有符合的文件夹。", "No such folder.")
    NO_FOLDERS = (
        "还没有文件夹。请在配置中加入 folders，然后执行 dingwatch reload。",
        "There are no folders yet. Add some to the config, then run dingwatch reload.",
    )
    SHOW_REST = ("显示其余 {count} 个", "Show the other {count}")
    TO_COUNT = (" 等 {count} 个", " +{count}")
    SEPARATOR = ("、", ", ")

    UPLOADS = ("正在上传", "Uploading")
    SETTLING = ("还没写完", "Still changing")
    BY_DRIVE = ("经钉盘", "by the drive")
    NO_UPLOADS = ("现在没有上传。", "Nothing is being uploaded.")
    NO_SETTLING = ("没有正在变化的文件。", "No file is changing.")
    FOR_SPAN = ("已等 {span}", "for {span}")
    ETA = ("还有\u00a0{span}", "{span}\u00a0left")
    MORE_FILES = ("另有 {count} 个文件", "{count} more")

    ASK = ("文件名、会话、sha256 或编号", "File name, conversation, sha256 or id")
    FROM = ("从", "From")
    TO = ("到", "to")
    GO = ("查找", "Find")
    LATEST = ("最近的文件", "Latest files")
    FOUND = ("找到 {count} 个", "{count} found")
    FOUND_MORE = ("找到 {count} 个以上", "more than {count} found")
    IN_FOLDER = ("文件夹 {name}", "in {name}")
    CLEAR = ("清除条件", "Clear")
    OLDER = ("更早的", "Older")
    NOT_FOUND = (
        "没有找到。试试文件名的一部分，或放宽日期。",
        "Nothing found. Try a part of the name, or wider dates.",
    )
    NO_HISTORY = (
        "发送过的文件会出现在这里，每个都能看到经过。",
        "Files that were sent appear here, each with its story.",
    )
    FILE_PENDING = ("等待上传", "waiting")
    FILE_UPLOADING = ("正在上传", "uploading")
    FILE_UPLOADED = ("等待发送", "uploaded")
    FILE_SENDING = ("正在发送", "sending")
    FILE_SENT = ("已送达", "sent")
    FILE_UNCERTAIN = ("不确定", "uncertain")
    FILE_FAILED = ("失败", "failed")
    FILE_SKIPPED = ("已跳过", "skipped")
    FILE_GONE = ("已取消", "withdrawn")
    FILE_BASELINE = ("监视前已有", "baseline")
    STORY = ("完整经过", "The whole story")

    ENDS = ("{ago}结束", "ends {ago}")
    NO_END = ("直到手动结束", "until it is resumed")
    TRY = ("立即重试", "Try now")
    NO_PAUSES = ("没有暂停，全部照常发送。", "Nothing is paused.")

    USED = ("已用 {used} / {limit}", "{used} of {limit} used")
    USED_ONLY = ("已用 {used}", "{used} used")
    CHART = (
        "本月调用累计 {used}，上限 {limit}，预计月底 {forecast}",
        "{used} calls so far, limit {limit}, {forecast} expected by the end of the month",
    )
    CHART_NO_LIMIT = (
        "本月调用累计 {used}，预计月底 {forecast}",
        "{used} calls so far, {forecast} expected by the end of the month",
    )
    FORECAST = ("预计月底 {count}", "about {count} by the end of the month")
    LIMIT = ("上限 {count}", "limit {count}")
    DAY = ("{day} 日", "{day}")
    NO_CALLS = ("还没有调用过。", "No calls yet.")
    NO_LOG = ("还没有日志。", "Nothing has been logged yet.")
    DRIVE_ROOM = ("钉盘空间 {used} / {quota}", "drive: {used} of {quota} used")

    VERSION = ("版本", "Version")
    UP = ("已运行", "Up for")
    LEDGER = ("发送记录", "Ledger")
    BACKUP = ("上次备份", "Last backup")
    NODE = ("节点", "Node")
    NODES = ("节点", "Nodes")
    NODE_UP = ("正常", "up")
    NODE_LOST = ("失联", "lost")
    NODE_DRAINING = ("已停止发送（drain）", "drained")
    NODE_SEEN = ("{ago}失去联系，它的文件夹无人监视", "lost {ago}; nobody watches its folders")
    NODE_LEASE = ("租约到 {moment}", "its lease lasts until {moment}")
    ROWS = ("{size}，{count} 条", "{size}, {count:row|rows}")
    NO_BACKUP = ("尚无", "none yet")

    FIRST_TITLE = ("试着发第一个文件", "Send a first file")
    FIRST_DROP = ("把任意文件放进 {path}", "Drop any file into {path}")
    FIRST_ARRIVES = (
        "约 2 秒后，它出现在钉钉会话 {to} 里",
        "About 2 s later it is in the DingTalk conversation {to}",
    )
    FIRST_STORY = (
        "这里显示它的经过；有事需要您时，最上面会说",
        "Its story appears here; whatever needs you is said at the top",
    )

    SURE = ("确定？再点一次", "Sure? Press again")
    DONE = ("已受理", "Accepted")
    NOT_DONE = ("未能执行：{reason}", "Not done: {reason}")
    LOST = ("没有连上服务，请稍后再试", "The service did not answer; try again later")
    SURE_RESEND = (
        "再发一次？如果它其实已经送达，会话里会出现两份。",
        "Send it once more? If it has arrived after all, the conversation will have it twice.",
    )
    SURE_RELEASE = ("发送暂缓的 {count} 个文件？发出后无法收回。", "Send the {count:file|files} held back?")
    SURE_DISCARD = (
        "放弃暂缓的 {count} 个文件？它们不会发送；文件本身不受影响。",
        "Discard the {count:file|files} held back? They are not sent; the files themselves stay.",
    )
    SURE_YES = ("确定", "Yes")
    BACK = ("返回", "Back")
    SETTLED_MEANWHILE = (
        "这件事已经不在“需要处理”里了，没有什么要确认的。",
        "This does not need you any more: there is nothing to confirm.",
    )

    AGO = ("{span}前", "{span} ago")
    IN = ("{span}后", "in {span}")
    JUST_NOW = ("刚刚", "just now")
    SECONDS = ("{count}\u00a0秒", "{count}\u00a0s")
    MINUTES = ("{count}\u00a0分钟", "{count}\u00a0min")
    HOURS = ("{count}\u00a0小时", "{count}\u00a0h")
    DAYS = ("{count}\u00a0天", "{count}\u00a0d")
    MONTH_DAY = ("{month}月{day}日", "{day} {month}")

    LOGIN_TITLE = ("登录 dingwatch", "Log in to dingwatch")
    LOGIN_TOKEN = ("令牌（http.token_file 文件的内容）", "Token (the content of http.token_file)")
    LOGIN_BUTTON = ("登录", "Log in")
    ERROR_TITLE = ("无法完成", "This did not work")


class Happened(Text):
    """Events of the ledger, in the story of a file on the status page."""

    SETTLED = ("写完了", "settled")
    RETURNED = ("重新出现", "returned")
    CLAIM = ("开始处理", "claimed")
    UPLOAD_OK = ("上传完成", "uploaded")
    SEND_OK = ("发送成功", "sent")
    RETRY = ("稍后重试", "to be retried")
    REJECT = ("无法发送", "failed")
    DOUBT = ("结果不明", "in doubt")
    SKIP = ("跳过", "skipped")
    VANISH = ("已取消", "withdrawn")
    REQUEUE = ("重新排队", "queued again")
    CONFIRM = ("确认已送达", "confirmed")
    MEDIA_LOST = ("上传已失效", "upload expired")
    CRASH = ("程序中断", "interrupted")
    SEEN = ("再次出现", "seen again")
    MOVED = ("改名或移动", "moved")
    MOVED_AWAY = ("已改名或移走", "moved away")
    HELD = ("暂缓发送", "held back")
    RELEASED = ("恢复发送", "released")
    TOUCHED = ("只有修改时间变化", "touched")


class FolderPage(Text):
    """The page of one folder, for those who drop files into it."""

    GOES_TO = ("放进来的文件会发到{to}", "Files dropped here go to {to}")
    ALL_SENT = (
        "今天放进来的 {count} 个文件都已送达",
        "All {count:file|files} dropped today arrived",
    )
    NONE_TODAY = ("今天还没有放进文件", "No file has been dropped today")
    OPEN = (
        "今天有 {count} 个文件还没送达",
        "{count:file dropped today has|files dropped today have} not arrived yet",
    )
    PART = ("{count} 个{state}", "{count} {state}")
    STOPPED = (
        "暂时停止发送。文件照常放，恢复后会自动发送，不用重放。",
        "Sending has stopped for now. Go on dropping files: they are sent by themselves later.",
    )
    EMPTY = ("还没有发过文件", "No file has been sent yet")
    EMPTY_HINT = (
        "把文件复制到这个文件夹，几秒后它就会出现在会话里。",
        "Copy a file into this folder; seconds later it appears in the conversation.",
    )
    ASK = ("找文件", "Find a file")
    TODAY = ("今天", "Today")
    YESTERDAY = ("昨天", "Yesterday")
    NOT_FOUND = (
        "最近 {count} 个文件里没有它。它放进来了吗？",
        "Not among the last {count:file|files}. Was it dropped here?",
    )
    SENT = ("已送达", "Arrived")
    SENDING = ("正在发送", "Being sent")
    WAITING = ("排队中", "In the queue")
    SETTLING = ("还没写完", "Not finished yet")
    UNCERTAIN = ("可能已送达", "May have arrived")
    FAILED = ("没有发出", "Not sent")
    SKIPPED = ("不会发送", "Will not be sent")
    NOTE_UNCERTAIN = ("管理员正在核对", "an admin is checking")
    NOTE_FAILED = ("管理员已经看到", "an admin has seen it")
    NOTE_WAITING = ("恢复后自动发送", "sent once the service is back")
    NOTE_SEPARATOR = ("，", ", ")
