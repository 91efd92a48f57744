"""What each key of the configuration is for, as a comment beside it."""

from __future__ import annotations

from dingwatch.texts.language import Text


class Keys(Text):
    """What each key is for; a member is the key's section and name in capitals."""

    LANGUAGE = ("给人看的信息用什么语言：auto | zh | en", "language of messages to people: auto | zh | en")
    DINGTALK_CLIENT_ID = ("应用的 Client ID（AppKey）", "the app's Client ID (AppKey)")
    DINGTALK_CLIENT_SECRET = (
        "应用的 Client Secret（AppSecret）；只能设置一处，建议用 client_secret_file",
        "the app's Client Secret (AppSecret), set in exactly one place; client_secret_file is better",
    )
    DINGTALK_CLIENT_SECRET_FILE = (
        "保存 Client Secret 的文件，只有所有者可读；systemd 服务用凭据 client_secret，这里不写",
        "a file with the Client Secret, for its owner only; none when the systemd unit hands it over",
    )
    DINGTALK_ROBOT_CODE = (
        "机器人编码，默认与 client_id 相同",
        "the robot's code; without it, the client_id",
    )
    DINGTALK_OPERATOR_UNION_ID = (
        "超过 20 MiB 的文件以谁的权限上传：此人的 unionId",
        "whose rights upload files over 20 MiB: this person's unionId",
    )
    DINGTALK_API_URL = ("钉钉新版接口的地址", "DingTalk's address, for the newer interfaces")
    DINGTALK_OAPI_URL = ("钉钉旧版接口的地址", "DingTalk's address, for the older interfaces")
    DINGTALK_MONTHLY_CALLS = (
        "组织每月 API 调用额度，用到 80 % 和 100 % 时提醒；null 不提醒",
        "the organisation's API calls a month; warns at 80 % and 100 %; null = no warning",
    )
    STATE_DIR = (
        "账本所在目录，不能在监视的文件夹里；不写则按用户选择",
        "where the ledger is kept, outside of all folders; without it, by the user who runs it",
    )
    LEDGER = (
        "账本：null 是 state_dir 里的 SQLite；或 postgresql+psycopg://…",
        "the ledger: null is SQLite in state_dir; or postgresql+psycopg://…",
    )
    KEEP = ("文件删除后还记住多久", "how long a file is remembered after it is gone")
    DELIVERY = ("投递", "delivery")
    DELIVERY_WORKERS = ("同时上传几个：1–64", "uploads at a time: 1–64")
    DELIVERY_GIVE_UP_AFTER = (
        "一个文件一直失败，多久后放弃",
        "when to give up on a file that keeps failing",
    )
    DELIVERY_ON_UNCERTAIN = (
        "不知道是否已送达时：resend 再发一次 | hold 等人处理",
        "when it is unknown whether a message arrived: resend | hold",
    )
    PACE = ("速率；null 不限", "pace; null = no limit")
    PACE_PER_API = ("每个接口最快，均匀分布", "calls of one API, evenly spaced")
    PACE_PER_CONVERSATION = ("每个会话最快，可以突发", "messages to one conversation, bursts allowed")
    FOLDERS = (
        "监视的文件夹，可以有多个；相同或嵌套的路径只能发往不同会话",
        "the watched folders, one or more; the same or nested paths only with different conversations",
    )
    FOLDERS_PATH = ("绝对路径，或以 ~/ 开头", "an absolute path, or one that begins with ~/")
    FOLDERS_CONVERSATION_ID = (
        "会话 ID（cid…），或列表：上传一次，各发一条",
        "the conversation's ID (cid…), or a list: one upload, one message each",
    )
    FOLDERS_USER_IDS = (
        "也可以发给个人：userId，一个或列表",
        "also, or instead, persons: userId, one or a list",
    )
    FOLDERS_CHAT_ID = (
        "旧接口的群（chat…），已有权限的组织才能用",
        "chats of old (chat…), for organisations that still have them",
    )
    FOLDERS_WEBHOOK = (
        "自定义机器人的地址；它只能发通知，须设 send_as: notice",
        "a custom robot's address; it carries notices only, so it needs send_as: notice",
    )
    FOLDERS_WEBHOOK_SECRET = ("自定义机器人的加签密钥（SEC…）", "the custom robot's signing secret (SEC…)")
    FOLDERS_NAME = ("名称，不能重复；默认是文件夹名", "a name of its own; without it, the folder's")
    FOLDERS_RECURSIVE = ("包括子文件夹", "with the folders beneath it")
    FOLDERS_INCLUDE = (
        "gitignore 模式，要加引号；空的表示全部",
        "gitignore patterns in quotes; empty takes everything",
    )
    FOLDERS_EXCLUDE = (
        '追加到内置排除列表；以 ! 开头的（例如 "!*.tmp"）从中去掉一项',
        'added to the built-in excludes; "!*.tmp" takes that one out',
    )
    FOLDERS_SETTLE = ("文件静止多久才算写完", "how long a file must rest to be complete")
    FOLDERS_EXISTING = (
        "首次监视时已有的文件：skip 不发 | send 发送",
        "files that are there when it is first watched: skip | send",
    )
    FOLDERS_ON_CHANGE = (
        "同名文件有新内容：send 发送 | ignore 只发一次",
        "new content under a known name: send | ignore (a name is sent once)",
    )
    FOLDERS_UNSUPPORTED = (
        "钉钉不收的文件类型：zip 压缩后发送 | skip 不发",
        "names that DingTalk refuses: zip | skip",
    )
    FOLDERS_LARGE_FILES = (
        "超过 20 MiB 的文件：drive 走钉盘 | notice 只发通知 | fail 记为失败",
        "files over 20 MiB: drive | notice | fail",
    )
    FOLDERS_SEND_AS = (
        "file 作为文件 | image 图片直接显示 | notice 只发通知",
        "file | image (pictures inline) | notice (a message instead of every file)",
    )
    FOLDERS_NOTICE_LOCATION = (
        "通知里写文件在哪里",
        "where people find a file that only a notice tells of",
    )
    FOLDERS_MESSAGE = (
        "每个文件前加一行，多用一次调用，可用 {{name}} {{size}} {{folder}} {{path}} {{change}}",
        "a line before each file, which costs a call; of {{name}} {{size}} {{folder}} {{path}} {{change}}",
    )
    FOLDERS_HOLD_OVER = (
        "一小时内超过这么多就先扣住，等 release 或 discard；null 从不",
        "more than this within an hour are held until `release` or `discard`; null = never",
    )
    FOLDERS_WATCH = (
        "如何监视：auto | inotify | poll",
        "how to watch: auto | inotify | poll",
    )
    FOLDERS_POLL_INTERVAL = ("轮询间隔", "between polls")
    FOLDERS_RESCAN = ("全面扫描间隔", "between full scans")
