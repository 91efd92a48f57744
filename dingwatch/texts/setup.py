"""Questions and output of `init`."""

from __future__ import annotations

from dingwatch.texts.language import Text


class Setup(Text):
    """Questions and output of `init`."""

    WELCOME = (
        "回答几个问题，生成可用的配置文件 {path}。可随时按 Ctrl-C 退出，不会写入任何内容。",
        (
            "Answer a few questions to create a working config in {path}. Press Ctrl-C at any time to quit;"
            " nothing is written then."
        ),
    )
    BEFORE = (
        (
            "请先在开发者后台 https://open-dev.dingtalk.com 创建企业内部应用、添加机器人（消息接收模式选"
            " Stream）、申请权限 qyapi_robot_sendmsg 和 qyapi_chat_manage 并发布版本，再把机器人加入群。"
        ),
        (
            "You need, from the developer console https://open-dev.dingtalk.com: an internal app with a robot"
            " (message mode Stream), the permissions qyapi_robot_sendmsg and qyapi_chat_manage, and a"
            " published version. The robot must be in the group."
        ),
    )
    EXISTS = (
        "{path} 已经存在，没有改动。请用 -c 指定其他位置，或加 --overwrite 覆盖。",
        "{path} already exists and was not changed. Choose another path with -c, or add --overwrite.",
    )
    UNWRITABLE = (
        "无法在 {path} 中写文件；请用 -c 指定其他位置，或换一个用户运行。",
        "cannot write files in {path}: choose another path with -c, or run this as another user.",
    )
    NOT_WRITTEN = (
        "无法写入 {path}：{reason}。请检查磁盘空间和权限，然后重新执行 dingwatch init。",
        "cannot write {path}: {reason}. Check free space and permissions, and run dingwatch init again.",
    )
    ENDED = ("已退出，没有写入任何配置。", "interrupted; no config was written.")
    CLIENT_ID = ("Client ID（AppKey）", "Client ID (AppKey)")
    CLIENT_SECRET = ("Client Secret（AppSecret）", "Client Secret (AppSecret)")
    ASK_AGAIN = ("请再输入一次。", "Enter them again.")
    AGAIN = ("再试一次？", "Try again?")
    FOLDER = ("要监视的文件夹（绝对路径或 ~/…）", "The folder to watch (absolute, or ~/…)")
    FOLDER_MAKE = ("{path} 不存在，现在创建吗？", "{path} does not exist. Create it?")
    FOLDER_FILE = ("{path} 不是文件夹；请输入另一个路径。", "{path} is not a directory: enter another path.")
    FOLDER_BAD = (
        "{path} 不能用：{reason}；请输入另一个路径，或修改权限。",
        "{path} cannot be used: {reason}; enter another path, or change its permissions.",
    )
    WAYS = (
        "文件发到哪个群？获取会话 ID（cid…）有三种方法：",
        "Which group should get the files? There are three ways to enter its conversation ID (cid…):",
    )
    WAY_STREAM = ("在群里 @ 机器人，自动识别", "mention the robot in the group to detect it")
    WAY_CHAT = (
        "输入群的 chatId（chat…），由钉钉转换（1 次 API 调用）",
        "enter the group's chatId (chat…), which DingTalk converts (1 API call)",
    )
    WAY_PASTE = ("直接粘贴 cid…", "paste the cid…")
    WAY = ("选择", "Choose")
    YES_OR_NO = ("请输入 y 或 n。", "Enter y or n.")
    NUMBER = ("请输入 1 到 {most} 之间的数字。", "Enter a number from 1 to {most}.")
    STREAM_MISSING = (
        "需要钉钉官方的 dingtalk-stream。请在另一个终端运行以下命令后再选，或用其他方法：{command}",
        (
            "This needs DingTalk's package dingtalk-stream. Run this in another terminal and choose again, or"
            " choose another way: {command}"
        ),
    )
    MENTION_NOW = (
        "请在群里 @ 机器人，随便说一句话（最多等待 {seconds} 秒，按 Ctrl-C 返回）……",
        "Now mention the robot (@) in the group, with any text (waits up to {seconds} s; Ctrl-C goes back) …",
    )
    MENTION_NONE = (
        "没有收到消息。请确认机器人在群里、消息接收模式是 Stream，并且版本已发布。",
        "No message arrived. Is the robot in the group, its message mode Stream, and the version published?",
    )
    MENTION_ALONE = (
        "{person} 给机器人发了单聊消息；请在群里 @ 它。",
        "{person} wrote to the robot in a private chat; mention it in the group.",
    )
    MENTION_IS_IT = (
        "{person} 在“{title}”里 @ 了机器人（{conversation}）。是这个群吗？",
        "{person} mentioned the robot in “{title}” ({conversation}). Is this the group?",
    )
    STREAM_FAILED = (
        "Stream 连接失败（{reason}）。请用其他方法，或检查网络后再选一次。",
        "The Stream connection failed ({reason}). Choose another way, or check the network first.",
    )
    CHAT_ID = ("chatId（chat…）", "chatId (chat…)")
    CHAT_BAD = ("无法转换 {chat}（{reason}）。{advice}", "cannot convert {chat} ({reason}). {advice}")
    CONVERSATION_ID = ("会话 ID（cid…）", "Conversation ID (cid…)")
    FOUND = ("会话 ID：{conversation}", "Conversation ID: {conversation}")
    OTHER_GROUP = (
        "换一个群？（否则仍把这个群写入配置）",
        "Choose another group? (Otherwise this one is kept.)",
    )
    ROBOT_UNSEEN = (
        "测试文件会说明机器人是否在群里。",
        "The test file will show whether the robot is in the group.",
    )
    SEND_TEST = (
        "向群里发送一个小的测试文件？（2 次 API 调用）",
        "Send a small test file to the group? (2 API calls)",
    )
    TEST_NAME = ("dingwatch 测试.txt", "dingwatch test.txt")
    TEST_CONTENT = (
        "dingwatch 已经可以向本群发送文件。\n",
        "dingwatch can send files to this group.\n",
    )
    TEST_SENT = (
        "已发送。群里应出现文件“{name}”，内容是一行文字。",
        "Sent. The group should show the file “{name}”, which contains one line.",
    )
    TEST_FAILED = (
        "测试文件发送失败（{reason}）。{advice}",
        "The test file was not sent ({reason}). {advice}",
    )
    SEND_AGAIN = ("再发送一次？（请先查看群里是否已收到）", "Send it again? (Check the group first.)")
    WRITTEN = (
        "配置已写入 {path}，密钥已写入 {secret}；两者都只有所有者可读。",
        "The config is in {path}, the secret in {secret}; only the owner can read them.",
    )
    NEXT = ("接下来：", "Next steps:")
    NEXT_CHECK = ("检查是否一切就绪", "check that everything is ready")
    NEXT_RUN = ("开始运行，然后往 {folder} 里放一个文件", "start it, and drop a file into {folder}")
    NEXT_OWNER = ("让服务的用户可以读取配置", "let the service's user read the config")
    NEXT_ENABLE = (
        "作为系统服务启动，并设为开机自动运行",
        "start it as a system service, now and at every boot",
    )
    NEXT_UNSET = (
        "密钥只能设置一处，请先取消环境变量",
        "the secret may be set in one place only: remove it from the environment first",
    )
    NEXT_SERVICE = (
        "要作为系统服务长期运行，请参阅 README，并以 root 运行 dingwatch init。",
        "To run it permanently as a system service, see the README and run dingwatch init as root.",
    )
    HEADER = (
        "由 dingwatch init 生成。“#”后面没有空格的行是默认值，去掉 # 即可修改。改完请运行 dingwatch check。",
        (
            "Written by dingwatch init. A line with # and no space after it is a default: remove the # to"
            " change it. Then run dingwatch check."
        ),
    )
