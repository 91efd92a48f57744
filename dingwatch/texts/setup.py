"""What `init` asks and says."""

from __future__ import annotations

from dingwatch.texts.language import Text


class Setup(Text):
    """What `init` asks and says."""

    WELCOME = (
        "回答几个问题，得到一份可用的配置，写到 {path}。按 Ctrl-C 随时退出，不写任何配置。",
        (
            "A few questions lead to a config that works, in {path}. Ctrl-C ends at any time; then nothing is"
            " written."
        ),
    )
    BEFORE = (
        (
            "需要先在开发者后台 https://open-dev.dingtalk.com 建好企业内部应用、添加机器人（消息接收模式选"
            " Stream）、申请权限 qyapi_robot_sendmsg 并发布版本，再把机器人加进群。"
        ),
        (
            "Before this, in the developer console https://open-dev.dingtalk.com: an internal app with a"
            " robot (message mode Stream), the permission qyapi_robot_sendmsg, a published version; and the"
            " robot is in the group."
        ),
    )
    EXISTS = (
        "{path} 已经存在，没有改动它。请用 -c 换一个位置，或加上 --overwrite 覆盖。",
        "{path} exists and was left as it is. Choose another place with -c, or add --overwrite.",
    )
    UNWRITABLE = (
        "不能在 {path} 里写文件；请用 -c 换一个位置，或换一个用户运行。",
        "nothing can be written in {path}: choose another place with -c, or run this as another user.",
    )
    NOT_WRITTEN = ("写不了 {path}：{reason}。", "{path} cannot be written: {reason}.")
    ENDED = ("已中断，没有写入任何配置。", "ended; no config was written.")
    CLIENT_ID = ("Client ID（AppKey）", "Client ID (AppKey)")
    CLIENT_SECRET = ("Client Secret（AppSecret）", "Client Secret (AppSecret)")
    ASK_AGAIN = ("请再输入一次。", "Enter them once more.")
    AGAIN = ("再试一次？", "Try again?")
    FOLDER = ("要监视的文件夹（绝对路径或 ~/…）", "The folder to watch (absolute, or ~/…)")
    FOLDER_MAKE = ("{path} 不存在，现在建立吗？", "{path} does not exist. Make it?")
    FOLDER_FILE = ("{path} 不是文件夹。", "{path} is no folder.")
    FOLDER_BAD = ("{path} 不能用：{reason}。", "{path} cannot be used: {reason}.")
    WAYS = (
        "文件发到哪个群？会话 ID（cid…）有三种办法得到：",
        "To which group? There are three ways to its conversation ID (cid…):",
    )
    WAY_STREAM = ("在群里 @ 一下机器人，自动识别", "mention the robot in the group, and it is found")
    WAY_CHAT = (
        "输入群的 chatId（chat…），由钉钉转换（1 次 API 调用）",
        "enter the group's chatId (chat…), and DingTalk converts it (1 API call)",
    )
    WAY_PASTE = ("直接粘贴 cid…", "paste the cid…")
    WAY = ("选择", "Choose")
    YES_OR_NO = ("请输入 y 或 n。", "Answer y or n.")
    NUMBER = ("请输入 1 到 {most} 的数字。", "Enter a number from 1 to {most}.")
    STREAM_MISSING = (
        "需要钉钉官方的 dingtalk-stream。请另开一个终端运行下面的命令再选一次，或用其他办法：{command}",
        (
            "This needs DingTalk's own package dingtalk-stream. Run this in another terminal and choose"
            " again, or take another way: {command}"
        ),
    )
    MENTION_NOW = (
        "现在请在群里 @ 机器人，随便说一句话（最多等 {seconds} 秒，Ctrl-C 返回）……",
        "Now mention the robot (@) in the group, with any word (up to {seconds} s; Ctrl-C goes back) …",
    )
    MENTION_NONE = (
        "没有等到消息。请确认机器人在群里、消息接收模式是 Stream，并且版本已发布。",
        "Nothing came. Is the robot in the group, its message mode Stream, and the version published?",
    )
    MENTION_ALONE = (
        "{person} 单独对机器人说了话；请在群里 @ 它。",
        "{person} wrote to the robot alone; mention it in the group.",
    )
    MENTION_IS_IT = (
        "{person} 在“{title}”里 @ 了机器人（{conversation}）。是这个群吗？",
        "{person} mentioned it in “{title}” ({conversation}). Is it this group?",
    )
    STREAM_FAILED = (
        "Stream 连接没有建立（{reason}）。请用其他办法，或检查网络后再选一次。",
        "The Stream connection did not open ({reason}). Take another way, or check the network first.",
    )
    CHAT_ID = ("chatId（chat…）", "chatId (chat…)")
    CHAT_BAD = ("无法转换 {chat}（{reason}）{advice}", "{chat} cannot be converted ({reason}). {advice}")
    CONVERSATION_ID = ("会话 ID（cid…）", "Conversation ID (cid…)")
    FOUND = ("会话 ID：{conversation}", "Conversation ID: {conversation}")
    OTHER_GROUP = (
        "换一个群？（否则先这样写进配置）",
        "Choose another group? (Else this one is kept.)",
    )
    SEND_TEST = (
        "发一个小的测试文件到群里？（2 次 API 调用）",
        "Send a small test file to the group? (2 API calls)",
    )
    TEST_NAME = ("dingwatch 测试.txt", "dingwatch test.txt")
    TEST_CONTENT = (
        "dingwatch 已经可以向本群发送文件。\n",
        "dingwatch can send files to this group.\n",
    )
    TEST_SENT = (
        "已发送。群里应出现文件“{name}”，点开能看到一行字。",
        "Sent. The group should show the file “{name}”, which holds one line.",
    )
    TEST_FAILED = ("测试文件没有发出（{reason}）{advice}", "The test file was not sent ({reason}). {advice}")
    SEND_AGAIN = ("再发一次？（请先看群里有没有）", "Send it once more? (Look in the group first.)")
    WRITTEN = (
        "配置写到了 {path}，密钥在 {secret}；两者都只有所有者可读。",
        "The config is in {path}, the secret in {secret}; only their owner can read them.",
    )
    NEXT = ("接下来：", "What to do next:")
    NEXT_CHECK = ("检查一切是否就绪", "see that everything is ready")
    NEXT_RUN = ("开始运行，然后往 {folder} 里放一个文件", "start, and drop a file into {folder}")
    NEXT_OWNER = ("让服务的用户能读配置", "let the service's user read the config")
    NEXT_ENABLE = ("作为系统服务启动，开机自动运行", "start it as a system service, at every boot too")
    NEXT_UNSET = (
        "密钥只能设置一处，先去掉环境变量",
        "the secret is set in one place only: take it out of the environment first",
    )
    NEXT_SERVICE = (
        "要作为系统服务长期运行，请看 README，并以 root 运行 dingwatch init。",
        "To have it run for good as a system service, see the README and run dingwatch init as root.",
    )
    HEADER = (
        "由 dingwatch init 写成。“#” 后面没有空格的行是默认值，去掉 # 就可以修改。改完运行 dingwatch check。",
        (
            "Written by dingwatch init. A line with # and no blank after it is a default: take the # away to"
            " change it. Then run dingwatch check."
        ),
    )
