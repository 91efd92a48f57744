"""Every sentence shown to people, in Chinese and English.

One class for each place where the sentences appear. A sentence says what happened, to which file,
and what to do next; `{placeholders}` are the same in both languages (a test compares them).
"""

from __future__ import annotations

from enum import Enum, StrEnum


class Language(StrEnum):
    """The languages that dingwatch speaks."""

    ZH = "zh"
    EN = "en"


def spoken(setting: str, locale: str) -> Language:
    """Choose by the config's `language`, or for `auto` by the locale's name (`zh_CN.UTF-8`)."""
    chosen = setting if setting != "auto" else locale
    return Language.ZH if chosen.lower().startswith("zh") else Language.EN


class Text(Enum):
    """A sentence in both languages."""

    def __init__(self, zh: str, en: str) -> None:
        self.zh = zh
        self.en = en

    def said(self, language: Language, **values: object) -> str:
        """Fill in the values and return the sentence in one language."""
        return (self.zh if language is Language.ZH else self.en).format(**values)


class Advice(Text):
    """What a person can do about a cause."""

    FILE_UNREADABLE = ("稍后会自动再试。", "It will be tried again by itself.")
    FILE_FORBIDDEN = (
        "请让运行 dingwatch 的用户可以读取这个文件。",
        "Let the user that dingwatch runs as read this file.",
    )
    FILE_GONE = (
        "文件在发送前已被移走或删除;放回原处就会发送。",
        "The file was moved away or deleted before it was sent; put it back to have it sent.",
    )
    IN_USE = (
        "有程序或编辑器正在使用它,关闭后会自动发送。",
        "A program or an editor is working on it; it is sent by itself once that is closed.",
    )
    FILE_CHANGED = (
        "文件在读取时发生了变化,稳定后会发送新的内容。",
        "The file changed while it was read; its new content is sent when it has settled.",
    )
    NOT_REGULAR = ("只发送普通文件。", "Only regular files are sent.")
    FOLDER_DOWN = (
        "请检查文件夹的路径、权限和挂载;恢复后会自动继续。",
        "Check the folder's path, permissions and mount; it goes on by itself.",
    )
    WATCHES = (
        (
            "请提高内核上限,例如 sysctl -w fs.inotify.max_user_watches=1048576"
            " 和 fs.inotify.max_user_instances=1024;在此之前用定时扫描代替。"
        ),
        (
            "Raise the kernel's limit, such as sysctl -w fs.inotify.max_user_watches=1048576 and"
            " fs.inotify.max_user_instances=1024; until then it is scanned at intervals instead."
        ),
    )
    DISCARDED = (
        "已由 dingwatch discard 放弃;用 dingwatch retry 可以发送它。",
        "Given up by dingwatch discard; dingwatch retry sends it.",
    )
    TOO_BIG = (
        "钉钉的文件上限是 20 MB:请拆分或压缩后再放入文件夹。",
        "DingTalk takes files of up to 20 MB: split or compress it and drop it again.",
    )
    EMPTY = (
        "文件是空的;写入内容后会自动发送。",
        "The file is empty; it is sent by itself once it has content.",
    )
    UNSUPPORTED = (
        "钉钉不接受这种文件;把该文件夹的 unsupported 设为 zip 就会压缩后发送。",
        "DingTalk refuses this kind of file; set the folder's unsupported to zip to send it zipped.",
    )
    TYPE_REFUSED = (
        "钉钉不接受这种文件类型,请改为压缩包。",
        "DingTalk refuses this type of file; drop it as an archive.",
    )
    ON_CHANGE_IGNORE = (
        "这个文件夹对同名文件只发送一次(on_change: ignore);用 dingwatch retry 可以发送它。",
        "This folder sends a name once (on_change: ignore); dingwatch retry sends it.",
    )
    SUPERSEDED = ("已有更新的内容取代它。", "Newer content has taken its place.")
    UNMAPPED = (
        "它的文件夹或会话已不在配置中;加回配置后会自动继续。",
        "Its folder or conversation is no longer in the config; put it back and it goes on by itself.",
    )
    CRASHED = (
        "程序上次在处理它时中断。",
        "The program ended while it had this in hand.",
    )
    POISON = (
        "程序连续三次在处理这个文件时中断;请换一个文件,或用 dingwatch retry 再试。",
        "The program ended three times in a row with this file in hand; replace it, or dingwatch retry it.",
    )
    STOPPED = ("程序停止时它还没有发完。", "The program stopped before it was done.")
    LEDGER_NEWER = (
        "账本由更新版本的 dingwatch 写成,请升级程序。",
        "A newer dingwatch wrote this ledger: upgrade the program.",
    )
    LEDGER_UNWRITABLE = (
        "请检查 state_dir 所在磁盘的空间和权限。",
        "Check the space and permissions of the disk that holds state_dir.",
    )
    LEDGER_DAMAGED = (
        (
            "请停止服务,把 state_dir/backups 里最新的备份复制为 ledger.db,"
            "并删除 ledger.db-wal 和 ledger.db-shm。备份之后发送过的文件会再发一次。"
        ),
        (
            "Stop the service, copy the newest file of state_dir/backups to ledger.db, and delete ledger.db-wal"
            " and ledger.db-shm. What was sent since that backup is sent again."
        ),
    )
    LEDGER_MISSING = (
        (
            "请把账本放回,或把 state_dir/backups 里最新的备份复制为 ledger.db。"
            "若要重新开始(已有文件不发送),请移走 backups 文件夹。"
        ),
        (
            "Put the ledger back, or copy the newest file of state_dir/backups to ledger.db. To begin anew,"
            " with all that is there as baseline, move backups away."
        ),
    )
    LEDGER_REPLACED = (
        "运行中的账本文件被移走或替换;请放回原处,或重启服务。",
        "The ledger's file was moved or replaced while in use: put it back, or restart the service.",
    )
    LEDGER_NETWORK = (
        "SQLite 账本在网络文件系统上不可靠;请把 state_dir 改到本地磁盘。",
        "SQLite is not safe on a network file system: set state_dir to a local disk.",
    )
    UNREACHABLE = (
        "连不上钉钉:请检查网络、DNS、代理和防火墙;恢复后会自动继续。",
        "DingTalk cannot be reached: check network, DNS, proxy and firewall; it goes on by itself.",
    )
    CERTIFICATE = (
        "无法验证对方的证书:请检查系统时间和 CA 证书;公司代理的证书用 REQUESTS_CA_BUNDLE 指定。",
        "The certificate cannot be verified: check the clock and the CA certificates (REQUESTS_CA_BUNDLE).",
    )
    NO_ANSWER = (
        "没有收到钉钉的有效回应;请检查网络和代理。",
        "No valid answer came from DingTalk; check the network and the proxy.",
    )
    ADDRESS = (
        "请检查配置里的 api_url 和 oapi_url,以及环境变量里的代理地址。",
        "Check api_url and oapi_url in the config, and the proxy's address in the environment.",
    )
    GATE_PAGE = (
        "钉钉的网关拦下了请求,可能是同一出口 IP 请求过多;会等几分钟再试。",
        "DingTalk's gateway turned the request away, perhaps too many from this IP; it waits some minutes.",
    )
    DINGTALK_BUSY = ("钉钉系统繁忙,会自动再试。", "DingTalk is busy; it will be tried again by itself.")
    THROTTLED = ("发送过快,会自动放慢。", "Too fast for DingTalk; it slows down by itself.")
    QUOTA = (
        "本月的 API 调用次数已用完:请在开发者后台购买,或等到下个月 1 日。",
        "This month's API calls are used up: buy more in the developer console, or wait for the 1st.",
    )
    CREDENTIALS = (
        "请核对 client_id 和 client_secret(开发者后台 → 应用 → 凭证与基础信息)。",
        "Check client_id and client_secret (developer console → app → Credentials 凭证与基础信息).",
    )
    PERMISSION = (
        "应用缺少权限:在开发者后台 → 权限管理 申请所列权限,然后发布新版本。",
        "The app lacks a permission: request it in the developer console (权限管理), then publish a version.",
    )
    NOT_PUBLISHED = (
        "可使用范围不包含对方:请在 版本管理与发布 里扩大可使用范围并发布。",
        "Not in the app's visible range: widen it in the console (版本管理与发布) and publish.",
    )
    APP_DISABLED = (
        "应用或组织已停用:请在管理后台启用。",
        "The app or organisation is disabled: enable it in the admin console.",
    )
    IP_LIST = (
        "出口 IP 不在白名单:在开发者后台 → 安全设置 → 服务器出口 IP 中加入它。",
        "This IP is not on the allow-list: add it in the developer console (安全设置 → 服务器出口IP).",
    )
    ROBOT_CODE = (
        "机器人不可用:robot_code 应为应用的 Client ID,且机器人已启用并发布。",
        "The robot cannot be used: robot_code is the app's Client ID; enable the robot and publish it.",
    )
    ROBOT_IN_GROUP = (
        "请把机器人加入该群:群设置 → 机器人 → 添加机器人。",
        "Add the robot to the group: group settings → 机器人 → 添加机器人.",
    )
    CONVERSATION = (
        "请核对 conversation_id:须是本组织的内部群,且机器人在群里。",
        "Check conversation_id: an internal group of the same organisation with the robot in it.",
    )
    SENDING_FORBIDDEN = (
        "群里禁止机器人发消息:请群主在群设置里放开。",
        "Sending is forbidden there: ask the group's owner to allow robots to send.",
    )
    WEBHOOK = (
        "请核对自定义机器人的 token 和安全设置。",
        "Check the custom robot's token and security settings.",
    )
    CONTENT = (
        "钉钉不允许发送这个内容:请改名或更换文件。",
        "DingTalk does not allow this content: rename or replace the file.",
    )
    MEDIA_LOST = (
        "钉钉已不认识上传的文件,会重新上传一次。",
        "DingTalk no longer knows the upload; it is uploaded once more.",
    )
    KEY_EXPIRED = (
        "钉钉已不再保留这条消息的发送记录,请在会话里查看。",
        "DingTalk no longer keeps the record of this message: look in the conversation.",
    )
    SPACE = ("请检查钉盘空间及其权限。", "Check the drive space and its permissions.")
    UNKNOWN_CODE = (
        "钉钉返回了未知的错误码;请凭 request id 在开发者后台查询。",
        "DingTalk gave an unknown code; look its request id up in the developer console.",
    )
    REPORT_BUG = (
        "请求格式被拒绝,可能是 dingwatch 的缺陷,请报告。",
        "The request was refused for its form, perhaps a defect of dingwatch: please report it.",
    )


class Log(Text):
    """Lines of the service's log."""

    SENT = ("已发送:{path} → {conversation}", "sent: {path} → {conversation}")
    FAILED = (
        "未能发送:{path} → {conversation}({code} {message}){advice}",
        "not sent: {path} → {conversation} ({code} {message}). {advice}",
    )
    SKIPPED = (
        "已跳过:{path} → {conversation}({code} {message}){advice}",
        "skipped: {path} → {conversation} ({code} {message}). {advice}",
    )
    WITHDRAWN = (
        "不再发送:{path} → {conversation}({code} {message}){advice}",
        "no longer to be sent: {path} → {conversation} ({code} {message}). {advice}",
    )
    DOUBTED = (
        "不确定是否已送达:{path} → {conversation}({code} {message}){advice}",
        "may or may not have arrived: {path} → {conversation} ({code} {message}). {advice}",
    )
    RETRYING = (
        "稍后重试:{path} → {conversation}({code} {message}){advice}",
        "will be tried again: {path} → {conversation} ({code} {message}). {advice}",
    )
    RESENDING = (
        "上次没有收到回应,再发一次:{path} → {conversation}",
        "sending once more, as its answer was lost: {path} → {conversation}",
    )
    EXTENSION_REFUSED = (
        "钉钉不接受 .{extension} 文件,今后压缩为 zip 发送:{path}",
        "DingTalk refuses .{extension} files; they go zipped from now on: {path}",
    )
    PAUSED = (
        "暂停 {scope} {key},{seconds} 秒后再试({code} {message}){advice}",
        "paused {scope} {key}, next try in {seconds} s ({code} {message}). {advice}",
    )
    RESUMED = ("恢复 {scope} {key}", "resumed {scope} {key}")
    RECOVERED = (
        "上次没有正常结束,正在恢复 {count} 项未完成的投递",
        "the last run did not end cleanly; taking up {count} unfinished deliveries",
    )
    LEDGER_DOWN = (
        "账本暂时不可用({code} {message}),不发送任何文件。{advice}",
        "the ledger cannot be used ({code} {message}); nothing is sent. {advice}",
    )
    BACKUP_FAILED = (
        "账本没有备份成功({code} {message})。{advice}",
        "the ledger could not be backed up ({code} {message}). {advice}",
    )
    LEDGER_BACK = ("账本恢复可写,继续工作", "the ledger can be written again, going on")
    UNREADABLE = (
        "暂时无法读取:{path}({code} {message}){advice}",
        "cannot be read now: {path} ({code} {message}). {advice}",
    )
    NOT_REGULAR = (
        "不发送链接、管道、套接字和设备:{path}(共 {count} 个)",
        "links, pipes, sockets and devices are not sent: {path} ({count} in all)",
    )
    RESTLESS = (
        "{hours} 小时以来一直在变化或被占用,仍在等待:{path}。请关闭正在写入它的程序",
        (
            "has been changing or in use for {hours} hours, and is still waited for: {path};"
            " close the program that writes it"
        ),
    )
    FLOOD = (
        (
            "文件夹 {folder} 一小时内新增超过 {most} 个投递,其余暂不发送:"
            "请执行 dingwatch release '{folder}' 发送,或 dingwatch discard '{folder}' 放弃"
        ),
        (
            "folder {folder}: more than {most} deliveries within an hour, the rest is held: dingwatch release"
            " '{folder}' sends it, dingwatch discard '{folder}' gives it up"
        ),
    )
    FALLEN_BACK = (
        "文件夹 {folder} 收不全内核事件({code}),改用定时扫描:{path}。{advice}",
        (
            "folder {folder}: the kernel makes no events for all of it ({code}), it is scanned at intervals"
            " instead: {path}. {advice}"
        ),
    )
    FOLDER_DOWN = (
        "文件夹 {folder} 无法监视:{path}({code})。恢复后会自动继续,请检查路径、权限和挂载",
        "folder {folder} cannot be watched: {path} ({code}); it goes on by itself when that is mended",
    )
    FOLDER_BACK = ("文件夹 {folder} 已恢复监视:{path}", "folder {folder} is watched again: {path}")
    BASELINE = (
        "文件夹 {folder} 里原有 {count} 个文件,按配置不发送",
        "folder {folder}: {count} files were there before and are not sent (existing: skip)",
    )
    QUEUED = ("等待发送:{path}", "queued: {path}")
    READY = ("正在监视 {count} 个文件夹", "watching {count} folders")
    BUG = (
        "程序内部错误,服务停止;重新启动后会继续未完成的工作",
        "an internal error stopped the service; after a restart it goes on with what was unfinished",
    )


class Problems(Text):
    """What can be wrong with the configuration."""

    NO_CONFIG = (
        "没有找到配置文件（找过：{places}）。请把 config.example.yaml 复制过去并修改，或用 -c 指定文件。",
        (
            "No configuration found (looked at {places}). Copy config.example.yaml there and edit it,"
            " or name a file with -c."
        ),
    )
    UNREADABLE = (
        "无法读取 {path}：{reason}。请检查路径和权限。",
        "{path} cannot be read: {reason}. Check the path and its permissions.",
    )
    TOO_LARGE = (
        "文件超过 1 MiB，不像是配置文件。请检查路径。",
        "The file is larger than 1 MiB and hardly a configuration. Check the path.",
    )
    NOT_UTF8 = (
        "这里的字符不是 UTF-8 编码。请在编辑器里把文件另存为 UTF-8。",
        "There are characters here that are not UTF-8. Save the file as UTF-8 in your editor.",
    )
    NO_KEYS = (
        "文件里没有配置项。文件应由 dingtalk:、folders: 等键组成，冒号用半角，后面加一个空格。",
        (
            "The file has no keys. It must consist of keys such as dingtalk: and folders:, each with a colon"
            " and a space."
        ),
    )
    TOO_NESTED = (
        "嵌套太深，或别名（*name）太多。请写成普通的配置。",
        "Nested too deeply, or too many aliases (*name). Write it plainly.",
    )
    CONTROL = (
        "含有不可见的控制字符，或本系统编码不支持的字符。请删掉后重新输入。",
        (
            "Contains control characters, or characters that this system's encoding does not have."
            " Delete them and type the value again."
        ),
    )
    YAML_TAB = (
        "第 {column} 列用了制表符（Tab）。YAML 只能用空格缩进。",
        "There is a tab in column {column}. YAML is indented with spaces only.",
    )
    YAML_QUOTES = (
        '第 {column} 列的符号在 YAML 里有特殊含义。以 * & ! @ % ` 开头的值要加引号，例如 "*.pdf"。',
        (
            "The character in column {column} has a meaning of its own in YAML. Put a value that begins with"
            ' * & ! @ % or ` in quotes, such as "*.pdf".'
        ),
    )
    YAML_COLON = (
        "第 {column} 列的冒号不该在这里。请检查缩进；值里含有“冒号加空格”时要加引号。",
        (
            "The colon in column {column} does not belong here. Check the indentation; put a value that"
            " contains a colon and a space in quotes."
        ),
    )
    YAML_NO_COLON = (
        "第 {column} 列附近缺少冒号。键后面要写半角冒号和一个空格（不要用全角冒号“：”）。",
        (
            "A colon is missing near column {column}. A key is followed by a colon and a space (not by the"
            " full-width colon “：”)."
        ),
    )
    YAML_UNCLOSED = (
        "第 {column} 列附近有引号或括号没有闭合。",
        "A quote or a bracket is not closed near column {column}.",
    )
    YAML_DOCUMENTS = (
        "第 {column} 列开始了第二份文档。请删掉“---”，只留一份。",
        "A second document begins in column {column}. Remove the ---, there can be only one.",
    )
    YAML_INDENT = (
        "第 {column} 列的缩进不对。同一层的键要对齐，列表项以“- ”开头。",
        (
            "The indentation in column {column} does not fit. Keys of one level stand below each other, the"
            " items of a list begin with “- ”."
        ),
    )
    YAML_BROKEN = (
        "第 {column} 列附近不是有效的 YAML。请检查缩进、冒号和引号。",
        "This is no valid YAML near column {column}. Check indentation, colons and quotes.",
    )
    TWICE = (
        "同一个键写了两次（第一次在第 {first} 行）。请只留一个。",
        "The same key is there twice (first in line {first}). Keep one of them.",
    )
    ODD_KEY = (
        "这里的键不是普通文字。请检查括号和问号。",
        "A key here is no plain text. Check brackets and question marks.",
    )
    UNKNOWN = (
        "没有这个键。是不是想写 {nearest}？",
        "There is no such key. Did you mean {nearest}?",
    )
    MISSING = (
        "缺少这个键，或者值是空的。请补上。",
        "This key is missing, or has no value. Add it.",
    )
    NOTHING = (
        "值是空的。请填写，或删掉这一行；以 # 开头的值要加引号。",
        "There is no value. Fill it in, or remove the line; put a value that begins with # in quotes.",
    )
    EMPTY = (
        "值是空白。请填写，或删掉这一行。",
        "The value is blank. Fill it in, or remove the line.",
    )
    NOT_TEXT = (
        "这里要写一段文字，不能是列表或下级键。",
        "This must be one text, not a list or keys below it.",
    )
    NUMBER_FOR_TEXT = (
        '不加引号的 {written} 在 YAML 里不是文字。请写成 "{written}"。',
        'Without quotes, {written} is no text for YAML. Write "{written}".',
    )
    SECRET_NOT_TEXT = (
        "不加引号的数字等在 YAML 里不是文字。请把密钥写在引号里。",
        "Without quotes, YAML takes this for a number or the like. Put the secret in quotes.",
    )
    EXCLAMATION = (
        '以 ! 开头的值要加引号，例如 "!*.tmp"。',
        'Put a value that begins with ! in quotes, such as "!*.tmp".',
    )
    NOT_NUMBER = (
        "这里要写整数，不带引号和单位。",
        "This must be a whole number, without quotes and unit.",
    )
    NUMBER_RANGE = (
        "必须在 {least} 到 {most} 之间。",
        "This must be from {least} to {most}.",
    )
    NOT_SWITCH = (
        "这里只能写 true 或 false，不带引号。",
        "This must be true or false, without quotes.",
    )
    NOT_LIST = (
        '这里要写列表，例如 ["*.pdf", "*.docx"]，或者每行一个“- ”。',
        'This must be a list, such as ["*.pdf", "*.docx"] or one “- ” a line.',
    )
    NOT_MAPPING = (
        "这里要写下级键（向右缩进，每行一个“键: 值”），或者整个删掉。",
        "This must have keys below it (indented, one “key: value” a line), or be left out.",
    )
    CHOICE = (
        "只能是其中之一：{choices}。",
        "This must be one of: {choices}.",
    )
    DURATION = (
        "时长要写数字和单位，中间没有空格，例如 500ms、2s、5m、12h、3d。",
        "Write a duration as a number and a unit without a space, such as 500ms, 2s, 5m, 12h, 3d.",
    )
    DURATION_RANGE = (
        "时长必须在 {least} 到 {most} 之间。",
        "The duration must be from {least} to {most}.",
    )
    SIZE = (
        "大小要写数字和单位，中间没有空格，例如 20MB、20MiB。",
        "Write a size as a number and a unit without a space, such as 20MB or 20MiB.",
    )
    PACE = (
        "速率要写成每秒（20/s）或每分钟（20/m）的次数，不限制写 null。",
        "Write a pace as so many a second (20/s) or a minute (20/m), or null for no limit.",
    )
    URL = (
        "这不是有效的地址。请写 https:// 加主机名，不带用户名、? 和 #。",
        "This is no valid address. Write https:// and a host, without user name, ? and #.",
    )
    CLEAR_TEXT = (
        "http:// 会以明文传输密钥，只能用于本机（127.0.0.1、localhost）。请改用 https://。",
        (
            "http:// would send the secret in clear text and is only for this machine (127.0.0.1, localhost)."
            " Use https://."
        ),
    )
    LEDGER = (
        "只能是 null（SQLite，放在 state_dir 里），或以 postgresql+psycopg:// 开头的地址。",
        "This must be null (SQLite in state_dir), or an address that begins with postgresql+psycopg://.",
    )
    RELATIVE = (
        "必须是绝对路径（以 / 开头），或以 ~/ 开头。网络共享要先挂载到本机。",
        "This must be an absolute path (beginning with /), or begin with ~/. Mount a network share first.",
    )
    NO_CID = (
        "会话 ID（openConversationId）以 cid 开头。这里不能写群名或 chatId。",
        "A conversation ID (openConversationId) begins with cid. It is not the group's name or its chatId.",
    )
    NO_CONVERSATION = (
        "列表是空的。请至少写一个会话 ID。",
        "The list is empty. Name at least one conversation ID.",
    )
    SAME_CONVERSATION = (
        "会话 {written} 写了两次。请只留一个。",
        "The conversation {written} is there twice. Keep one of them.",
    )
    PATTERN = (
        "{written} 不是有效的 gitignore 模式。例如：*.pdf、/草稿/、!*.tmp。",
        "{written} is no valid gitignore pattern. Such are: *.pdf, /drafts/, !*.tmp.",
    )
    PATTERN_COMMENT = (
        "gitignore 模式里以 # 开头的是注释，{written} 不起作用。请在 # 前加反斜杠，并用单引号。",
        (
            "A gitignore pattern that begins with # is a comment, so {written} has no effect. Put a backslash"
            " before the #, and all of it in single quotes."
        ),
    )
    SAME_NAME = (
        "名称 {name} 已被第 {first} 行的文件夹使用。请用 name 给其中一个另起名称。",
        "The folder in line {first} is called {name} too. Give one of them another name.",
    )
    OVERLAP = (
        "与第 {first} 行的文件夹相同或互相包含，又发往同一会话 {conversation}，会重复发送。请改路径或会话。",
        (
            "This is the same folder as in line {first}, or one lies in the other, and both go to"
            " conversation {conversation}: files would be sent twice. Change the path or the conversation."
        ),
    )
    AROUND_STATE = (
        "这个文件夹与 state_dir（{state_dir}）相同或互相包含。请把 state_dir 放到监视的文件夹之外。",
        (
            "This folder and state_dir ({state_dir}) are the same or one lies in the other. Put state_dir"
            " outside of all watched folders."
        ),
    )
    SECRET_NONE = (
        (
            "没有密钥（AppSecret）。请设置 client_secret、client_secret_file、环境变量"
            " DINGWATCH_CLIENT_SECRET 或 systemd 凭据 client_secret 之一。"
        ),
        (
            "There is no secret (AppSecret). Set one of client_secret, client_secret_file, the environment"
            " variable DINGWATCH_CLIENT_SECRET or the systemd credential client_secret."
        ),
    )
    SECRET_TWICE = (
        "密钥设置了不止一处：{places}。请只留一处。",
        "The secret is set in more than one place: {places}. Keep one of them.",
    )
    SECRET_UNREADABLE = (
        "无法读取密钥文件 {path}：{reason}。请检查路径和权限。",
        "The secret's file {path} cannot be read: {reason}. Check the path and its permissions.",
    )
    SECRET_STRANGE = (
        "密钥文件 {path} 里应当只有一行密钥（UTF-8，不超过 4 KiB）。",
        "The secret's file {path} must hold the secret on one line and nothing else (UTF-8, at most 4 KiB).",
    )
    SECRET_OPEN = (
        "{path} 里有密钥，其他用户却可以读写。请执行：{command}",
        "{path} holds the secret and is open to other users. Run: {command}",
    )
    WRONG = (
        "这个值不合适。请对照 config.example.yaml。",
        "This value does not fit. Compare with config.example.yaml.",
    )


class Cli(Text):
    """What the commands say."""

    HELP = (
        "监视文件夹,把每个新文件完整地、一次地、几秒内发到钉钉会话。",
        "Watches folders and sends each new file to a DingTalk conversation: whole, once, within seconds.",
    )
    RUN = ("在前台运行服务。", "Run the service in the foreground.")
    CHECK = (
        "运行前检查:配置、文件夹、权限、监视上限、凭证、机器人。",
        "Check before a run: config, folders, permissions, watch limits, credentials, robot.",
    )
    STATUS = ("显示服务和各文件夹的状态。", "Show how the service and its folders stand.")
    HISTORY = ("显示发送记录,最新的在前。", "Show what was sent and what was not, newest first.")
    RETRY = (
        "重新发送失败、跳过、撤回或原有的文件。",
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
    RECALL = ("撤回已发送的消息。", "Take a sent message back.")
    SEND = ("立即发送文件。", "Send files now.")
    INIT = ("引导完成设置。", "Be led through the set-up.")
    DEMO = ("无需注册,立即试用。", "Try it at once, with nothing to register.")
    SANDBOX = ("运行本地的钉钉替身。", "Run the local stand-in for DingTalk.")
    OPT_CONFIG = ("配置文件。", "The config file.")
    OPT_OFFLINE = ("不联系钉钉。", "Ask nothing of DingTalk.")
    OPT_JSON = ("输出 JSON。", "Print JSON.")
    OPT_FOLDER = ("文件夹的名称。", "A folder's name.")
    OPT_STATE = ("只显示这个状态。", "Only this state.")
    OPT_LIMIT = ("最多显示多少行。", "How many lines at the most.")
    OPT_ALL = ("全部失败的投递。", "Everything that failed.")
    OPT_BASELINE = ("文件夹里原有的文件。", "The files that were in the folder before.")
    OPT_SENT = ("它已经送达。", "It arrived.")
    OPT_RESEND = ("它没有送达,再发一次。", "It did not arrive: send it once more.")
    OPT_TO = ("会话 ID 或配置中的文件夹名称。", "A conversation ID, or the name of a folder in the config.")
    OPT_HOST = ("监听地址。", "The address to listen on.")
    OPT_PORT = ("监听端口,0 为任意。", "The port to listen on; 0 takes any.")
    NOT_YET = ("“{command}”尚未实现(not yet)。", "not yet: {command} comes with a later version.")
    CONFIG_BAD = ("配置有 {count} 处问题:", "the config has {count} problems:")
    CONFIG_LINE = ("(第 {line} 行)", " (line {line})")
    LEDGER_FAILED = (
        "无法使用 {path} 中的账本:{reason}。{advice}",
        "the ledger in {path} cannot be used: {reason}. {advice}",
    )
    FORBIDDEN = (
        "没有权限访问 {path};请用服务的用户或 root 运行这个命令。",
        "{path} may not be accessed: run this command as the service's user, or as root.",
    )
    LOCKED = (
        "已有一个 dingwatch(进程 {pid})在使用 {path};同一账本只能运行一个服务。",
        "another dingwatch (process {pid}) works on {path}: one ledger, one service.",
    )
    RUNNING = ("服务正在运行(进程 {pid})", "the service is running (process {pid})")
    NOT_RUNNING = ("服务没有运行", "the service is not running")
    PAUSE = ("暂停:{scope},下次尝试 {until}。{reason}", "paused: {scope}, next try {until}. {reason}")
    PAUSE_REASON = ("{cause}:{key}。{advice}", "{cause}: {key}. {advice}")
    AT_ONCE = ("立即", "at once")
    LEFT = (
        "{count} 个文件所属的文件夹已不在配置中,没有发送;见 dingwatch history --state failed",
        "{count} files of folders that left the config are not sent: dingwatch history --state failed",
    )
    DIRECT = ("(send 命令)", "(by send)")
    CALLS = ("{month} 已用 API 调用 {used} / {limit}", "API calls in {month}: {used} of {limit}")
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
    NO_FOLDER = ("配置中没有文件夹 {name};有:{names}", "no folder {name} in the config; there are: {names}")
    NO_TARGET = (
        "{name} 既不是会话 ID(以 cid 开头),也不是配置中的文件夹;有:{names}",
        "{name} is neither a conversation ID (cid…) nor a folder of the config; there are: {names}",
    )
    RETRY_WHAT = (
        "请给出编号、--all,或 --folder 名称 --baseline 三者之一。",
        "give IDs, or --all, or --folder NAME --baseline.",
    )
    RETRY_NOT = (
        "没有改动任何东西;这些编号不存在,或其状态不能重试:{ids}",
        "nothing was changed; unknown, or not to be retried in their state: {ids}",
    )
    RESOLVE_WHAT = ("请给出 --sent 或 --resend。", "give --sent or --resend.")
    RESOLVE_NOT = (
        "没有改动任何东西;编号 {id} 不存在,或者它不是 uncertain",
        "nothing was changed; {id} is unknown, or not uncertain",
    )
    RESOLVED_SENT = ("{id} 已记为送达", "{id} is taken as sent")
    RESOLVED_RESEND = ("{id} 将再发一次", "{id} is sent once more")
    RELEASED = ("文件夹 {name}:{count} 项开始发送", "folder {name}: {count} released")
    DISCARDED = (
        "文件夹 {name}:放弃 {count} 项;用 dingwatch retry 编号 可以发送其中的文件",
        "folder {name}: {count} given up; dingwatch retry ID sends one after all",
    )
    HELD = (
        (
            "文件夹 {name}:一小时内新增过多,暂留 {count} 项;"
            "请执行 dingwatch release '{name}' 发送,或 dingwatch discard '{name}' 放弃"
        ),
        (
            "folder {name}: too many within an hour, {count} are held; dingwatch release '{name}' sends them,"
            " dingwatch discard '{name}' gives them up"
        ),
    )
    RESTLESS = (
        "{hours} 小时以来一直在变化或被占用:{path}",
        "changing or in use for {hours} hours: {path}",
    )
    WHY_PATH = ("{path}(文件夹 {folder})", "{path} (folder {folder})")
    WHY_NOWHERE = (
        "{path} 不在任何被监视的文件夹里;有:{names}",
        "{path} lies in no watched folder; there are: {names}",
    )
    WHY_UNKNOWN = (
        "账本里没有它的记录;服务运行时会在稳定后发送。",
        "The ledger knows nothing of it; a running service sends it once it has settled.",
    )
    WHY_BASELINE = (
        "{when} 首次监视时已经存在,不发送;用 dingwatch retry 可以发送",
        "{when} was there when the folder was first watched, and is not sent; dingwatch retry sends it",
    )
    WHY_EXCLUDED = ("被规则 {pattern} 排除,不发送。", "The pattern {pattern} excludes it: it is not sent.")
    WHY_NOT_INCLUDED = (
        "不符合 include,或在子文件夹里而 recursive 为 false,不发送。",
        "It matches no include pattern, or lies in a subfolder of a folder that is not recursive: not sent.",
    )
    WHY_NOT_THERE = ("现在不能发送({reason})。{advice}", "It cannot be sent now ({reason}). {advice}")
    WHY_EMPTY = (
        "文件是空的:等它写入内容,{minutes} 分钟后标为 skipped。",
        "It is empty: it is given {minutes} minutes to be filled, and then skipped.",
    )
    WHY_SETTLING = ("{seconds} 秒以来等待它稳定", "has been settling for {seconds} s")
    WHY_WAITS = ("它还不能发送:{reason}。{advice}", "it is held back: {reason}. {advice}")
    LEFT_OUT = (
        "未发送 {path}({reason}){advice}",
        "left out: {path} ({reason}). {advice}",
    )
    RETRIED = ("{count} 项重新进入发送队列", "{count} back to work")
    FILE_BAD = ("无法发送 {path}({reason}){advice}", "cannot be sent: {path} ({reason}). {advice}")
    SENDING = ("发送中", "sending")
    SEND_ENDED = (
        "已中断;还没有发送的文件留在账本里,服务下次运行时会发送。",
        "interrupted; what is not sent yet stays in the ledger, and the service sends it when it runs.",
    )
    FILE_SENT = ("已发送 {id}:{path} → {conversation}", "sent {id}: {path} → {conversation}")
    FILE_UNCERTAIN = (
        "不确定 {id}:{path} → {conversation}({reason}){advice}",
        "uncertain {id}: {path} → {conversation} ({reason}). {advice}",
    )
    FILE_NOT_SENT = (
        "未发送 {id}:{path} → {conversation}({reason}){advice}",
        "not sent {id}: {path} → {conversation} ({reason}). {advice}",
    )
    DEMO_FOLDER = ("共享文件夹", "share")
    DEMO_HINT = (
        "把任意文件放进这个文件夹,就会出现在页面上:cp /etc/hostname '{folder}/你好.txt'。按 Ctrl-C 结束。",
        "Copy any file there and see it on the page: cp /etc/hostname '{folder}/hello.txt'. Ctrl-C ends.",
    )
    SANDBOX_HINT = (
        "把上面的内容放进配置文件;按 Ctrl-C 结束。",
        "Put this into a config file; Ctrl-C ends it.",
    )
    PORT_TAKEN = (
        "无法监听 {host}:{port}:{reason};请换一个 --port。",
        "cannot listen on {host}:{port}: {reason}; choose another --port.",
    )


class Checks(Text):
    """What `check` finds."""

    CONFIG = ("配置正确,{count} 个文件夹", "the config is fine, {count} folders")
    STATE = ("state_dir {path} 可写", "state_dir {path} can be written")
    STATE_BAD = (
        "state_dir {path} 不可写;请修改权限,或用服务的用户运行本检查",
        "state_dir {path} cannot be written; mend its permissions, or run this as the service's user",
    )
    STATE_NETWORK = (
        "state_dir {path} 在网络文件系统({kind})上,SQLite 在那里不可靠;请改用本地磁盘",
        "state_dir {path} lies on a network file system ({kind}), where SQLite is not safe; use a local disk",
    )
    LEDGER = ("账本正常;{month} 已用 API 调用 {used} 次", "the ledger opens; {used} API calls in {month}")
    LEDGER_BAD = ("账本无法打开:{reason}。{advice}", "the ledger cannot be opened: {reason}. {advice}")
    FOLDER = ("{name}:{path} 可读({kind},{how})", "{name}: {path} can be read ({kind}, {how})")
    FOLDER_BAD = (
        "{name}:{path} 无法监视({reason}){advice}",
        "{name}: {path} cannot be watched ({reason}). {advice}",
    )
    EVENTS = ("内核事件", "kernel events")
    POLLED = ("定时扫描", "polled")
    BLIND = (
        "{name}:在 {kind} 上收不到其他主机的改动;建议 watch: auto",
        "{name}: on {kind} changes by other hosts make no events; use watch: auto",
    )
    BASELINE = (
        "{name}:首次运行时原有的 {count} 个文件不发送",
        "{name}: at the first run the {count} files that are there are not sent",
    )
    BACKLOG = (
        "{name}:首次运行会发送 {count} 条消息,约 {calls} 次 API 调用",
        "{name}: the first run sends {count} messages, about {calls} API calls",
    )
    KNOWN = (
        "{name}:已在监视,只发送新文件",
        "{name}: has been watched before; only what is new is sent",
    )
    WATCHES = (
        "需要 {needed} 个 inotify 监视,上限 {limit}",
        "{needed} inotify watches needed, {limit} allowed",
    )
    WATCHES_FEW = (
        "需要 {needed} 个 inotify 监视,上限 {limit};运行 sysctl -w fs.inotify.max_user_watches={wanted}",
        "{needed} inotify watches needed, {limit} allowed: sysctl -w fs.inotify.max_user_watches={wanted}",
    )
    TOKEN = ("凭证有效", "the credentials are valid")
    TOKEN_BAD = ("无法从 {host} 取得令牌({reason}){advice}", "no token from {host} ({reason}). {advice}")
    ROBOT = ("机器人在会话 {conversation} 中", "the robot is in conversation {conversation}")
    ROBOT_BAD = (
        "机器人不在会话 {conversation} 中。{advice}",
        "the robot is not in conversation {conversation}. {advice}",
    )
    ROBOT_UNKNOWN = (
        "无法查询会话 {conversation} 的机器人({reason}){advice}",
        "the robots of conversation {conversation} cannot be asked for ({reason}). {advice}",
    )
    CONFIG_BAD = ("配置:{problem}", "config: {problem}")
    LEDGER_LATER = ("尚不支持 PostgreSQL 账本(not yet)", "not yet: a ledger in PostgreSQL")
    UNLISTED = (
        "{name}:无法列出 {path}({reason}){advice}",
        "{name}: {path} cannot be listed ({reason}). {advice}",
    )
    QUOTA = (
        "首次运行约 {calls} 次 API 调用;{month} 已用 {used} 次,每月 {limit}",
        "the first run makes about {calls} API calls; {used} are used of {limit} in {month}",
    )
    QUOTA_SHORT = (
        "首次运行约 {calls} 次 API 调用;{month} 已用 {used} 次,每月 {limit}:请改用 existing: skip",
        "about {calls} API calls for the first run, {used} used of {limit} in {month}: use existing: skip",
    )
