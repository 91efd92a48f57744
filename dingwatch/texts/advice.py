"""Advice: the next step of a person for each cause."""

from __future__ import annotations

from dingwatch.texts.language import Text


class Advice(Text):
    """Advice: the next step of a person for each cause."""

    FILE_UNREADABLE = ("稍后自动重试。", "dingwatch retries automatically.")
    PATH_TOO_LONG = (
        "PostgreSQL 中的发送记录最多保存 2,600 字节的路径，请缩短目录名或文件名。",
        "A ledger in PostgreSQL keeps paths of up to 2,600 bytes: shorten a name in it.",
    )
    FILE_FORBIDDEN = (
        "请让运行 dingwatch 的用户可以读取这个文件。",
        "Let the user that runs dingwatch read this file.",
    )
    FILE_GONE = (
        "文件在发送前被移走或删除；放回原处就会发送。",
        "The file was moved or deleted before it was sent; put it back to send it.",
    )
    SEND_AGAIN = (
        "请检查路径，然后重新执行 dingwatch send。",
        "Check the path, and run dingwatch send again.",
    )
    GAVE_UP = (
        "等待时间已到，不再发送；如需发送，请执行 dingwatch retry 编号。",
        "The time to wait was over, so it is not sent any more; dingwatch retry ID sends it after all.",
    )
    GATE = (
        (
            "发送前检查程序（before_send）拒绝了这个文件，没有发送。"
            "如果是误判，请先调整该程序，再执行 dingwatch retry 编号重新检查。"
        ),
        (
            "The program of before_send refused this file, so it was not sent. If it is mistaken, correct it,"
            " and have it look again: dingwatch retry ID."
        ),
    )
    GATE_MISSING = (
        "无法启动 before_send 的程序：请安装它，或改正路径。文件会等待并自动重试。",
        "The program of before_send cannot be started: install it, or correct its path. The file waits.",
    )
    GATE_FAILED = (
        "before_send 的程序没有给出结论（退出码应为 0 放行、1 拒绝）：请检查该程序。文件会等待并自动重试。",
        (
            "The program of before_send gave no verdict (exit code 0 passes, 1 refuses): see what is wrong"
            " with it. The file waits, and the program is asked again."
        ),
    )
    UNSCREENED = (
        "文件夹现在有了发送前检查（before_send），检查后再发送。",
        "Its folder has got a before_send program since, which is asked first.",
    )
    IN_USE = (
        "有程序或编辑器正在使用它，关闭后会自动发送。",
        "A program or editor has it open; it is sent automatically once closed.",
    )
    ONLY_METADATA = (
        "有程序反复修改它的权限或属性，或者文件系统会重新编号：请停止该程序，或检查挂载。停止变化后会自动发送。",
        (
            "A program keeps changing its permissions or attributes, or the file system numbers it anew: stop"
            " the program, or check the mount. It is sent automatically once that ends."
        ),
    )
    FILE_CHANGED = (
        "文件在读取时发生了变化，稳定后会发送新内容。",
        "The file changed while it was read; the new content is sent once it has settled.",
    )
    NOT_REGULAR = (
        "只发送普通文件，不发送链接、管道和设备；请放入文件本身。",
        "Only regular files are sent, no links, pipes or devices: put the file itself there.",
    )
    FOLDER_DOWN = (
        "请检查文件夹的路径、权限和挂载；恢复后自动继续。",
        "Check the folder's path, permissions and mount; watching resumes automatically.",
    )
    FOLDER_IN_USE = (
        (
            "另一个 dingwatch 正在监视这个文件夹，它停止后自动接管（dingwatch check 会显示是哪个进程）。"
            "如果确实要多个同时监视，请设置 exclusive: false。"
        ),
        (
            "Another dingwatch watches this folder (dingwatch check names the process); this one takes over"
            " once it stops. If both are meant to watch it, set exclusive: false."
        ),
    )
    SHARE_DIFFERS = (
        "另一个节点先用别的设置监视这个共享；请让各节点的设置一致，之后自动恢复。",
        (
            "Another node watches this share with other settings, and had them first; make them alike, and"
            " watching resumes by itself."
        ),
    )
    SHARE_LOOKING = (
        "另一个节点正在首次查看这个共享；完成后自动开始。",
        "Another node is taking the first look at this share; watching begins when that is done.",
    )
    OVERLAP = (
        "路径中的链接现在指向 state_dir 或发往同一会话的另一个文件夹；请改正该链接。",
        "A link in its path leads to state_dir, or into another folder for the same conversation; fix it.",
    )
    TOO_DEEP = (
        "目录层数太多，inotify 无法监视，改为轮询。",
        "Its directories are nested too deep for inotify; the folder is polled instead.",
    )
    WATCHES = (
        (
            "请提高内核上限，例如 sysctl -w fs.inotify.max_user_watches=1048576"
            " 和 fs.inotify.max_user_instances=1024；在此之前使用轮询。"
        ),
        (
            "Raise the kernel limits, for example sysctl -w fs.inotify.max_user_watches=1048576 and"
            " fs.inotify.max_user_instances=1024; until then the folder is polled."
        ),
    )
    HELD = (
        "请执行 dingwatch release 或 discard。",
        "Run dingwatch release or discard.",
    )
    TOUCHED = (
        "旧文件，只有修改时间变了（可能是恢复或复制造成的）：请执行 dingwatch release 或 discard。",
        "An old file; only its time has changed (restored or copied?): run dingwatch release or discard.",
    )
    LEASE = (
        "本机与数据库的联系中断过；稍后自动重试。",
        "This host could not reach the database for a while; dingwatch retries automatically.",
    )
    NODE_LOST = (
        "发送它的主机已失去联系；其他节点会自动继续，可能已送达的消息按 on_uncertain 处理。",
        "The host that worked on it is lost; what may have been sent is handled as on_uncertain says.",
    )
    LEDGER_LOCKED = (
        "另一个程序锁住了数据库；解锁后自动继续。",
        "Another program has locked the database; dingwatch continues once it is unlocked.",
    )
    DISCARDED = (
        "已由 dingwatch discard 放弃；如需发送，请执行 dingwatch retry。",
        "Dropped by dingwatch discard; dingwatch retry sends it.",
    )
    NOT_MOUNTED = (
        "请重新挂载，之后自动继续；如果以后就是普通文件夹，请从配置中删除它，启动一次服务，再加回来。",
        (
            "Mount it again. If it is now meant to be a plain folder, remove it from the config, start the"
            " service once, and add it back."
        ),
    )
    TOO_BIG = (
        "钉钉的文件上限是 20 MB：请设置 operator_union_id 经钉盘发送（large_files: drive），或拆分后再放入。",
        (
            "DingTalk takes files of up to 20 MB: set operator_union_id to send it through the drive"
            " (large_files: drive), or split the file."
        ),
    )
    NOTICED = (
        "文件本身没有发送；会话收到了一条通知。",
        "The file itself was not sent; the conversation got a notice instead.",
    )
    EMPTY = (
        "文件是空的；写入内容后会自动发送。",
        "The file is empty; it is sent automatically once it has content.",
    )
    EMPTY_GIVEN = (
        "文件是空的，钉钉不接受空文件；请写入内容后再发送。",
        "The file is empty, and DingTalk takes no empty files: send it once it has content.",
    )
    LINK_GIVEN = (
        "不跟随链接；请指定链接指向的文件。",
        "Links are not followed: give the file that it points to.",
    )
    NOTHING_GIVEN = ("没有这个文件；请检查路径。", "There is no such file: check the path.")
    UNSUPPORTED = (
        "钉钉不接受这种文件；把该文件夹的 unsupported 设为 zip，就会压缩后发送。",
        "DingTalk refuses this kind of file; set the folder's unsupported to zip to send it zipped.",
    )
    TYPE_REFUSED = (
        "钉钉不接受这种文件类型，请打包成压缩文件。",
        "DingTalk refuses this file type; put the file into an archive.",
    )
    ON_CHANGE_IGNORE = (
        "这个文件夹对同名文件只发送一次（on_change: ignore）；如需发送，请执行 dingwatch retry。",
        "This folder sends each name once (on_change: ignore); dingwatch retry sends it.",
    )
    SUPERSEDED = ("已被更新的内容取代。", "Newer content has replaced it.")
    UNMAPPED = (
        "它的文件夹或会话已不在配置中；加回配置后自动继续。",
        "Its folder or conversation is no longer in the config; add it back to continue.",
    )
    CRASHED = (
        "程序上次在处理它时中断；之后的处理见 dingwatch why。",
        "dingwatch was interrupted while processing it; dingwatch why shows what came of it.",
    )
    POISON = (
        "程序连续三次在处理这个文件时异常退出；请更换文件，或执行 dingwatch retry 再试。",
        "dingwatch ended three times in a row while processing it; replace it, or run dingwatch retry.",
    )
    STOPPED = (
        "程序停止时尚未发送完成；启动后自动继续。",
        "dingwatch stopped before it was done, and continues at the next start.",
    )
    LEDGER_NEWER = (
        "发送记录数据库由更新版本的 dingwatch 创建，请升级程序。",
        "A newer version of dingwatch wrote this ledger: upgrade dingwatch.",
    )
    LEDGER_UNWRITABLE = (
        "请检查 state_dir 所在磁盘的空间和权限。",
        "Check free space and permissions on the disk that holds state_dir.",
    )
    LEDGER_DAMAGED = (
        (
            "请停止服务，把 state_dir/backups 中最新的备份复制为 ledger.db，"
            "并删除 ledger.db-wal 和 ledger.db-shm。备份之后发送过的文件会再发送一次。"
        ),
        (
            "Stop the service, copy the newest file in state_dir/backups to ledger.db, and delete"
            " ledger.db-wal and ledger.db-shm. Files sent after that backup are sent again."
        ),
    )
    LEDGER_MISSING = (
        (
            "请把 ledger.db 放回，或把 state_dir/backups 中最新的备份复制为 ledger.db，并删除 ledger.db-wal。"
            "如需重新开始（已有文件不发送），请移走 backups 目录和 ledger.db-wal。"
        ),
        (
            "Put ledger.db back, or copy the newest file in state_dir/backups to ledger.db and delete"
            " ledger.db-wal. To start over, with all existing files as baseline, move ledger.db-wal and the"
            " backups directory away."
        ),
    )
    LEDGER_EMPTY = (
        (
            "ledger.db 中没有任何数据表，通常是因为缺少与它配套的 ledger.db-wal：请把它放回，"
            "或把 state_dir/backups 中最新的备份复制为 ledger.db。"
            "如需重新开始（已有文件不发送），请移走 ledger.db 和 backups 目录。"
        ),
        (
            "ledger.db has no tables, usually because ledger.db-wal, which belongs to it, is missing: put it"
            " back, or copy the newest file in state_dir/backups to ledger.db. To start over, with all"
            " existing files as baseline, move ledger.db and the backups directory away."
        ),
    )
    LEDGER_REPLACED = (
        "运行中的数据库文件被移走或替换；请放回原处，或重启服务。",
        "The ledger file was moved or replaced while in use: put it back, or restart the service.",
    )
    LEDGER_UNREACHABLE = (
        "请检查 PostgreSQL 服务器是否正在运行，以及 ledger 中的主机和端口；可以连接后自动继续。",
        (
            "Check that the PostgreSQL server is running, and the host and port in ledger; dingwatch"
            " continues once it can connect."
        ),
    )
    LEDGER_ADDRESS = (
        "请改正配置中 ledger 的地址，其中的参数无效。",
        "Correct the address in ledger: a part of it is not valid.",
    )
    LEDGER_DRIVER = (
        "请安装附加组件 postgresql（docs/zh/install.md），例如 pip install '.[stream,postgresql]'。",
        "Install the extra postgresql (docs/install.md), for example by pip install '.[stream,postgresql]'.",
    )
    LEDGER_PASSWORD = (
        (
            "请检查 ledger 中的用户、密码、数据库名和 TLS 设置，密码可以由 passfile 或"
            " DINGWATCH_LEDGER_PASSWORD 提供。systemd 凭据只有服务能读，命令要等服务运行后才能使用它。"
        ),
        (
            "Check the user, password, database and TLS settings in ledger: name a passfile there, or set"
            " DINGWATCH_LEDGER_PASSWORD."
            " A credential of systemd is the service's alone; commands have it while the service runs."
        ),
    )
    LEDGER_REFUSED = (
        "请检查 ledger 中的用户、密码、数据库名和 TLS 设置，以及服务器的 pg_hba.conf。",
        ("Check the user, password, database and TLS settings in ledger, and pg_hba.conf on the server."),
    )
    LEDGER_READ_ONLY = (
        "服务器目前只读（可能是备用服务器）；请让 ledger 指向主服务器，可以写入后自动继续。",
        (
            "The server takes no writes now (is it a standby?): point ledger at the primary; dingwatch"
            " continues once it can write."
        ),
    )
    LEDGER_SERVER_FULL = (
        "请在 PostgreSQL 服务器上释放磁盘空间；之后自动继续。",
        "Free disk space on the PostgreSQL server; dingwatch continues then.",
    )
    LEDGER_CROWDED = (
        "服务器的连接已用完；请提高 max_connections 或关闭其他连接，之后自动继续。",
        (
            "The server has no connection left: raise max_connections or close others; dingwatch continues"
            " then."
        ),
    )
    LEDGER_PRIVILEGES = (
        (
            "ledger 中的用户缺少权限：请由数据表的所有者授予，或者以所有者的用户执行 dingwatch ledger upgrade"
            "（docs/zh/several-hosts.md）；之后自动继续。"
        ),
        (
            "The user in ledger lacks a privilege: have the owner of the tables grant it, or run dingwatch"
            " ledger upgrade as the owner (docs/several-hosts.md); dingwatch continues then."
        ),
    )
    LEDGER_FOREIGN = (
        "这个数据库里有其他程序的同名数据表；请为 dingwatch 单独建一个数据库。",
        "The database has another program's tables of the same names: give dingwatch a database of its own.",
    )
    LEDGER_TOO_OLD = (
        "请升级 PostgreSQL 服务器（14 或更新版本）。",
        "Upgrade the PostgreSQL server to version 14 or newer.",
    )
    LEDGER_SERVER = (
        "请查看 PostgreSQL 服务器的日志。",
        "Look into the log of the PostgreSQL server.",
    )
    LEDGER_OTHER_APP = (
        (
            "共用一个数据库的所有节点必须使用相同的 client_id：请改正这个配置，"
            "或者先停止所有节点再换用另一个应用。每个应用要有自己的数据库。"
        ),
        (
            "All nodes of a ledger must have the same client_id: correct this config, or stop all nodes"
            " before you change to another app. Several apps need a ledger each."
        ),
    )
    LEDGER_MOVED = (
        (
            "发送记录已用 dingwatch ledger copy 搬到那里，这个数据库不再使用：请在配置中把 ledger 设为该地址"
            "（SQLite：放在 state_dir 中，去掉 ledger）。"
        ),
        (
            "dingwatch ledger copy has moved it there, and this one is used no more: set ledger in the config"
            " to that URL (SQLite: put it into state_dir, and leave ledger out)."
        ),
    )
    LEDGER_OLDER = (
        "复制的目标不会被升级；请换一个空数据库。",
        "What is copied into is not upgraded: choose an empty database.",
    )
    LEDGER_UNFINISHED = (
        "向这个数据库的复制没有完成：请重新执行同一条 dingwatch ledger copy，它会说明怎样继续。",
        (
            "A copy into this ledger was broken off: run the same dingwatch ledger copy again, which says how"
            " to go on."
        ),
    )
    LEDGER_NETWORK = (
        "SQLite 数据库在网络文件系统上不可靠；请把 state_dir 改到本地磁盘。",
        "SQLite is not safe on a network file system: move state_dir to a local disk.",
    )
    UNREACHABLE = (
        "无法连接钉钉：请检查网络、DNS、代理和防火墙；恢复后自动继续。",
        "Cannot reach DingTalk: check network, DNS, proxy and firewall; sending resumes automatically.",
    )
    CERTIFICATE = (
        (
            "无法验证对方的证书：请检查系统时间和 CA 证书；"
            "公司代理的证书请加入系统信任库，或用 REQUESTS_CA_BUNDLE 指定。"
        ),
        (
            "The certificate cannot be verified: check the system clock and the CA certificates (the system's"
            " trust store, or REQUESTS_CA_BUNDLE)."
        ),
    )
    NO_ANSWER = (
        "没有收到钉钉的有效应答；请检查网络和代理。",
        "DingTalk gave no valid answer; check the network and the proxy.",
    )
    ADDRESS = (
        "请检查配置中的 api_url 和 oapi_url，以及环境变量中的代理地址。",
        "Check api_url and oapi_url in the config, and the proxy address in the environment.",
    )
    SOCKS = (
        "环境变量中的代理是 SOCKS 代理，dingwatch 不支持。请把 HTTPS_PROXY 设为 HTTP 代理（http://HOST:PORT）。",
        (
            "The environment names a SOCKS proxy, which dingwatch does not support: set HTTPS_PROXY to an"
            " HTTP proxy (http://HOST:PORT)."
        ),
    )
    GATE_PAGE = (
        "钉钉的网关拦截了请求，可能是同一出口 IP 请求过多；几分钟后自动重试。",
        (
            "DingTalk's gateway blocked the request, perhaps because this IP sent too many; retrying in a"
            " few minutes."
        ),
    )
    DINGTALK_BUSY = ("钉钉系统繁忙，稍后自动重试。", "DingTalk is busy; dingwatch retries automatically.")
    THROTTLED = ("调用过于频繁，自动放慢速度。", "DingTalk limits the rate; dingwatch slows down.")
    QUOTA = (
        "本月的 API 调用额度已用完：下个月 1 日自动继续；在开发者后台购买之后，请执行 dingwatch resume。",
        (
            "This month's API calls are used up: sending resumes on the 1st. After buying more in the"
            " developer console, run dingwatch resume."
        ),
    )
    WEBHOOK_QUOTA = (
        "本月的 Webhook 与 Stream 调用额度已用完：下个月 1 日自动继续。",
        "This month's Webhook & Stream calls are used up: notices by webhook resume on the 1st.",
    )
    CREDENTIALS = (
        "请核对 client_id 和 client_secret（开发者后台 → 应用 → 凭证与基础信息）。",
        "Check client_id and client_secret (developer console → app → Credentials 凭证与基础信息).",
    )
    PERMISSION = (
        "应用缺少权限：请在开发者后台 → 权限管理 申请所列权限，然后发布新版本。",
        (
            "The app lacks a permission: request it in the developer console (权限管理), then publish a new"
            " version."
        ),
    )
    NOT_PUBLISHED = (
        (
            "应用没有发布，或可使用范围不包含对方：开发者后台 → 应用 → 版本管理与发布 → 创建新版本，"
            "扩大可使用范围并发布。"
        ),
        (
            "The app is not published, or its visible range excludes the recipient: developer console → app →"
            " 版本管理与发布 → new version, widen 可使用范围 and publish."
        ),
    )
    APP_DISABLED = (
        "应用或组织已停用：请在管理后台启用。",
        "The app or the organisation is disabled: enable it in the admin console.",
    )
    IP_LIST = (
        "出口 IP 不在白名单中：请在开发者后台 → 安全设置 → 服务器出口IP 中添加。",
        "This IP is not on the allow-list: add it in the developer console (安全设置 → 服务器出口IP).",
    )
    ROBOT_CODE = (
        "机器人不可用：robot_code 应为应用的 Client ID，并且机器人已启用、已发布。",
        "The robot is unavailable: robot_code must be the app's Client ID; enable and publish the robot.",
    )
    ROBOT_OR_GROUP = (
        "请确认机器人在该会话中（群设置 → 机器人）；若其他会话也报此错误，请检查 robot_code 和机器人的发布。",
        (
            "Check that the robot is in this conversation (group settings → 机器人); if others get the same,"
            " check robot_code and that the robot is published."
        ),
    )
    ROBOT_IN_GROUP = (
        "请把机器人加入该群：群设置 → 机器人 → 添加机器人。",
        "Add the robot to the group: group settings → 机器人 → 添加机器人.",
    )
    CONVERSATION = (
        "请核对 conversation_id：必须是本组织的内部群，并且机器人在群里。",
        "Check conversation_id: it must be an internal group of this organisation that has the robot.",
    )
    PERSON = (
        "请核对 user_ids：必须是本组织成员的 userId，并在应用的可使用范围内（版本管理与发布）。",
        "Check user_ids: each must be the userId of a member who is in the app's visible range.",
    )
    FLOW_CONTROLLED = (
        "钉钉限制了机器人向此人发送消息的频率，稍后自动重试。",
        "DingTalk limits the robot's messages to this person; dingwatch retries automatically.",
    )
    CHAT = (
        "请核对 chat_id；新应用不能使用 chat/send，请改用 conversation_id。",
        "Check chat_id; new apps have no access to chat/send: use conversation_id instead.",
    )
    WEBHOOK_FILES = (
        "自定义机器人（webhook）只能发送通知，不能发送文件；请设置 send_as: notice，或改用 conversation_id。",
        "A custom robot (webhook) carries notices, not files: set send_as: notice, or use conversation_id.",
    )
    SENDING_FORBIDDEN = (
        "群里禁止机器人发消息：请群主在群设置中允许。",
        "Robots may not send in this group: ask the group's owner to allow it.",
    )
    WEBHOOK = (
        "请核对自定义机器人的 token 和安全设置；设置了自定义关键词时，在 notice_text 里写上关键词。",
        (
            "Check the custom robot's token and security settings; if it wants a keyword, write it into"
            " notice_text."
        ),
    )
    CONTENT = (
        "钉钉不允许发送这个内容：请改名或更换文件。",
        "DingTalk does not allow this content: rename or replace the file.",
    )
    MEDIA_LOST = (
        "钉钉上的文件已失效，自动重新上传一次。",
        "DingTalk no longer has the upload; dingwatch uploads it again.",
    )
    KEY_EXPIRED = (
        "钉钉已不再保留这条消息的发送记录，请在会话中查看。",
        "DingTalk no longer keeps a record of this message: look in the conversation.",
    )
    SPACE = (
        "请检查钉盘的剩余容量（企业、应用和空间），以及该空间是否仍存在。",
        "Check the drive's free space (organisation, app, space), and that the space still exists.",
    )
    OPERATOR = (
        "请检查 operator_union_id：必须是本组织的成员，并有权在钉盘中创建空间和上传文件。",
        ("Check operator_union_id: it must be a member who may create spaces and upload files in the drive."),
    )
    OPERATOR_IN_GROUP = (
        "请把 operator_union_id 对应的成员加入该群，并允许其添加群文件。",
        "Add the person of operator_union_id to the group, and let that person add files there.",
    )
    ORGANISATION_LEVEL = (
        "组织未认证，钉钉不允许下载钉盘文件：请在管理后台完成认证。",
        "DingTalk allows downloads to certified organisations only: get certified in the admin console.",
    )
    CONTENT_GONE = (
        "钉钉上已没有这个文件的内容；请到原来的文件夹或备份中取。",
        "DingTalk no longer has the content of this file: take it from its folder or from a backup.",
    )
    SIGNATURE_EXPIRED = (
        "上传地址已过期，自动重新获取。",
        "The upload address has expired; dingwatch fetches a new one.",
    )
    SIGNATURE = (
        "钉盘存储的签名校验失败，可能是代理改动了请求头：请让 *.trans.dingtalk.com 不经过代理。",
        (
            "The drive's store rejected the signature; a proxy may be changing headers: exempt"
            " *.trans.dingtalk.com from it."
        ),
    )
    STORE = (
        "无法连接钉盘存储：请在防火墙和代理中放行 *.trans.dingtalk.com 和 lippi-space-*.aliyuncs.com。",
        (
            "Cannot reach the drive's store: allow *.trans.dingtalk.com and lippi-space-*.aliyuncs.com in"
            " firewall and proxy."
        ),
    )
    UNKNOWN_CODE = (
        "钉钉返回了未知的错误码；请凭请求 ID 在开发者后台查询。",
        "DingTalk returned an unknown code; look up the request id in the developer console.",
    )
    REPORT_BUG = (
        "钉钉拒绝了请求格式，可能是 dingwatch 的缺陷，请报告。",
        "DingTalk rejected the form of the request, perhaps because of a bug in dingwatch: please report it.",
    )
