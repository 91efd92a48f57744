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
    FOLDER_DEFAULTS = (
        "所有文件夹的默认设置：folders 中除 path、name 以外的任何键；文件夹自己的设置优先",
        "defaults for all folders: any key of a folder but path and name; a folder's own keys win",
    )
    FOLDERS = (
        "监视的文件夹，可以有多个；相同或嵌套的路径只能发往不同会话",
        "the watched folders; the same or nested paths only with different conversations",
    )
    FOLDERS_PATH = ("绝对路径，或以 ~/ 开头", "an absolute path, or one that begins with ~/")
    FOLDERS_CONVERSATION_ID = (
        "会话 ID（cid…），或列表：上传一次，各发一条消息",
        "the conversation's ID (cid…), or a list: one upload, one message each",
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
    FOLDERS_EXCLUSIVE = (
        "同一文件夹只允许一个 dingwatch 监视；false 允许多个",
        "only one dingwatch may watch this folder; false allows others",
    )
    FOLDERS_SHARED = (
        "多台主机共用的共享文件夹的名称；尚不支持（not yet）",
        "the name of a share that several hosts work on; not yet",
    )
