"""What a person can do about a cause."""

from __future__ import annotations

from dingwatch.texts.language import Text


class Advice(Text):
    """What a person can do about a cause."""

    FILE_UNREADABLE = ("稍后会自动再试。", "It will be tried again by itself.")
    FILE_FORBIDDEN = (
        "请让运行 dingwatch 的用户可以读取这个文件。",
        "Let the user that dingwatch runs as read this file.",
    )
    FILE_GONE = (
        "文件在发送前已被移走或删除；放回原处就会发送。",
        "The file was moved away or deleted before it was sent; put it back to have it sent.",
    )
    IN_USE = (
        "有程序或编辑器正在使用它，关闭后会自动发送。",
        "A program or an editor is working on it; it is sent by itself once that is closed.",
    )
    FILE_CHANGED = (
        "文件在读取时发生了变化，稳定后会发送新的内容。",
        "The file changed while it was read; its new content is sent when it has settled.",
    )
    NOT_REGULAR = ("只发送普通文件。", "Only regular files are sent.")
    FOLDER_DOWN = (
        "请检查文件夹的路径、权限和挂载；恢复后服务会自动继续。",
        "Check the folder's path, permissions and mount; the service goes on by itself.",
    )
    TOO_DEEP = (
        "目录层数太多，收不到内核事件；用定时扫描代替。",
        "Its directories are nested too deep for the kernel's events; it is polled instead.",
    )
    WATCHES = (
        (
            "请提高内核上限，例如 sysctl -w fs.inotify.max_user_watches=1048576"
            " 和 fs.inotify.max_user_instances=1024；在此之前用定时扫描代替。"
        ),
        (
            "Raise the kernel's limit, such as sysctl -w fs.inotify.max_user_watches=1048576 and"
            " fs.inotify.max_user_instances=1024; until then it is scanned at intervals instead."
        ),
    )
    HELD = (
        "等待 dingwatch release 或 discard。",
        "It waits for dingwatch release or discard.",
    )
    LEDGER_LOCKED = (
        "另一个程序正占用账本；它放开后会自动继续。",
        "Another program holds the ledger; it goes on by itself when that lets go.",
    )
    DISCARDED = (
        "已由 dingwatch discard 放弃；用 dingwatch retry 可以发送它。",
        "Given up by dingwatch discard; dingwatch retry sends it.",
    )
    NOT_MOUNTED = (
        "请重新挂载，会自动继续；若从此就是普通文件夹，请从配置中去掉它，启动一次，再加回来。",
        "Mount it. If it is a plain folder from now on, take it out of the config, start once, put it back.",
    )
    TOO_BIG = (
        "钉钉的文件上限是 20 MB：请设置 operator_union_id 经钉盘发送（large_files: drive），或拆分后再放入。",
        (
            "DingTalk takes files of up to 20 MB: set operator_union_id, so that it goes by the drive"
            " (large_files: drive), or split it and drop it again."
        ),
    )
    NOTICED = (
        "会话里收到了一条说明文件在哪里的消息，文件本身没有发送。",
        "The conversation was told where the file lies; the file itself was not sent.",
    )
    EMPTY = (
        "文件是空的；写入内容后会自动发送。",
        "The file is empty; it is sent by itself once it has content.",
    )
    UNSUPPORTED = (
        "钉钉不接受这种文件；把该文件夹的 unsupported 设为 zip 就会压缩后发送。",
        "DingTalk refuses this kind of file; set the folder's unsupported to zip to send it zipped.",
    )
    TYPE_REFUSED = (
        "钉钉不接受这种文件类型，请改为压缩包。",
        "DingTalk refuses this type of file; drop it as an archive.",
    )
    ON_CHANGE_IGNORE = (
        "这个文件夹对同名文件只发送一次（on_change: ignore）；用 dingwatch retry 可以发送它。",
        "This folder sends a name once (on_change: ignore); dingwatch retry sends it.",
    )
    SUPERSEDED = ("已有更新的内容取代它。", "Newer content has taken its place.")
    UNMAPPED = (
        "它的文件夹或会话已不在配置中；加回配置后会自动继续。",
        "Its folder or conversation is no longer in the config; put it back and it goes on by itself.",
    )
    CRASHED = (
        "程序上次在处理它时中断。",
        "The program ended while it had this in hand.",
    )
    POISON = (
        "程序连续三次在处理这个文件时中断；请换一个文件，或用 dingwatch retry 再试。",
        "The program ended three times in a row with this file in hand; replace it, or dingwatch retry it.",
    )
    STOPPED = ("程序停止时它还没有发完。", "The program stopped before it was done.")
    LEDGER_NEWER = (
        "账本由更新版本的 dingwatch 写成，请升级程序。",
        "A newer dingwatch wrote this ledger: upgrade the program.",
    )
    LEDGER_UNWRITABLE = (
        "请检查 state_dir 所在磁盘的空间和权限。",
        "Check the space and permissions of the disk that holds state_dir.",
    )
    LEDGER_DAMAGED = (
        (
            "请停止服务，把 state_dir/backups 里最新的备份复制为 ledger.db，"
            "并删除 ledger.db-wal 和 ledger.db-shm。备份之后发送过的文件会再发一次。"
        ),
        (
            "Stop the service, copy the newest file of state_dir/backups to ledger.db, and delete"
            " ledger.db-wal and ledger.db-shm. What was sent since that backup is sent again."
        ),
    )
    LEDGER_MISSING = (
        (
            "请把账本放回，或把 state_dir/backups 里最新的备份复制为 ledger.db。"
            "若要重新开始（已有文件不发送），请移走 backups 文件夹。"
        ),
        (
            "Put the ledger back, or copy the newest file of state_dir/backups to ledger.db. To begin anew,"
            " with all that is there as baseline, move backups away."
        ),
    )
    LEDGER_REPLACED = (
        "运行中的账本文件被移走或替换；请放回原处，或重启服务。",
        "The ledger's file was moved or replaced while in use: put it back, or restart the service.",
    )
    LEDGER_NETWORK = (
        "SQLite 账本在网络文件系统上不可靠；请把 state_dir 改到本地磁盘。",
        "SQLite is not safe on a network file system: set state_dir to a local disk.",
    )
    UNREACHABLE = (
        "连不上钉钉：请检查网络、DNS、代理和防火墙；恢复后服务会自动继续。",
        "DingTalk cannot be reached: check network, DNS, proxy and firewall; the service goes on by itself.",
    )
    CERTIFICATE = (
        "无法验证对方的证书：请检查系统时间和 CA 证书；公司代理的证书用 REQUESTS_CA_BUNDLE 指定。",
        "The certificate cannot be verified: check the clock and the CA certificates (REQUESTS_CA_BUNDLE).",
    )
    NO_ANSWER = (
        "没有收到钉钉的有效回应；请检查网络和代理。",
        "No valid answer came from DingTalk; check the network and the proxy.",
    )
    ADDRESS = (
        "请检查配置里的 api_url 和 oapi_url，以及环境变量里的代理地址。",
        "Check api_url and oapi_url in the config, and the proxy's address in the environment.",
    )
    GATE_PAGE = (
        "钉钉的网关拦下了请求，可能是同一出口 IP 请求过多；会等几分钟再试。",
        "DingTalk's gateway turned the request away, perhaps too many from this IP; it waits some minutes.",
    )
    DINGTALK_BUSY = ("钉钉系统繁忙，会自动再试。", "DingTalk is busy; it will be tried again by itself.")
    THROTTLED = ("发送过快，会自动放慢。", "Too fast for DingTalk; it slows down by itself.")
    QUOTA = (
        "本月的 API 调用次数已用完：下个月 1 日自动继续；在开发者后台购买之后，请执行 dingwatch resume。",
        (
            "This month's API calls are used up: it goes on by itself on the 1st; after you have bought more"
            " in the developer console, run dingwatch resume."
        ),
    )
    WEBHOOK_QUOTA = (
        "本月的 Webhook 与 Stream 调用次数已用完：下个月 1 日自动继续。",
        "This month's Webhook & Stream calls are used up: notices by webhook go on by themselves on the 1st.",
    )
    CREDENTIALS = (
        "请核对 client_id 和 client_secret（开发者后台 → 应用 → 凭证与基础信息）。",
        "Check client_id and client_secret (developer console → app → Credentials 凭证与基础信息).",
    )
    PERMISSION = (
        "应用缺少权限：在开发者后台 → 权限管理 申请所列权限，然后发布新版本。",
        "The app lacks a permission: request it in the developer console (权限管理), then publish a version.",
    )
    NOT_PUBLISHED = (
        (
            "应用没有发布，或可使用范围不包含对方：开发者后台 → 应用 → 版本管理与发布 → 创建新版本，"
            "扩大可使用范围并发布。"
        ),
        (
            "The app is not published, or they are outside its visible range: developer console → app →"
            " 版本管理与发布 → new version, widen 可使用范围 and publish."
        ),
    )
    APP_DISABLED = (
        "应用或组织已停用：请在管理后台启用。",
        "The app or organisation is disabled: enable it in the admin console.",
    )
    IP_LIST = (
        "出口 IP 不在白名单：在开发者后台 → 安全设置 → 服务器出口 IP 中加入它。",
        "This IP is not on the allow-list: add it in the developer console (安全设置 → 服务器出口IP).",
    )
    ROBOT_CODE = (
        "机器人不可用：robot_code 应为应用的 Client ID，且机器人已启用并发布。",
        "The robot cannot be used: robot_code is the app's Client ID; enable the robot and publish it.",
    )
    ROBOT_IN_GROUP = (
        "请把机器人加入该群：群设置 → 机器人 → 添加机器人。",
        "Add the robot to the group: group settings → 机器人 → 添加机器人.",
    )
    CONVERSATION = (
        "请核对 conversation_id：须是本组织的内部群，且机器人在群里。",
        "Check conversation_id: an internal group of the same organisation with the robot in it.",
    )
    PERSON = (
        "请核对 user_ids：须是本组织成员的 userId，且在应用的可使用范围内（版本管理与发布）。",
        "Check user_ids: the userId of a member of the organisation, in the app's visible range.",
    )
    FLOW_CONTROLLED = (
        "机器人给此人的消息被钉钉限流，稍后会自动再试。",
        "DingTalk limits the robot's messages to this person; it is tried again by itself.",
    )
    CHAT = (
        "请核对 chat_id；新应用没有 chat/send，请改用 conversation_id。",
        "Check chat_id; new apps are not given chat/send: name a conversation_id instead.",
    )
    WEBHOOK_FILES = (
        "自定义机器人（webhook）只能发通知，不能发文件。",
        "A custom robot (webhook) carries notices, not files.",
    )
    SENDING_FORBIDDEN = (
        "群里禁止机器人发消息：请群主在群设置里放开。",
        "Sending is forbidden there: ask the group's owner to allow robots to send.",
    )
    WEBHOOK = (
        "请核对自定义机器人的 token 和安全设置。",
        "Check the custom robot's token and security settings.",
    )
    CONTENT = (
        "钉钉不允许发送这个内容：请改名或更换文件。",
        "DingTalk does not allow this content: rename or replace the file.",
    )
    MEDIA_LOST = (
        "钉钉已不认识上传的文件，会重新上传一次。",
        "DingTalk no longer knows the upload; it is uploaded once more.",
    )
    KEY_EXPIRED = (
        "钉钉已不再保留这条消息的发送记录，请在会话里查看。",
        "DingTalk no longer keeps the record of this message: look in the conversation.",
    )
    SPACE = (
        "请检查钉盘的剩余容量（企业、应用和空间），以及空间是否还在。",
        "Check the room left in the drive (organisation, app, space), and that the space still exists.",
    )
    OPERATOR = (
        "请检查 operator_union_id：须是本组织的成员，并有权在钉盘建空间和上传文件。",
        "Check operator_union_id: a member of the organisation who may make spaces and upload to the drive.",
    )
    OPERATOR_IN_GROUP = (
        "请把 operator_union_id 对应的人加入该群，并允许其添加群文件。",
        "Add the person of operator_union_id to the group, and let that person add files there.",
    )
    ORGANISATION_LEVEL = (
        "组织未认证，钉钉不允许下载钉盘文件：请在管理后台完成认证。",
        "The organisation is not certified, so DingTalk allows no download: certify it in the admin console.",
    )
    CONTENT_GONE = ("钉钉已没有这个文件的内容。", "DingTalk no longer has the content of this file.")
    SIGNATURE_EXPIRED = (
        "上传地址已过期，会自动重新获取。",
        "The upload's address has expired; a new one is fetched by itself.",
    )
    SIGNATURE = (
        "钉盘存储不认可签名，可能是代理改动了请求头：请让 *.trans.dingtalk.com 不经过代理。",
        "The drive's store refuses the signature: a proxy may change headers; exempt *.trans.dingtalk.com.",
    )
    STORE = (
        "连不上钉盘的存储：请在防火墙和代理中放行 *.trans.dingtalk.com 和 lippi-space-*.aliyuncs.com。",
        "The drive's store is out of reach: allow *.trans.dingtalk.com and lippi-space-*.aliyuncs.com.",
    )
    UNKNOWN_CODE = (
        "钉钉返回了未知的错误码；请凭 request id 在开发者后台查询。",
        "DingTalk gave an unknown code; look its request id up in the developer console.",
    )
    REPORT_BUG = (
        "请求格式被拒绝，可能是 dingwatch 的缺陷，请报告。",
        "The request was refused for its form, perhaps a defect of dingwatch: please report it.",
    )
