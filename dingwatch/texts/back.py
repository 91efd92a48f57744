"""Help texts and output of `link`, `fetch`, `receipts` and `recall`."""

from __future__ import annotations

from dingwatch.texts.language import Text


class Back(Text):
    """Help texts and output of `link`, `fetch` and `recall`."""

    LINK = (
        "显示经钉盘发送的文件的临时下载地址。",
        "Print a temporary download address of a file that was sent through the drive.",
    )
    FETCH = ("从钉钉取回已发送的文件，并校验摘要。", "Download a sent file, and verify its digest.")
    OPT_OUT = ("保存到哪个文件。", "The file to write.")
    OPT_FORCE = ("覆盖已有的文件。", "Overwrite an existing file.")
    UNKNOWN = (
        "没有编号为 {id} 的投递；编号见 dingwatch history。",
        "there is no delivery {id}; dingwatch history lists the IDs.",
    )
    NOT_SENT = (
        "{id} 的状态是 {state}：没有发送过，钉钉上没有这个文件；原因见 dingwatch history。",
        ("{id} is {state}: it was not sent, so DingTalk does not have it; dingwatch history says why."),
    )
    NOTICE_ONLY = (
        "{id} 只发送了通知，钉钉上没有文件本身；请到原来的文件夹中取。",
        "{id} went as a notice: DingTalk does not have the file itself; take it from its folder.",
    )
    CONTENT_GONE = (
        "{id}（{path}）无法取回：钉钉上已没有它的内容；请到原来的文件夹或备份中取。",
        (
            "{id} ({path}) cannot be downloaded: DingTalk no longer has its content; take it from its folder"
            " or from a backup."
        ),
    )
    NO_OPERATOR = (
        "{id} 是经钉盘发送的；要取回它，请在配置中设置 operator_union_id。",
        "{id} was sent through the drive: set operator_union_id in the config to download it.",
    )

    LINK_UNTIL = (
        "{path}，{size} 字节；地址在 {until} 之前有效，请求时必须带上这些请求头：",
        "{path}, {size} bytes; the address is valid until {until}, and only with these headers:",
    )
    LINK_MEDIA = (
        "{id} 不是经钉盘发送的，没有下载地址；请用 dingwatch fetch {id} -o 文件 取回。",
        "{id} was not sent through the drive and has no link; dingwatch fetch {id} -o FILE downloads it.",
    )
    OPT_OPEN = (
        "显示可以打开预览的地址，代替下载地址。",
        "Print an address at which people open the file, instead of a download address.",
    )
    OPEN_ADDRESS = (
        "{path}，{size} 字节；在浏览器或钉钉中打开，需要登录钉钉并有权限。钉钉没有说明这个地址何时失效",
        (
            "{path}, {size} bytes; opens in a browser or DingTalk, for those who are signed in to DingTalk"
            " and may see it. DingTalk names no expiry of this address"
        ),
    )
    OPEN_FAILED = (
        "无法获取 {id} 的预览地址：{reason}。{advice}",
        "cannot get an address at which {id} opens: {reason}. {advice}",
    )
    LINK_FAILED = (
        "无法获取 {id} 的下载地址：{reason}。{advice}",
        "cannot get a download address of {id}: {reason}. {advice}",
    )

    FETCHING = ("下载中", "downloading")
    FETCHED = (
        "已取回 {id}：{path} → {file}，{size} 字节，摘要与发送时一致。",
        "fetched {id}: {path} → {file}, {size} bytes; the digest matches the sent file.",
    )
    FETCHED_FROM_BUNDLE = (
        "已取回 {id}：{path} → {file}，{size} 字节；从多个文件的压缩包中取出，摘要与原文件一致。",
        (
            "fetched {id}: {path} → {file}, {size} bytes, out of the archive of several files that was sent;"
            " the digest matches the original file."
        ),
    )
    FETCHED_UNPACKED = (
        "已取回 {id}：{path} → {file}，{size} 字节；发送的是压缩包，已解压，摘要与原文件一致。",
        (
            "fetched {id}: {path} → {file}, {size} bytes, unpacked from the archive that was sent; the"
            " digest matches the original file."
        ),
    )
    FETCH_FAILED = ("未能取回 {id}：{reason}。{advice}", "{id} was not fetched: {reason}. {advice}")
    FETCH_DIFFERS = (
        "没有写入 {file}：钉钉上的内容与发送的 {id} 不同，可能有人修改过；请在会话中查看。",
        (
            "{file} was not written: DingTalk's content differs from what was sent as {id}; somebody may"
            " have changed it: look in the conversation."
        ),
    )
    FETCH_EXISTS = (
        "{file} 已经存在；要覆盖它，请加 --force。",
        "{file} already exists; use --force to overwrite it.",
    )
    FETCH_NO_FILE = (
        "不能写入 {file}：内容校验后才写成文件，目标只能是普通文件；请换一个路径。",
        (
            "cannot write {file}: the output must be a regular file, which is put in place once it is"
            " verified; choose another path."
        ),
    )
    FETCH_UNWRITABLE = (
        "无法写入 {file}：{reason}。以 root 运行时，文件由服务的用户写入，请选择该用户可写的目录。",
        (
            "cannot write {file}: {reason}. When run as root, the file is written as the service's user:"
            " choose a directory that this user can write."
        ),
    )

    RECEIPTS_COMMAND = (
        "查询谁已读机器人发出的消息（用一次计费的调用）。",
        "Print who has read a robot's message (one billed call).",
    )
    OPT_ALL = (
        "列出全部已读者：每 200 人多用一次调用。",
        "All readers of a group: another billed call for each 200.",
    )
    RECEIPTS_COST = (
        "正在查询钉钉：用一次计费的 API 调用；查询姓名时每人一次调用，不计费。",
        "asking DingTalk: one billed API call; each name that is not known is another call, which is free.",
    )
    RECEIPTS_COST_RECENT = (
        (
            "正在查询钉钉：用一次计费的 API 调用；消息刚刚发送，钉钉可能还没有数据，那样最多查询四次。"
            "查询姓名时每人一次调用，不计费。"
        ),
        (
            "asking DingTalk: one billed API call, or up to four as long as it has no data about a message"
            " that was just sent; each name that is not known is another call, which is free."
        ),
    )
    RECEIPTS = (
        "{id}：{path} → {recipient}，{count} 人已读",
        "{id}: {path} → {recipient}, read by {count:person|persons}",
    )
    RECEIPTS_READ = ("  已读　{person}", "  read    {person}")
    RECEIPTS_UNREAD = ("  未读　{person}", "  unread  {person}")
    RECEIPTS_UNREAD_UNKNOWN = (
        "  钉钉只列出群消息的已读者，不列出未读者",
        "  DingTalk lists only the readers of a group's message, not those who have not read it",
    )
    RECEIPTS_MORE = (
        "  还有更多已读者：dingwatch receipts {id} --all（每 200 人一次计费的调用）",
        "  there are more readers: dingwatch receipts {id} --all (a billed call for each 200)",
    )
    RECEIPTS_PROCESSING = ("  钉钉仍在投递这条消息", "  DingTalk is still delivering the message")
    RECEIPTS_NAMELESS = (
        "无法查询姓名，只显示 userId：{reason}。{advice}",
        "names cannot be asked for, so user IDs are shown: {reason}. {advice}",
    )
    RECEIPTS_NOT_SENT = (
        "{id} 的状态是 {state}：没有发送消息，无人可读。",
        "{id} is {state}: no message was sent, so nobody could read it.",
    )
    RECEIPTS_NO_KEY = (
        "无法查询 {id}：钉钉对它的应答丢失，其中包含查询所需的编号。",
        "{id} cannot be asked about: DingTalk's answer to it was lost, and with it the message's key.",
    )
    RECEIPTS_DRIVE = (
        "无法查询 {id}：它是经钉盘发送的，钉钉只能查询机器人消息的已读情况。",
        "{id} went through the drive: DingTalk tells only of the robot's messages who has read them.",
    )
    RECEIPTS_OTHER = (
        "无法查询 {id}：钉钉没有查询发往 {conversation} 的消息是否已读的接口。",
        "{id} cannot be asked about: DingTalk has no call to ask who has read messages to {conversation}.",
    )
    RECEIPTS_RECALLED = (
        "{id} 的消息已撤回，不再有已读情况。",
        "the message of {id} was recalled, so there is nothing to read any more.",
    )
    RECEIPTS_OLD = (
        "无法查询 {id}：发给个人的消息只能在 {hours} 小时内查询，它发送于 {when}。",
        "{id} is too old: DingTalk tells of messages to persons for {hours} hours; it was sent at {when}.",
    )
    RECEIPTS_EARLY = (
        "钉钉还没有 {id} 的已读数据；请一分钟后再试。",
        "DingTalk has no data about {id} yet; try again in a minute.",
    )
    RECEIPTS_EXPIRED = (
        "钉钉已没有 {id} 的已读数据：消息太旧，无法查询。",
        "DingTalk has no data about {id} any more: the message is too old.",
    )
    RECEIPTS_FAILED = (
        "未能查询 {id} 的已读情况：{reason}。{advice}",
        "cannot find out who has read {id}: {reason}. {advice}",
    )

    RECALLED = ("已撤回 {id}：{path} → {conversation}", "recalled {id}: {path} → {conversation}")
    RECALLED_FROM_ALL = (
        "这条消息同时发给了 {count} 人，已全部撤回：{conversations}",
        "the message went to {count:person|persons} and is recalled for all of them: {conversations}",
    )
    RECALLED_BUNDLE = (
        "这条消息里有 {count} 个文件，已全部撤回",
        "the message had {count:file|files}, and is recalled with all of them",
    )
    RECALLED_BEFORE = (
        "{id} 已在 {when} 撤回，无需再次撤回。",
        "{id} was already recalled at {when}; nothing was done.",
    )
    RECALL_NOT_SENT = (
        "未做任何改动：{id} 的状态是 {state}，没有可以撤回的消息；见 dingwatch history --state sent。",
        (
            "nothing was changed: {id} is {state}, there is no message to recall; dingwatch history --state"
            " sent lists what was sent."
        ),
    )
    RECALL_NO_KEY = (
        (
            "未做任何改动：钉钉对 {id} 的应答丢失，其中包含撤回所需的编号；"
            "如果消息已送达群里，群主可以在钉钉中撤回。"
        ),
        (
            "nothing was changed: DingTalk's answer to {id} was lost, and with it the key for the recall; if"
            " the message is in a group, the group's owner can recall it in DingTalk."
        ),
    )
    RECALL_DRIVE = (
        (
            "未做任何改动：{id} 是经钉盘发送的，钉钉没有撤回它的接口；"
            "在群里，operator_union_id 对应的成员或群主可以在钉钉中撤回消息，并从群文件中删除它。"
        ),
        (
            "nothing was changed: {id} was sent through the drive, and DingTalk has no call to recall it; in"
            " a group the person of operator_union_id or the group's owner can recall the message in DingTalk"
            " and delete the file from the group's files."
        ),
    )
    RECALL_OTHER = (
        "未做任何改动：钉钉没有撤回发往 {conversation} 的消息的接口；请群主在钉钉中撤回 {id}。",
        (
            "nothing was changed: DingTalk has no call to recall messages to {conversation}; the group's"
            " owner can recall {id} in DingTalk."
        ),
    )
    RECALL_OLD = (
        "未做任何改动：发给个人的消息只能在 {hours} 小时内撤回，{id} 发送于 {when}；请对方自行删除。",
        (
            "nothing was changed: messages to persons can be recalled for {hours} hours, and {id} was sent"
            " at {when}; ask the recipient to delete it."
        ),
    )
    RECALL_REFUSED = (
        "钉钉未能撤回 {id}：{reason}。可能已超过期限或已被撤回，请在会话中查看。",
        (
            "DingTalk did not recall {id}: {reason}. It may be too old or recalled already: look in the"
            " conversation."
        ),
    )
    RECALL_FAILED = ("未能撤回 {id}：{reason}。{advice}", "{id} was not recalled: {reason}. {advice}")
    RECALL_DOUBT = (
        "无法确认 {id} 是否已撤回：{reason}。{advice}请在会话中查看，需要时再撤回一次。",
        (
            "it is uncertain whether {id} was recalled: {reason}. {advice} Look in the conversation, and"
            " recall it again if necessary."
        ),
    )
