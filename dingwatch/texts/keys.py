"""The comment beside each key of the configuration."""

from __future__ import annotations

from dingwatch.texts.language import Text


class Keys(Text):
    """The purpose of each key; a member is the key's section and name in capitals."""

    LANGUAGE = (
        "日志、命令输出和通知的语言：auto | zh | en",
        "language of log, output and notices: auto | zh | en",
    )
    DINGTALK_CLIENT_ID = ("应用的 Client ID（AppKey）", "the app's Client ID (AppKey)")
    DINGTALK_CLIENT_SECRET = (
        "应用的 Client Secret（AppSecret）；只能设置一处，建议用 client_secret_file",
        "the app's Client Secret (AppSecret), set in exactly one place; client_secret_file is better",
    )
    DINGTALK_CLIENT_SECRET_FILE = (
        "保存 Client Secret 的文件，只有所有者可读；systemd 服务使用凭据 client_secret，这里不写",
        "a file with the Client Secret, readable by its owner only; leave it out if systemd provides it",
    )
    DINGTALK_ROBOT_CODE = (
        "机器人编码，默认与 client_id 相同",
        "the robot's code; default: client_id",
    )
    DINGTALK_OPERATOR_UNION_ID = (
        "超过 20 MiB 的文件以谁的权限上传：此人的 unionId",
        "unionId of the person whose rights are used to upload files over 20 MiB",
    )
    DINGTALK_API_URL = ("钉钉新版接口的地址", "address of DingTalk's newer APIs")
    DINGTALK_OAPI_URL = ("钉钉旧版接口的地址", "address of DingTalk's older APIs")
    DINGTALK_MONTHLY_CALLS = (
        "组织每月 API 调用额度，用到 80 % 和 100 % 时提醒；null 不提醒",
        "the organisation's API calls per month; warns at 80 % and 100 %; null = no warning",
    )
    STATE_DIR = (
        "发送记录数据库所在目录，不能在监视的文件夹里；不写则取决于运行的用户",
        "directory of the ledger, outside all folders; the default depends on the user",
    )
    LEDGER = (
        "发送记录数据库：null 是 state_dir 中的 SQLite；或 postgresql+psycopg://…",
        "the ledger: null is SQLite in state_dir; or postgresql+psycopg://…",
    )
    NODE = (
        "本机的名称，显示在告警和状态页上；默认是主机名",
        "this host's name in alerts and on the status page; default: the hostname",
    )
    KEEP = ("文件删除后，发送记录保留多久", "how long a file is remembered after it is gone")
    DELIVERY = ("发送", "delivery")
    DELIVERY_WORKERS = ("同时上传的文件数：1–64", "parallel uploads: 1–64")
    DELIVERY_GIVE_UP_AFTER = (
        "一个文件一直失败，多久后放弃",
        "when to give up on a file that keeps failing",
    )
    DELIVERY_ON_UNCERTAIN = (
        "无法确认是否已送达时：resend 再发送一次 | hold 等待人工处理",
        "if it is unknown whether a message arrived: resend | hold (wait for a person)",
    )
    PACE = ("速率；null 不限", "pace; null = no limit")
    PACE_PER_API = ("每个接口的最高速率，均匀分布", "calls to each API, evenly spaced")
    PACE_PER_CONVERSATION = ("每个会话的最高速率，允许突发", "messages to each conversation, bursts allowed")
    LOG = ("日志", "log")
    LOG_LEVEL = (
        "记录到哪一级：debug | info | warning | error",
        "the least level to log: debug | info | warning | error",
    )
    LOG_FORMAT = ("格式：text 文本 | json", "text | json")
    HTTP = (
        "状态页、API、/healthz 和 /metrics；不设置 listen 就不开启",
        "status page, API, /healthz, /metrics",
    )
    HTTP_LISTEN = (
        "监听地址：HOST:PORT，或 unix:/路径；非本机回环地址必须有 token_file；null 不开启",
        "HOST:PORT, or unix:/PATH; needs a token_file beyond loopback; null = off",
    )
    HTTP_TOKEN_FILE = (
        "保存访问令牌的文件，只有所有者可读",
        "a file with the token that opens it, readable by its owner only",
    )
    HTTP_HOSTS = (
        "除监听地址和 localhost 外，允许的主机名",
        "host names allowed beside the listen address and localhost",
    )
    ALERTS = ("告警：需要人处理时通知谁", "alerts: who is told when something needs a person")
    ALERTS_TO = (
        "通知谁：user:ID、cid…、aliases 中的名称或自定义机器人的地址；出问题和恢复时各一次，每小时最多 6 条",
        "user:ID, cid…, aliases or a custom robot's address; told once, and of the end; at most 6 an hour",
    )
    ALERTS_AFTER = ("问题持续多久才通知", "how long something must last until it is told")
    ALERTS_HEARTBEAT_URL = (
        "服务正常时每分钟访问一次的地址（healthchecks.io、uptime-kuma）",
        "an address to call every minute while the service is well (healthchecks.io, uptime-kuma)",
    )
    ALERTS_DAILY = (
        '每天的汇总在几点发送，本地时间，例如 "18:00"；null 不发送',
        'when to send a daily summary, local time, such as "18:00"; null = never',
    )
    ALIASES = (
        "接收方的名称：凡是写 ID 的地方都可以用，显示时代替 ID；群 cid…、个人 user:ID、旧版群 chat:ID",
        "names for recipients, used and shown instead of IDs: cid…, user:ID, chat:ID",
    )
    FOLDER_DEFAULTS = (
        "所有文件夹的默认设置：folders 中除 path、name 以外的任何键；文件夹自己的设置优先",
        "defaults for all folders: any key of a folder but path and name; a folder's own keys win",
    )
    FOLDERS = (
        "监视的文件夹，可以有多个；相同或嵌套的路径只能发往不同会话",
        "the watched folders; the same or nested paths only with different conversations",
    )
    FOLDERS_PATH = (
        "绝对路径，或以 ~/ 开头；可以有一级是 *，即其中的每个目录",
        "an absolute path, or one that begins with ~/; one level may be *, for each directory there",
    )
    FOLDERS_CONVERSATION_ID = (
        "会话 ID（cid…），或列表：上传一次，各发一条消息",
        "the conversation's ID (cid…), or a list: one upload, one message each",
    )
    FOLDERS_RECIPIENTS = (
        "代替 conversation_id，用于路径带 * 的文件夹：CSV 表，每行一个目录名和它的接收方",
        "instead, for a path with a *: a CSV table with a directory and its recipients on each line",
    )
    FOLDERS_USER_IDS = (
        "也可以发给个人：userId，一个或列表",
        "also, or instead, persons: userId, one or a list",
    )
    FOLDERS_CHAT_ID = (
        "旧版接口的群（chat…），仅限已有权限的组织",
        "legacy chats (chat…), for organisations that still have access to them",
    )
    FOLDERS_WEBHOOK = (
        "自定义机器人的地址；它只能发送通知，须设 send_as: notice",
        "a custom robot's address; it carries notices only, so it needs send_as: notice",
    )
    FOLDERS_WEBHOOK_SECRET = ("自定义机器人的加签密钥（SEC…）", "the custom robot's signing secret (SEC…)")
    FOLDERS_NAME = ("名称，不能重复；默认是文件夹名", "a unique name; default: the directory's name")
    FOLDERS_RECURSIVE = ("包括子文件夹", "include subfolders")
    FOLDERS_INCLUDE = (
        "gitignore 模式，要加引号；空列表表示全部文件",
        "gitignore patterns, in quotes; an empty list includes every file",
    )
    FOLDERS_EXCLUDE = (
        '追加到内置排除列表；以 ! 开头的（例如 "!*.tmp"）从中去掉一项',
        'added to the built-in excludes; "!*.tmp" removes that one',
    )
    FOLDERS_SETTLE = ("文件多久没有变化才算写完", "how long a file must be unchanged to be complete")
    FOLDERS_EXISTING = (
        "首次监视时已有的文件：skip 不发送 | send 发送",
        "files that exist when the folder is first watched: skip | send",
    )
    FOLDERS_ON_CHANGE = (
        "同名文件有新内容：send 发送 | ignore 同名只发一次",
        "new content under a known name: send | ignore (each name is sent once)",
    )
    FOLDERS_UNSUPPORTED = (
        "钉钉不接受的文件类型：zip 压缩后发送 | skip 不发送",
        "file types that DingTalk refuses: zip | skip",
    )
    FOLDERS_LARGE_FILES = (
        "超过 20 MiB 的文件：drive 经钉盘发送 | notice 只发送通知 | fail 记为失败",
        "files over 20 MiB: drive | notice | fail",
    )
    FOLDERS_SEND_AS = (
        "file 按文件发送 | image 图片直接显示 | notice 只发送通知",
        "file | image (pictures inline) | notice (a message instead of every file)",
    )
    FOLDERS_NOTICE_LOCATION = (
        "通知中写明的文件位置",
        "where people find the files, as notices say it",
    )
    FOLDERS_NOTICE_TEXT = (
        "通知的文字，可用 message 的字段；自定义机器人设置了关键词时，要写上关键词",
        "wording of notices, with the fields of `message`; put a custom robot's keyword in it",
    )
    FOLDERS_MESSAGE = (
        "每个文件前的说明，多用一次调用，可用 {{name}} {{size}} {{folder}} {{path}} {{change}}",
        "a caption before each file, costs a call; fields: {{name}} {{size}} {{folder}} {{path}} {{change}}",
    )
    FOLDERS_BUNDLE = (
        "一批文件合成一条消息：第一个文件稳定后等待 wait，达到 from 个就打包成 zip 发送；不足则逐个发送",
        "one message for a burst: from the first file it waits, and sends `from` or more as one zip archive",
    )
    FOLDERS_HOLD_OVER = (
        "一小时内超过这么多就暂缓发送，等待 release 或 discard；null 从不",
        "hold if more than this arrive within an hour, until `release` or `discard`; null = never",
    )
    FOLDERS_WATCH = (
        "监视方式：auto | inotify | poll",
        "how to watch: auto | inotify | poll",
    )
    FOLDERS_POLL_INTERVAL = ("轮询间隔", "interval between polls")
    FOLDERS_RESCAN = ("全面扫描的间隔", "interval between full scans")
    FOLDERS_BEFORE_SEND = (
        "检查每个文件的程序及其参数：退出码 0 发送，1 不发送，其他等待；字段 {{fd}} {{name}} {{size}}",
        "[PROGRAM, ARGS…] checks each file: exit code 0 sends, 1 skips; fields: {{fd}} {{name}} {{size}}",
    )
    FOLDERS_BEFORE_SEND_TIMEOUT = (
        "检查一个文件的时限，超时则等待并重试",
        "how long it may take for one file; after that the file waits, and it is asked again",
    )
    FOLDERS_DRIVE_KEEP = (
        "经钉盘发送的文件在钉盘中保留多久，例如 90d，之后删除（群里的那份不受影响）；null 一直保留",
        "how long files stay in the drive, such as 90d (groups keep their own copy); null = for ever",
    )
    FOLDERS_EXCLUSIVE = (
        "同一文件夹只允许一个 dingwatch 监视；false 允许多个",
        "only one dingwatch may watch this folder; false allows others",
    )
    FOLDERS_FEEDBACK = (
        "没有发送的文件旁边是否放提示：none 不放 | sidecar 放一个 文件名.未发送.txt",
        "beside a file that was not sent: none | sidecar (a text file that says why and what to do)",
    )
    FOLDERS_AFTER_SEND = (
        "所有接收方都收到以后：keep 留在原处 | move 移到 已发送/年-月/",
        "once all recipients have a file: keep it | move it to Sent/YYYY-MM/",
    )
    FOLDERS_SHARED = (
        "共享的名称：写了相同名称的各台主机上是同一个共享，每个文件只发送一次（PostgreSQL）",
        "a name: the same share on every host that says so; each file is sent once (PostgreSQL)",
    )
