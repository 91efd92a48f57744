"""The man page, apart from what `--help` says."""

from __future__ import annotations

from dingwatch.texts.language import Text


class Manual(Text):
    """The man page, apart from what `--help` says."""

    NAME = ("名称", "NAME")
    SYNOPSIS = ("概要", "SYNOPSIS")
    DESCRIPTION = ("描述", "DESCRIPTION")
    COMMANDS = ("命令", "COMMANDS")
    FILES = ("文件", "FILES")
    ENVIRONMENT = ("环境变量", "ENVIRONMENT")
    EXIT = ("退出码", "EXIT STATUS")
    SEE_ALSO = ("参见", "SEE ALSO")
    TITLE = ("把文件夹中的新文件发送到钉钉会话", "send new files of folders to DingTalk conversations")
    HELP_OF = (
        "每个命令都接受 -c FILE 和 --help。",
        "Every command accepts -c FILE and --help.",
    )
    OF_CONFIG = (
        "配置文件；依次查找 $DINGWATCH_CONFIG、以下两个路径。",
        "The config: $DINGWATCH_CONFIG, else the first of these two that there is.",
    )
    OF_STATE = (
        "发送记录数据库、它的备份和控制套接字（root 运行时的默认位置）。",
        "The ledger, its backups and the control socket (the default as root).",
    )
    OF_VARIABLE = ("配置文件的路径。", "The path of the config.")
    OF_SECRET = (
        "应用的 Client Secret，代替配置中的 client_secret。",
        "The app's Client Secret, instead of client_secret in the config.",
    )
    OF_LOCALE = (
        "消息的语言：zh 开头为中文，否则为英文；配置的 language 优先。",
        "The language of messages: Chinese if it begins with zh, else English; language in the config wins.",
    )
    EXIT_0 = ("成功。", "Success.")
    EXIT_1 = ("未能完成，或检查没有通过。", "Something could not be done, or a check failed.")
    EXIT_2 = (
        "命令行有误。status --check 另有含义：1 警告，2 严重，3 无法判断。",
        "The command line is wrong. status --check has its own codes: 1 warning, 2 critical, 3 cannot tell.",
    )
    EXIT_70 = ("程序内部错误。", "An internal error.")
    EXIT_78 = ("配置有误。", "The config is invalid.")
