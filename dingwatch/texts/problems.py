"""Problems of the configuration."""

from __future__ import annotations

from dingwatch.texts.language import Text


class Problems(Text):
    """Problems of the configuration."""

    NO_CONFIG = (
        "没有找到配置文件（已查找：{places}）。请运行 dingwatch init，或用 -c 指定文件。",
        ("No configuration found (looked in {places}). Run dingwatch init, or name a file with -c."),
    )
    UNREADABLE = (
        "无法读取 {path}：{reason}。请检查路径和权限。",
        "Cannot read {path}: {reason}. Check the path and its permissions.",
    )
    TOO_LARGE = (
        "文件超过 1 MiB，不可能是配置文件。请检查路径。",
        "The file is larger than 1 MiB, too large for a configuration. Check the path.",
    )
    NOT_UTF8 = (
        "这里的内容不是 UTF-8 编码。请在编辑器中把文件另存为 UTF-8。",
        "The text here is not valid UTF-8. Save the file as UTF-8 in your editor.",
    )
    UTF16 = (
        "文件是 UTF-16 编码（记事本里叫“Unicode”）。请在编辑器中另存为 UTF-8。",
        "The file is encoded in UTF-16 (Notepad's “Unicode”). Save it as UTF-8 in your editor.",
    )
    NO_KEYS = (
        "文件里没有配置项。文件应由 dingtalk:、folders: 等键组成，冒号用半角，后面加一个空格。",
        (
            "The file has no keys. It must consist of keys such as dingtalk: and folders:, each with a colon"
            " and a space."
        ),
    )
    TOO_NESTED = (
        "嵌套太深，或别名（*name）太多。请简化配置。",
        "Nested too deeply, or too many aliases (*name). Simplify the file.",
    )
    CONTROL = (
        "含有不可见的控制字符，或本系统编码不支持的字符。请删掉后重新输入。",
        (
            "Contains control characters, or characters that this system's encoding does not have."
            " Delete them and type the value again."
        ),
    )
    YAML_TAB = (
        "第 {column} 列用了制表符（Tab），YAML 只能用空格缩进。请改成空格。",
        "There is a tab in column {column}; YAML allows only spaces for indentation. Replace it with spaces.",
    )
    YAML_QUOTES = (
        '第 {column} 列的符号在 YAML 里有特殊含义。以 * & ! @ % ` | > 开头的值要加引号，例如 "*.pdf"。',
        (
            "The character in column {column} has a special meaning in YAML. Put a value that begins with"
            ' * & ! @ % ` | or > in quotes, such as "*.pdf".'
        ),
    )
    YAML_WIDE = (
        "第 {column} 列的“{wide}”是全角符号，YAML 不认。请改成半角的 {ascii}（冒号后面加一个空格）。",
        (
            "The {wide} in column {column} is a full-width character, which means nothing to YAML. Write"
            " {ascii} instead (with a space after a colon)."
        ),
    )
    YAML_ESCAPE = (
        "第 {column} 列：双引号里的反斜杠表示转义。请改用单引号，例如 '\\\\nas\\share'。",
        (
            "The backslash in column {column} begins an escape, because the value is in double quotes. Use"
            " single quotes, such as '\\\\nas\\share'."
        ),
    )
    YAML_AFTER_QUOTE = (
        "第 {column} 列：引号或括号闭合之后还有文字。请给整个值加引号；单引号里的单引号要写两个。",
        (
            "There is text in column {column} after a closing quote or bracket. Put the whole value in"
            " quotes; inside single quotes, write a single quote twice."
        ),
    )
    YAML_COMMA = (
        "第 {column} 列前缺少逗号，或者前面有引号、括号没有闭合。请补上。",
        "A comma is missing before column {column}, or a quote or bracket before it is not closed. Add it.",
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
            "A colon is missing near column {column}. Write a colon and a space after each key (not the"
            " full-width colon “：”)."
        ),
    )
    YAML_UNCLOSED = (
        "第 {column} 列开始的引号或括号没有闭合。请补上另一半。",
        "The quote or bracket that begins in column {column} is not closed. Close it.",
    )
    YAML_DOCUMENTS = (
        "第 {column} 列开始了第二个 YAML 文档。请删除“---”，只保留一个。",
        "A second YAML document begins in column {column}. Remove the ---: only one is allowed.",
    )
    YAML_INDENT = (
        "第 {column} 列的缩进不对。同一层的键要对齐，列表项以“- ”开头。",
        (
            "The indentation in column {column} is wrong. Align the keys of one level, and begin each item of"
            " a list with “- ”."
        ),
    )
    YAML_BROKEN = (
        "第 {column} 列附近不是有效的 YAML。请检查缩进、冒号和引号。",
        "This is not valid YAML near column {column}. Check indentation, colons and quotes.",
    )
    TWICE = (
        "同一个键写了两次（第一次在第 {first} 行）。请只保留一个。",
        "This key is set twice (first in line {first}). Keep one of them.",
    )
    WIDE_BLANK = (
        "这一行用了全角空格或其他特殊空格缩进。请改成普通空格。",
        "This line is indented with full-width or other special blanks. Replace them with plain spaces.",
    )
    WIDE_COLON = (
        "这里用了全角冒号“：”。请改成半角冒号和一个空格。",
        "There is a full-width colon “：” here. Write a plain colon and a space.",
    )
    WIDE_QUOTES = (
        "中文引号在 YAML 里是文字的一部分。请改用半角引号，或去掉引号。",
        "These curly quotes are part of the text to YAML. Use straight quotes, or none.",
    )
    MERGE = (
        "<< 后面只能是别名，例如 <<: *common，或别名的列表；别名要指向一组键。",
        "After << there must be an alias such as <<: *common, or a list of them, each of a mapping.",
    )
    NOT_A_DEFAULT = (
        "folder_defaults 里不能写 path 和 name。请写在各个文件夹里。",
        "path and name cannot stand in folder_defaults. Write them for each folder.",
    )
    NO_LIST_OF_FOLDERS = (
        "folders 是列表：每个文件夹以“- ”开头，例如“- path: /srv/share/财务”，其余的键与 path 对齐。",
        (
            "folders is a list: begin each folder with “- ”, as in “- path: /srv/share/finance”, and align"
            " its other keys with path."
        ),
    )
    ODD_KEY = (
        "这里的键不是普通文字。请检查括号和问号。",
        "A key here is not plain text. Check brackets and question marks.",
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
        "值是空的。请填写，或删除这一行；以 # 开头的值要加引号。",
        "The value is missing. Fill it in, or remove the line; put a value that begins with # in quotes.",
    )
    EMPTY = (
        "值是空白。请填写，或删除这一行。",
        "The value is blank. Fill it in, or remove the line.",
    )
    NAME_LONG = (
        "名称最多 {most} 个字符。请缩短。",
        "A name has at most {most} characters. Shorten it.",
    )
    NOT_TEXT = (
        "这里要写一段文字，不能是列表或下级键；以 {{ 或 [ 开头的值要加引号。",
        (
            "This must be a single text, not a list or nested keys; put a value that begins with {{ or [ in"
            " quotes."
        ),
    )
    NUMBER_FOR_TEXT = (
        '不加引号的 {written} 在 YAML 里不是文字。请写成 "{written}"。',
        'Without quotes, YAML does not read {written} as text. Write "{written}".',
    )
    SECRET_NOT_TEXT = (
        "不加引号时，YAML 会把它当作数字或其他类型。请给密钥加上引号。",
        "Without quotes, YAML reads this as a number or another type. Put the secret in quotes.",
    )
    EXCLAMATION = (
        '以 ! 开头的值要加引号，例如 "!*.tmp"。',
        'Put a value that begins with ! in quotes, such as "!*.tmp".',
    )
    NOT_NUMBER = (
        "这里要写整数，例如 1000：只写数字，不带引号、单位、分隔符和前导零。",
        "This must be a whole number such as 1000: digits alone, no quotes, unit, separator or leading 0.",
    )
    NUMBER_RANGE = (
        "必须在 {least} 到 {most} 之间。",
        "This must be between {least} and {most}.",
    )
    NOT_SWITCH = (
        "这里只能写 true 或 false，不带引号。",
        "This must be true or false, without quotes.",
    )
    NOT_LIST = (
        '这里要写列表，例如 ["*.pdf", "*.docx"]，或者每行一个“- ”。',
        'This must be a list, such as ["*.pdf", "*.docx"], or one “- ” item per line.',
    )
    NOT_MAPPING = (
        "这里要写下级键（向右缩进，每行一个“key: 值”），或者整个删除。",
        "This must have nested keys (indented, one “key: value” per line), or be left out.",
    )
    CHOICE = (
        "只能是以下之一：{choices}。",
        "This must be one of: {choices}.",
    )
    DURATION = (
        "时长要写数字和单位，中间没有空格，例如 500ms、2s、5m、12h、3d。",
        "Write a duration as a number and a unit without a space, such as 500ms, 2s, 5m, 12h, 3d.",
    )
    DURATION_RANGE = (
        "时长必须在 {least} 到 {most} 之间。",
        "The duration must be between {least} and {most}.",
    )
    PACE = (
        "速率写成每秒（20/s）或每分钟（20/m）的次数，不限制时写 null。",
        "Write a pace as a number per second (20/s) or per minute (20/m), or null for no limit.",
    )
    URL = (
        "这不是有效的地址。请写 https:// 加主机名，不带用户名、? 和 #。",
        "This is not a valid address. Write https:// and a host, without user name, ? or #.",
    )
    CLEAR_TEXT = (
        "http:// 会以明文传输密钥，只能用于本机（127.0.0.1、localhost）。请改用 https://。",
        (
            "http:// sends the secret in clear text and is allowed for this machine only (127.0.0.1,"
            " localhost). Use https://."
        ),
    )
    LEDGER = (
        "只能是 null（SQLite，放在 state_dir 里），或以 postgresql+psycopg:// 开头的地址。",
        "This must be null (SQLite in state_dir), or an address that begins with postgresql+psycopg://.",
    )
    LEDGER_ADDRESS = (
        (
            "不是有效的数据库地址。格式：postgresql+psycopg://USER:PASSWORD@HOST:5432/DATABASE?sslmode=verify-full；"
            "用户名和密码中的 @ : / ? # % 要写成 %40 %3A %2F %3F %23 %25。"
        ),
        (
            "This is no address of a database. Its form is"
            " postgresql+psycopg://USER:PASSWORD@HOST:5432/DATABASE?sslmode=verify-full; in user and"
            " password, write @ : / ? # % as %40 %3A %2F %3F %23 %25."
        ),
    )
    LEDGER_PASSWORD_TWICE = (
        "数据库密码设置了不止一处：{places}。请只保留一处。",
        "The password of the database is set in more than one place: {places}. Keep one of them.",
    )
    RELATIVE = (
        "必须是绝对路径（以 / 开头），或以 ~/ 开头。网络共享要先挂载到本机。",
        "This must be an absolute path (beginning with /), or begin with ~/. Mount a network share first.",
    )
    NO_HOME = (
        "不知道主目录在哪里（没有设置 HOME）。请写绝对路径（以 / 开头），或设置 HOME。",
        "The home directory is unknown (HOME is not set). Write an absolute path, or set HOME.",
    )
    NETWORK_SHARE = (
        "{written} 是网络共享的地址。请先把共享挂载到本机，再写挂载点，例如 /mnt/share。",
        (
            "{written} is the address of a network share. Mount it first, and write the mount point, such as"
            " /mnt/share."
        ),
    )
    NO_CID = (
        "会话 ID（openConversationId）以 cid 开头。这里不能写群名或 chatId；要用名称，请在 aliases 中定义。",
        (
            "A conversation ID (openConversationId) begins with cid. It is not the group's name or its"
            " chatId; to use a name, define it under aliases."
        ),
    )
    NO_CONVERSATION = (
        "列表是空的。请至少写一个会话 ID。",
        "The list is empty. Name at least one conversation ID.",
    )
    SAME_CONVERSATION = (
        "{conversation} 写了两次。请只保留一个。",
        "{conversation} is listed twice. Keep one of them.",
    )
    WEBHOOK = (
        "这不是自定义机器人的 Webhook 地址。请从群机器人设置里完整复制：https://oapi.dingtalk.com/robot/send?access_token=…",
        (
            "This is not the webhook address of a custom robot. Copy the whole address from the robot's"
            " settings in the group: https://oapi.dingtalk.com/robot/send?access_token=…"
        ),
    )
    WEBHOOK_HOST = (
        (
            "自定义机器人的地址必须在 oapi.dingtalk.com（或 oapi_url 的主机）上：令牌和通知都会发到那里。"
            "请从群机器人设置里重新复制。"
        ),
        (
            "A custom robot's address must be at oapi.dingtalk.com (or the host of oapi_url): its token and"
            " all notices go there. Copy the address again from the robot's settings in the group."
        ),
    )
    WEBHOOK_FILES = (
        "自定义机器人（webhook）只能发送通知，不能发送文件。请设置 send_as: notice，或改用 conversation_id。",
        (
            "A custom robot (webhook) carries notices, not files. Set send_as: notice, or use"
            " conversation_id instead."
        ),
    )
    WEBHOOK_NONE = (
        "设置了 webhook_secret，但没有 webhook。请补上 webhook，或删除这一行。",
        "webhook_secret is set, but webhook is not. Add the webhook, or remove this line.",
    )
    ARGUMENT = (
        "程序的参数只能使用这些字段，写在花括号里：{fields}。",
        "An argument of the program may use these fields, in braces: {fields}.",
    )
    PROGRAM = (
        "程序请写绝对路径（/usr/bin/clamdscan），或只写名称，由 PATH 查找。",
        "Write the program as an absolute path (/usr/bin/clamdscan), or as a mere name, to be found by PATH.",
    )
    TEMPLATE = (
        "这里只能使用这些字段，写在花括号里，不带格式：{fields}；花括号本身写成 {{{{ 和 }}}}。",
        (
            "This text may use these fields, in braces and without a format: {fields}; write a brace itself"
            " as {{{{ or }}}}."
        ),
    )
    PATTERN = (
        "{written} 不是有效的 gitignore 模式。例如：*.pdf、/草稿/、!*.tmp。",
        "{written} is not a valid gitignore pattern. Examples: *.pdf, /drafts/, !*.tmp.",
    )
    PATTERN_COMMENT = (
        "gitignore 模式里以 # 开头的是注释，{written} 不起作用。请在 # 前加反斜杠，并用单引号。",
        (
            "A gitignore pattern that begins with # is a comment, so {written} has no effect. Put a backslash"
            " before the #, and the whole pattern in single quotes."
        ),
    )
    PATTERN_LIST = (
        (
            "“;”和“,”都不能分隔 gitignore 模式，{written} 什么也匹配不到：请每项写一个模式，即 [{patterns}]；"
            "名称里确有该字符时，在它前面加反斜杠。"
        ),
        (
            'Neither ";" nor "," separates gitignore patterns, so {written} matches nothing: write one to an'
            " item, as in [{patterns}], or put a backslash before a character that is part of a name."
        ),
    )
    PATTERN_PATH = (
        "gitignore 模式用 / 分隔路径，相对于所监视的文件夹，{written} 什么也匹配不到：请写成 {pattern}。",
        (
            "Gitignore patterns use / and are relative to the watched folder, so {written} matches nothing:"
            " write {pattern}."
        ),
    )
    SAME_NAME = (
        "名称 {name} 已被第 {first} 行的文件夹使用。请用 name 给其中一个另起名称。",
        "The folder in line {first} has the name {name}, too. Give one of them another name.",
    )
    SAME_SHARE = (
        "第 {first} 行的文件夹也叫 shared: {name}。一个共享在每个节点上只对应一个文件夹，请另起名称。",
        (
            "The folder in line {first} is shared: {name}, too. A share is one folder on each node; give one"
            " of them another name."
        ),
    )
    OVERLAP = (
        "与第 {first} 行的文件夹相同或互相包含，又发往同一会话 {conversation}，会重复发送。请改路径或会话。",
        (
            "This folder and the one in line {first} are the same or nested, and both go to conversation"
            " {conversation}: files would be sent twice. Change the path or the conversation."
        ),
    )
    MOVE_OVERLAP = (
        (
            "与第 {first} 行的文件夹相同或互相包含：文件会在那边发送之前被移走。"
            "请去掉 after_send: move，或改路径。"
        ),
        (
            "This folder and the one in line {first} are the same or nested: a file would be moved away"
            " before the other one has sent it. Remove after_send: move, or change the path."
        ),
    )
    AROUND_STATE = (
        "这个文件夹与 state_dir（{state_dir}）相同或互相包含。请把 state_dir 放到监视的文件夹之外。",
        (
            "This folder and state_dir ({state_dir}) are the same or nested. Move state_dir outside all"
            " watched folders."
        ),
    )
    SECRET_NONE = (
        (
            "没有密钥（AppSecret）。请设置 client_secret、client_secret_file、环境变量"
            " DINGWATCH_CLIENT_SECRET 或 systemd 凭据 client_secret 之一。"
        ),
        (
            "The secret (AppSecret) is missing. Set one of client_secret, client_secret_file, the environment"
            " variable DINGWATCH_CLIENT_SECRET or the systemd credential client_secret."
        ),
    )
    SECRET_TWICE = (
        "密钥设置了不止一处：{places}。请只保留一处。",
        "The secret is set in more than one place: {places}. Keep one of them.",
    )
    SECRET_UNREADABLE = (
        "无法读取密钥文件 {path}：{reason}。请检查路径和权限。",
        "Cannot read the secret file {path}: {reason}. Check the path and its permissions.",
    )
    SECRET_STRANGE = (
        "密钥文件 {path} 必须只有一行密钥（UTF-8，不超过 4 KiB）。",
        "The secret file {path} must contain the secret on one line and nothing else (UTF-8, at most 4 KiB).",
    )
    SECRET_ODD_VARIABLE = (
        "环境变量 DINGWATCH_CLIENT_SECRET 里不只是密钥，或含有空格、换行、非 ASCII 字符。请只写密钥。",
        (
            "The environment variable DINGWATCH_CLIENT_SECRET holds more than the secret, or blanks, line"
            " breaks or non-ASCII characters. Set it to the secret alone."
        ),
    )
    SECRET_OPEN = (
        "{path} 中有密钥，但其他用户可以读写它。请执行：{command}",
        "{path} contains a secret, but other users can access it. Run: {command}",
    )
    TOKEN_MISSING = (
        (
            "{listen} 不仅本机程序可以访问，因此需要令牌。请生成令牌文件（umask 077; openssl rand -hex 24 >"
            " /etc/dingwatch/http_token，并让服务的用户可读），再设置 token_file。"
        ),
        (
            "{listen} can be reached by others than this machine's own programs, so a token is needed. Create"
            " one (umask 077; openssl rand -hex 24 > /etc/dingwatch/http_token, readable by the service's"
            " user), and set token_file."
        ),
    )
    TOKEN_UNREADABLE = (
        (
            "无法读取令牌文件 {path}：{reason}。请检查路径和权限，或新建：umask 077;"
            " openssl rand -hex 24 > {path}"
        ),
        (
            "Cannot read the token file {path}: {reason}. Check the path and its permissions, or create it:"
            " umask 077; openssl rand -hex 24 > {path}"
        ),
    )
    TOKEN_STRANGE = (
        (
            "令牌文件 {path} 是空的，或不只一行令牌（ASCII，没有空格，不超过 4 KiB）。"
            "请重新生成：umask 077; openssl rand -hex 24 > {path}"
        ),
        (
            "The token file {path} is empty, or holds more than one line with the token (ASCII, no blanks, at"
            " most 4 KiB). Create it again: umask 077; openssl rand -hex 24 > {path}"
        ),
    )
    LISTEN = (
        "监听地址写成 HOST:PORT，例如 127.0.0.1:8777、[::1]:8777，或 unix:/路径；所有网卡写 0.0.0.0:8777。",
        (
            "Write an address as HOST:PORT, such as 127.0.0.1:8777 or [::1]:8777, or as unix:/PATH; all"
            " interfaces are 0.0.0.0:8777."
        ),
    )
    LISTEN_SOCKET = (
        "unix: 后面要写套接字文件的绝对路径，例如 unix:/run/dingwatch/http.sock。",
        "After unix: comes the absolute path of a socket, such as unix:/run/dingwatch/http.sock.",
    )
    LISTEN_LONG = (
        "Unix 套接字的路径最长 {most} 字节。请换一个短些的路径。",
        "The path of a Unix socket has at most {most} bytes. Choose a shorter one.",
    )
    HOST = (
        (
            "这里只写主机名或 IP 地址，例如 files.example.com、192.168.1.5、[fd00::5]："
            "不带 http://、端口、路径和 *；中文域名写成 xn-- 形式。"
        ),
        (
            "Write a host name or an IP address alone, such as files.example.com, 192.168.1.5 or [fd00::5]:"
            " without http://, port, path or *; international names in their xn-- form."
        ),
    )
    ALERT_RECIPIENT = (
        "这里写 user:ID（个人）、cid…（群）、chat:ID（旧版群）、aliases 中的名称，或自定义机器人的完整地址。",
        (
            "Write user:ID (a person), cid… (a group), chat:ID (a legacy chat), one of aliases, or the whole"
            " address of a custom robot."
        ),
    )
    HEARTBEAT_URL = (
        "这不是可以访问的地址。请从监控服务里完整复制：https:// 或 http:// 开头，不带用户名和空格。",
        (
            "This address cannot be called. Copy it whole from the monitoring service: it begins with"
            " https:// or http:// and has neither user name nor blank."
        ),
    )
    TIME_OF_DAY = (
        '时刻写成带引号的 24 小时制，例如 "18:00"。',
        'Write a time of day in quotes, with 24 hours, such as "18:00".',
    )
    STAR = (
        "路径里只能有一个 *，并且单独占一级，例如 /srv/share/*/发送；* 之后不能有 ..。",
        "A path may have one *, as a whole level, such as /srv/share/*/outbox, and no .. after it.",
    )
    TABLE_ALONE = (
        "recipients 表只用于路径带 * 的文件夹。请写 conversation_id，或在 path 里用 *。",
        "A table of recipients is for folders with a * in their path. Set conversation_id, or use a *.",
    )
    TABLE_AND = (
        "recipients 和 {key} 只能设置一个：表里的每一行已经写明接收方。",
        "Set recipients or {key}, not both: each row of the table says who gets the files.",
    )
    TABLE_UNREADABLE = (
        "无法读取接收方的表 {path}：{reason}。请检查路径（相对路径从配置文件所在目录算起）和权限。",
        (
            "Cannot read the table {path}: {reason}. Check the path (a relative one begins at the config"
            " file's directory) and its permissions."
        ),
    )
    TABLE_STRANGE = (
        "{path} 不是 CSV 文本（UTF-8 或 GBK，不超过 1 MiB）。请在 Excel 中另存为“CSV UTF-8（逗号分隔）”。",
        "{path} is no CSV text (UTF-8 or GBK, at most 1 MiB). In Excel, save it as “CSV UTF-8”.",
    )
    TABLE_QUOTES = (
        "{path} 第 {row} 行：引号没有闭合，或闭合之后还有文字。请补上引号；引号之中的引号要写两个。",
        (
            "{path}, line {row}: a quote is not closed, or text follows a closing quote. Close it; inside"
            " quotes, write a quote twice."
        ),
    )
    TABLE_COMMA = (
        "{path} 第 {row} 行：请用半角逗号分隔目录名和接收方。",
        "{path}, line {row}: separate the directory and its recipients by commas.",
    )
    TABLE_NAME = (
        "{path} 第 {row} 行：“{name}”不是目录名。请只写 * 所代表的那一级目录名，不带 /。",
        "{path}, line {row}: “{name}” is no directory's name. Write the name that * stands for, without /.",
    )
    TABLE_TWICE = (
        "{path} 第 {row} 行：目录 {name} 在第 {first} 行已经写过。请合并为一行。",
        "{path}, line {row}: the directory {name} stands in line {first} already. Make them one line.",
    )
    TABLE_NOBODY = (
        "{path} 第 {row} 行：目录 {name} 没有接收方。请在逗号后写 ID 或 aliases 中的名称。",
        "{path}, line {row}: nobody gets the files of {name}. After a comma, write an ID or an alias.",
    )
    TABLE_SAME = (
        "{path} 第 {row} 行：{conversation} 写了两次。请只保留一个。",
        "{path}, line {row}: {conversation} is listed twice. Keep one of them.",
    )
    TABLE_BAD = (
        "{path} 第 {row} 行：{written} 不是接收方。请写 cid…（群）、user:ID（个人）或 chat:ID（旧版群）。",
        "{path}, line {row}: {written} is no recipient. Write cid… (a group), user:ID or chat:ID.",
    )
    TABLE_UNKNOWN = (
        (
            "{path} 第 {row} 行：{written} 既不是 ID（cid…、user:ID、chat:ID），也不在 aliases 中。"
            "是不是想写 {nearest}？"
        ),
        (
            "{path}, line {row}: {written} is neither an ID (cid…, user:ID, chat:ID) nor one of the aliases."
            " Did you mean {nearest}?"
        ),
    )
    ALIAS_LIKE_ID = (
        "{written} 像是 ID，不能作名称：名称不以 cid、user:、chat:、webhook:、http: 开头，首尾没有空格。",
        (
            "{written} looks like an ID, so it cannot be a name: a name does not begin with cid, user:,"
            " chat:, webhook: or http:, nor with a blank."
        ),
    )
    ALIAS_NO_ID = (
        "这不是完整的 ID。请写 cid…（群）、user:ID（个人）或 chat:ID（旧版群）。",
        "This is no complete ID. Write cid… (a group), user:ID (a person) or chat:ID (a legacy chat).",
    )
    ALIAS_OF_ROBOT = (
        "{written} 是自定义机器人的名称，只用于显示。请用 webhook 设置它的地址。",
        "{written} names a custom robot, for display only. Set the robot's address with the key webhook.",
    )
    UNKNOWN_ALIAS = (
        "{written} 既不是 ID，也不在 aliases 中。是不是想写 {nearest}？",
        "{written} is neither an ID nor one of the aliases. Did you mean {nearest}?",
    )
    WRONG = (
        "这个值无效。请参照 config.example.yaml。",
        "This value is invalid. See config.example.yaml.",
    )
