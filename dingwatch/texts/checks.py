"""Findings of `check`."""

from __future__ import annotations

from dingwatch.texts.language import Text


class Checks(Text):
    """Findings of `check`."""

    CONFIG = ("配置正确，{count} 个文件夹", "the config is valid, {count:folder|folders}")
    STATE = ("state_dir {path} 可写", "state_dir {path} is writable")
    STATE_BAD = (
        "state_dir {path} 不可写；请修改权限，或用服务的用户运行本检查",
        "state_dir {path} is not writable; fix its permissions, or run this as the service's user",
    )
    STATE_NETWORK = (
        "state_dir {path} 在网络文件系统（{kind}）上，SQLite 在那里不可靠；请改用本地磁盘",
        "state_dir {path} is on a network file system ({kind}), where SQLite is not safe; use a local disk",
    )
    LEDGER = (
        "发送记录数据库正常；{month} 已用 API 调用 {used} 次",
        "the ledger can be opened; {used} API calls in {month}",
    )
    LEDGER_BAD = (
        "发送记录数据库无法打开：{reason}。{advice}",
        "the ledger cannot be opened: {reason}. {advice}",
    )
    KEEP_UNCOPIED = (
        "{name}：发给 {recipients} 的文件不按 drive_keep 删除：他们收到的可能就是钉盘中的那一份（未经核实）",
        (
            "{name}: drive_keep deletes nothing that went to {recipients}, who may have got the entry itself"
            " and no copy of it (unverified)"
        ),
    )
    KEEP_NO_OPERATOR = (
        "{name}：没有设置 operator_union_id，drive_keep 不起作用",
        "{name}: without operator_union_id, drive_keep does nothing",
    )
    PROGRAM = (
        "{name}：发送前由 {program} 检查（before_send）",
        "{name}: {program} checks each file before it is sent (before_send)",
    )
    NO_PROGRAM = (
        "{name}：找不到或无法执行 before_send 的程序 {program}，文件会一直等待；请安装它，或改正路径",
        (
            "{name}: the program {program} of before_send is not there or not executable, and all files wait"
            " for it; install it, or correct the path"
        ),
    )
    FOLDER = ("{name}：{path} 可读（{kind}，{how}）", "{name}: {path} is readable ({kind}, {how})")
    FOLDER_BAD = (
        "{name}：{path} 无法监视（{reason}）。{advice}",
        "{name}: {path} cannot be watched ({reason}). {advice}",
    )
    READ_ONLY = (
        (
            "{unit} 不允许服务写入 {paths}，而 feedback: sidecar 和 after_send: move 需要写入："
            "请执行 systemctl edit {unit}，加入以下几行，再执行 systemctl restart {unit}"
        ),
        (
            "{unit} does not let the service write to {paths}, as feedback: sidecar and after_send: move"
            " need: run systemctl edit {unit}, add these lines, and run systemctl restart {unit}"
        ),
    )
    IN_USE = (
        (
            "{name}：{path} 正由另一个 dingwatch 监视（{holder}），服务会等它停止后接管；"
            "请停止它，或设置 exclusive: false"
        ),
        (
            "{name}: {path} is watched by another dingwatch ({holder}), and the service would wait for it;"
            " stop that one, or set exclusive: false"
        ),
    )
    PROCESS = ("进程 {pid}：{program}", "process {pid}, {program}")
    PROCESS_UNSEEN = (
        "这里看不到它的进程，可能在另一个容器里",
        "its process cannot be seen from here; it may be in another container",
    )
    STAR = ("{path}：{count} 个目录", "{path}: {count:directory|directories}")
    STAR_UNSEEN = (
        "{path}：这里没有目录，共享可能没有挂载；请检查路径",
        "{path}: there is no directory; the share may not be mounted, or the path may be wrong",
    )
    UNLISTED_DIRECTORY = (
        "{path} 不在 recipients 表中，因此不监视；请在表中加一行",
        "{path} is not in the table of recipients, so it is not watched; add a line for it",
    )
    ABSENT = (
        "{table} 中的目录 {name} 不存在；目录名是否写错？",
        "{table} names the directory {name}, which is not there; is it spelt like the directory?",
    )
    MORE = ("另有 {count} 个", "{count} more like these")
    EVENTS = ("inotify 事件", "inotify events")
    POLLED = ("轮询", "polled")
    BLIND = (
        "{name}：{kind} 上收不到其他主机改动的事件；建议设为 watch: auto",
        "{name}: on {kind}, changes by other hosts cause no events; use watch: auto",
    )
    EMPTY = ("{name}：文件夹里还没有文件", "{name}: no file lies there yet")
    BASELINE = (
        "{name}：首次运行不发送 {count} 个已有文件",
        "{name}: the first run does not send {count:existing file|existing files}",
    )
    BACKLOG = (
        "{name}：首次运行会发送 {count} 条消息，约 {calls} 次 API 调用",
        "{name}: the first run sends {count:message|messages}, about {calls:API call|API calls}",
    )
    ALERTS_TO = (
        "告警还会发给 {recipients}，能否收到只有发出后才知道",
        "alerts also go to {recipients}; only a message shows whether they arrive",
    )
    HEARTBEAT = (
        "服务运行时每分钟访问 alerts.heartbeat_url；check 不访问它",
        "the service calls alerts.heartbeat_url every minute; check does not call it",
    )
    DAILY_TO_NOBODY = (
        "设置了 alerts.daily，但 alerts.to 是空的，汇总没有接收方",
        "alerts.daily is set, but alerts.to is empty: nobody gets the summary",
    )
    RECIPIENTS = ("{name}：还会发给 {recipients}", "{name}: also goes to {recipients}")
    KNOWN = (
        "{name}：以前监视过，只发送新文件",
        "{name}: has been watched before; only new files are sent",
    )
    WATCHES = (
        "需要 {needed} 个 inotify 监视，上限 {limit}",
        "{needed} inotify watches needed, {limit} allowed",
    )
    WATCHES_FEW = (
        "需要 {needed} 个 inotify 监视，上限 {limit}；请执行 sysctl -w fs.inotify.max_user_watches={wanted}",
        "{needed} inotify watches needed, {limit} allowed: sysctl -w fs.inotify.max_user_watches={wanted}",
    )
    TOKEN = ("凭证有效", "the credentials are valid")
    TOKEN_BAD = (
        "无法从 {host} 获取访问令牌（{reason}）。{advice}",
        "cannot get a token from {host} ({reason}). {advice}",
    )
    CLOCK_WRONG = (
        "本机时间比钉钉{direction} {seconds} 秒：请用 timedatectl 检查，并启用 NTP 校时",
        "this machine's clock is {seconds} s {direction} DingTalk's: check timedatectl, and enable NTP",
    )
    AHEAD = ("快", "ahead of")
    BEHIND = ("慢", "behind")
    PROXIED = ("通过代理 {proxy} 访问钉钉", "DingTalk is reached through the proxy {proxy}")
    ROBOT = ("机器人在会话 {conversation} 中", "the robot is in conversation {conversation}")
    ROBOT_BAD = (
        "机器人不在会话 {conversation} 中。{advice}",
        "the robot is not in conversation {conversation}. {advice}",
    )
    ROBOT_UNKNOWN = (
        "无法查询会话 {conversation} 中的机器人（{reason}）。{advice}",
        "cannot list the robots of conversation {conversation} ({reason}). {advice}",
    )
    NOT_ASKED = (
        "以同样的原因，没有再查询会话 {conversations}",
        "for the same reason nothing was asked about {conversations}",
    )
    OPERATOR = (
        "operator_union_id 对应的成员可以使用会话 {conversation} 的群文件",
        "the person of operator_union_id can use the files of conversation {conversation}",
    )
    OPERATOR_BAD = (
        "operator_union_id 对应的成员不能使用会话 {conversation} 的群文件（{reason}）。{advice}",
        "the person of operator_union_id cannot use conversation {conversation}'s files ({reason}). {advice}",
    )
    CONFIG_BAD = ("配置：{problem}", "config: {problem}")
    DATABASE = (
        "可以连接数据库 {place}（PostgreSQL {version}，用户 {role}）",
        "the database {place} can be reached (PostgreSQL {version}, role {role})",
    )
    DATABASE_BAD = (
        "无法使用数据库 {place}：{reason}。{advice}",
        "the database {place} cannot be used: {reason}. {advice}",
    )
    DATABASE_TLS = (
        "与数据库的连接已加密（{tls}）",
        "the connection to the database is encrypted ({tls})",
    )
    DATABASE_UNVERIFIED = (
        (
            "与数据库的连接已加密（{tls}），但没有核实对方就是该服务器："
            "请在 ledger 的地址里加上 sslmode=verify-full，"
            "并用 sslrootcert=文件 给出签发其证书的机构（或 sslrootcert=system）"
        ),
        (
            "the connection to the database is encrypted ({tls}), but it is not verified that it leads to the"
            " server: add sslmode=verify-full to the address in ledger, and sslrootcert=FILE with the"
            " authority that has signed its certificate (or sslrootcert=system)"
        ),
    )
    DATABASE_CLEAR = (
        (
            "与数据库的连接没有加密，文件名会以明文传输："
            "请在服务器上启用 TLS，并在 ledger 的地址里加上 sslmode=verify-full"
        ),
        (
            "the connection to the database is not encrypted, and names of files travel in clear text: turn"
            " on TLS at the server, and add sslmode=verify-full to the address in ledger"
        ),
    )
    DATABASE_SUPERUSER = (
        (
            "数据库用户 {role} 是超级用户；dingwatch 不需要这样的权限，"
            "请给它单独的用户（docs/zh/several-hosts.md）"
        ),
        (
            "the database role {role} is a superuser, which dingwatch does not need: give it a role of its"
            " own (docs/several-hosts.md)"
        ),
    )
    DATABASE_RIGHTS = (
        "数据库用户 {role} 缺少权限：{rights}。请由数据表的所有者授予（docs/zh/several-hosts.md）",
        "the database role {role} lacks {rights}: have the tables' owner grant it (docs/several-hosts.md)",
    )
    DATABASE_NO_CREATE = (
        "数据库里还没有数据表，用户 {role} 也不能创建：请用所有者的用户执行 dingwatch ledger upgrade",
        (
            "the database has no tables yet, and the role {role} may not create them: run"
            " dingwatch ledger upgrade as the role that owns the schema"
        ),
    )
    DATABASE_MIGRATION = (
        "这个版本要修改数据表，但用户 {role} 不是其所有者：请先用所有者的用户执行 dingwatch ledger upgrade",
        (
            "this version has to change the tables, which the role {role} does not own: run"
            " dingwatch ledger upgrade as their owner first"
        ),
    )
    DATABASE_COMMIT = (
        "服务器的 synchronous_commit 为 {value}：断电或切换后，刚发送的文件可能再发送一次；请设为 on",
        (
            "the server has synchronous_commit {value}: after a power cut or failover, files that were just"
            " sent may be sent again; set it to on"
        ),
    )
    DATABASE_ASYNCHRONOUS = (
        (
            "{count} 个备用服务器中有异步的：切换后，刚发送的文件可能再发送一次；"
            "请设置 synchronous_standby_names"
        ),
        (
            "of {count:standby server|standby servers}, not all are synchronous: after a failover, files that"
            " were just sent may be sent again; set synchronous_standby_names"
        ),
    )
    DATABASE_STANDBYS = (
        "有 {count} 个同步的备用服务器",
        "{count:standby server|standby servers}, synchronous",
    )
    DATABASE_CLOCK = (
        "本机时钟比数据库服务器{direction} {seconds} 秒；请让两台主机都用 NTP 校时",
        "this machine's clock is {seconds} s {direction} the database server's; set both by NTP",
    )
    NODE = ("本机的节点名是 {node}", "this host is the node {node}")
    NODE_TAKEN = (
        "另一台主机正在以节点名 {node} 工作；请在这个配置里用 node: 设置另一个名称",
        "another host works as node {node}; set another name by node: in this config",
    )
    NODE_FORMER = (
        (
            "节点 {node} 还没有使用过这个数据库，而没有运行的节点 {names} 有路径相同的文件夹："
            "如果这台主机以前用的是那个名称，请用 node: 设回原名，"
            "否则这些文件夹重新开始，已有文件按 existing 处理"
        ),
        (
            "node {node} has never worked on this ledger, but a node that does not run has had the same"
            " folders: {names}. If this host was called that before, set that name by node:, else the folders"
            " begin anew, and files in them follow existing"
        ),
    )
    SHARE_DIFFERS = (
        ("{name}：节点 {node} 用别的设置监视这个共享（{keys}）；请改成一致，否则设置较晚的节点不监视它"),
        (
            "{name}: node {node} watches this share with other settings ({keys}); make them alike, else the"
            " node that got its own later does not watch it"
        ),
    )
    NODES = ("其他节点：{nodes}", "other nodes: {nodes}")
    NODE_LIVE = ("{node}（正常）", "{node} (up)")
    OTHER_APP = (
        (
            "其他节点正在为另一个应用使用这个数据库（{nodes}），而这个配置的 client_id 是 {app}："
            "服务会以退出码 78 结束。请改正 client_id；要换用另一个应用，请先停止所有节点，再修改它们的配置"
        ),
        (
            "other nodes work on this ledger for another app ({nodes}), and client_id is {app} in this"
            " config: the service would exit with code 78. Correct client_id; to change to another app, stop"
            " all nodes first, and change their configs as well"
        ),
    )
    OTHER_APP_BEFORE = (
        (
            "已停止的节点以前为另一个应用使用这个数据库（{nodes}），而这个配置的 client_id 是 {app}。"
            "如果不是有意更换应用，请改正 client_id；否则请先修改它们的配置再启动，不然它们会以退出码 78 结束"
        ),
        (
            "nodes that have stopped worked on this ledger for another app ({nodes}), and client_id is {app}"
            " in this config. Correct client_id if you do not mean to change to another app; else change the"
            " configs of these nodes before they start, or they exit with code 78"
        ),
    )
    NODE_LOST = ("{node}（失联或已停止）", "{node} (lost or stopped)")
    UNLISTED = (
        "{name}：无法列出 {path}（{reason}）。{advice}",
        "{name}: cannot list {path} ({reason}). {advice}",
    )
    WRITABLE = (
        "{name}：可以写入，{keys} 可以使用",
        "{name}: can be written to, as {keys} needs",
    )
    NOT_WRITABLE = (
        (
            "{name}：不能写入 {path}（{reason}），{keys} 不起作用，文件照常发送。"
            "请让运行 dingwatch 的用户可以写入；systemd 服务还要在 drop-in 中写上 ReadWritePaths={path}"
        ),
        (
            "{name}: cannot write to {path} ({reason}), so {keys} does nothing; files are sent all the same."
            " Let the user that runs dingwatch write there; a systemd service also needs a drop-in with"
            " ReadWritePaths={path}"
        ),
    )
    SENT_TAKEN = (
        "{name}：{path} 不是目录，或途中有链接，after_send: move 不起作用，文件留在原处。请把它改名或移走",
        (
            "{name}: {path} is no directory, or a file or a link is on the way to it, so after_send: move"
            " does nothing, and files stay. Rename that, or move it away"
        ),
    )
    NOT_MOVABLE = (
        (
            "{name}：{path} 所在的文件系统不能在不覆盖的情况下移动文件（{reason}），"
            "after_send: move 不起作用，文件留在原处。请去掉这个设置"
        ),
        (
            "{name}: the file system of {path} cannot move a file without replacing another ({reason}), so"
            " after_send: move does nothing, and files stay. Remove that setting"
        ),
    )
    MOVE_SHARED = (
        (
            "{name}：exclusive: false 允许其他 dingwatch 监视同一文件夹，"
            "after_send: move 可能在它们发送之前移走文件"
        ),
        (
            "{name}: with exclusive: false another dingwatch may watch the same folder, and after_send: move"
            " may take files away before that one has sent them"
        ),
    )
    QUOTA = (
        "首次运行约需 {calls} 次 API 调用；{month} 已用 {used} 次，额度 {limit} 次",
        "the first run makes about {calls} API calls; {used} of {limit} in {month} are used",
    )
    QUOTA_SHORT = (
        "首次运行约需 {calls} 次 API 调用；{month} 已用 {used} 次，额度 {limit} 次：请改用 existing: skip",
        (
            "the first run makes about {calls} API calls, but {used} of {limit} in {month} are used:"
            " use existing: skip"
        ),
    )
