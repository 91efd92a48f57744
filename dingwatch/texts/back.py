"""What is said about getting back what was sent."""

from __future__ import annotations

from dingwatch.texts.language import Text


class Back(Text):
    """What `link`, `fetch` and `recall` say."""

    LINK = (
        "给出经钉盘发送的文件的临时下载地址。",
        "Give a temporary download address of a file that went by the drive.",
    )
    FETCH = ("从钉钉取回发送过的文件，并核对摘要。", "Get a file that was sent back, and compare its digest.")
    OPT_OUT = ("写入哪个文件。", "The file to write.")
    OPT_FORCE = ("覆盖已有的文件。", "Overwrite a file that is there.")
    UNKNOWN = (
        "没有编号为 {id} 的投递；编号见 dingwatch history。",
        "there is no delivery {id}; dingwatch history shows the ids.",
    )
    NOT_SENT = (
        "{id} 的状态是 {state}：没有发送过，钉钉那里没有它。",
        "{id} is {state}: it was not sent, and DingTalk does not have it.",
    )
    NOTICE_ONLY = (
        "{id} 只发送了一条说明消息，钉钉那里没有文件本身。",
        "{id} was only told of in a message: DingTalk does not have the file itself.",
    )
    CONTENT_GONE = (
        "{id}（{path}）已无法取回：钉钉那里已没有它的内容。",
        "{id} ({path}) cannot be had back: DingTalk no longer has its content.",
    )
    NO_OPERATOR = (
        "{id} 是经钉盘发送的；请在配置中设置 operator_union_id，才能取回。",
        "{id} went by the drive: set operator_union_id in the config to get it back.",
    )

    LINK_UNTIL = (
        "{path}，{size} 字节；地址在 {until} 之前有效，必须带上这些请求头：",
        "{path}, {size} bytes; the address is good until {until}, and only with these headers:",
    )
    LINK_MEDIA = (
        "{id} 不是经钉盘发送的，没有下载地址；请用 dingwatch fetch {id} -o 文件 取回。",
        "{id} did not go by the drive, so it has no link; dingwatch fetch {id} -o FILE gets it.",
    )
    LINK_FAILED = (
        "得不到 {id} 的下载地址：{reason}。{advice}",
        "no address of {id} can be had: {reason}. {advice}",
    )

    FETCHING = ("下载中", "downloading")
    FETCHED = (
        "已取回 {id}：{path} → {file}，{size} 字节，摘要与发送时一致。",
        "fetched {id}: {path} → {file}, {size} bytes, the digest is that of the file that was sent.",
    )
    FETCHED_UNPACKED = (
        "已取回 {id}：{path} → {file}，{size} 字节；发送的是压缩包，已解压，摘要与原文件一致。",
        (
            "fetched {id}: {path} → {file}, {size} bytes; it was sent as an archive and has been unpacked,"
            " the digest is the original file's."
        ),
    )
    FETCH_FAILED = ("没有取回 {id}：{reason}。{advice}", "{id} was not fetched: {reason}. {advice}")
    FETCH_DIFFERS = (
        "没有写入 {file}：钉钉那里的内容与发送的 {id} 不同，可能有人改过它。",
        "{file} was not written: DingTalk's bytes are not those sent as {id}; perhaps somebody changed them.",
    )
    FETCH_EXISTS = (
        "{file} 已经存在；要覆盖它，请加 --force。",
        "{file} is there already; --force overwrites it.",
    )
    FETCH_NO_FILE = (
        "不能写入 {file}：核对摘要之后才会写成，只能是普通文件的名称。",
        "{file} cannot be written: what is compared first can only become a regular file.",
    )
    FETCH_UNWRITABLE = (
        "无法写入 {file}：{reason}。用 root 运行时以服务的用户写入，请选这个用户可以写的文件夹。",
        (
            "{file} cannot be written: {reason}. Run by root it is written as the service's user: choose a"
            " directory that this user may write."
        ),
    )

    RECALLED = ("已撤回 {id}：{path} → {conversation}", "taken back {id}: {path} → {conversation}")
    RECALLED_FROM_ALL = (
        "这是同时发给 {count} 人的一条消息，所有人的都已撤回：{conversations}",
        "it was one message to {count:person|persons}, and is taken back from all of them: {conversations}",
    )
    RECALLED_BEFORE = (
        "{id} 已在 {when} 撤回，没有再做什么。",
        "{id} was taken back already, at {when}; nothing was done.",
    )
    RECALL_NOT_SENT = (
        "没有改动任何东西：{id} 的状态是 {state}，没有可以撤回的消息。",
        "nothing was changed: {id} is {state}, there is no message to take back.",
    )
    RECALL_NO_KEY = (
        (
            "没有改动任何东西：钉钉对 {id} 的回应丢失了，撤回要用的编号也在其中；"
            "如果消息已到达，在群里可以由群主撤回。"
        ),
        (
            "nothing was changed: DingTalk's answer to {id} was lost, and with it the key that takes it back;"
            " if the message is in a group, its owner can take it back in DingTalk."
        ),
    )
    RECALL_DRIVE = (
        (
            "没有改动任何东西：{id} 是经钉盘发送的，钉钉没有撤回它的接口；"
            "在群里，operator_union_id 对应的人或群主可以在钉钉里撤回消息，并从群文件中删除它。"
        ),
        (
            "nothing was changed: {id} went by the drive, and DingTalk has no call that takes it back; in a"
            " group the person of operator_union_id or the owner can take the message back in DingTalk, and"
            " delete the file from the group's files."
        ),
    )
    RECALL_OTHER = (
        "没有改动任何东西：发往 {conversation} 的消息，钉钉没有撤回的接口；请群主在钉钉里撤回 {id}。",
        (
            "nothing was changed: DingTalk has no call that takes back what went to {conversation}; the"
            " group's owner can take {id} back in DingTalk."
        ),
    )
    RECALL_OLD = (
        "没有改动任何东西：发给个人的消息，钉钉只在 {hours} 小时内可以撤回，{id} 发送于 {when}。",
        (
            "nothing was changed: DingTalk takes back messages to persons for {hours} hours only, and {id}"
            " was sent at {when}."
        ),
    )
    RECALL_REFUSED = (
        "钉钉没有撤回 {id}：{reason}。可能已过期限或已被撤回，请在会话里查看。",
        "DingTalk did not take {id} back: {reason}. It may be too old or gone already: look in the chat.",
    )
    RECALL_FAILED = ("没有撤回 {id}：{reason}。{advice}", "{id} was not taken back: {reason}. {advice}")
    RECALL_DOUBT = (
        "不知道 {id} 是否已撤回：{reason}。{advice}请在会话里查看，需要时再撤回一次。",
        (
            "whether {id} was taken back is not known: {reason}. {advice} Look in the chat, and recall it"
            " once more if need be."
        ),
    )
