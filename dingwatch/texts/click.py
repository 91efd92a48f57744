"""The messages of click, which reads the command line, with its own English as the key."""

from __future__ import annotations

from dingwatch.texts.language import Text


class Click(Text):
    """The messages of click that people can get to see."""

    USAGE = ("用法：", "Usage:")
    OPTIONS = ("选项", "Options")
    ARGUMENTS = ("参数", "Positional arguments")
    COMMANDS = ("命令", "Commands")
    OPTIONS_METAVAR = ("[选项]", "[OPTIONS]")
    COMMAND_METAVAR = ("命令 [参数]...", "COMMAND [ARGS]...")
    SHOW_HELP = ("显示帮助并退出。", "Show this message and exit.")
    SHOW_VERSION = ("显示版本并退出。", "Show the version and exit.")
    VERSION = ("%(prog)s 版本 %(version)s", "%(prog)s, version %(version)s")
    DEFAULT = ("默认：{default}", "default: {default}")
    VARIABLE = ("环境变量：{var}", "env var: {var}")
    REQUIRED = ("必填", "required")
    DYNAMIC = ("（运行时决定）", "(dynamic)")

    ERROR = ("错误：{message}", "Error: {message}")
    TRY = ("请执行 '{command} {option}' 查看帮助。", "Try '{command} {option}' for help.")
    ABORTED = ("已中断！", "Aborted!")
    INVALID_INPUT = ("错误：输入无效", "Error: invalid input")
    NO_OPTION = ("没有 {name!r} 这个选项。", "No such option {name!r}.")
    NO_COMMAND = ("没有 {name!r} 这个命令。", "No such command {name!r}.")
    DID_YOU_MEAN = ("是不是 {possibility}？", "Did you mean {possibility}?")
    DID_YOU_MEAN_ONE = ("（是不是其中之一：{possibilities}？）", "(Did you mean one of: {possibilities}?)")
    NO_COMMAND_GIVEN = ("缺少命令。", "Missing command.")
    EXTRA = ("多余的参数（{args}）", "Got unexpected extra argument ({args})")
    EXTRAS = ("多余的参数（{args}）", "Got unexpected extra arguments ({args})")
    MISSING_ARGUMENT = ("缺少参数", "Missing argument")
    MISSING_OPTION = ("缺少选项", "Missing option")
    MISSING_PARAMETER = ("缺少参数", "Missing parameter")
    MISSING_NAMED = ("缺少参数：{param_name}", "Missing parameter: {param_name}")
    MISSING_KIND = ("缺少 {param_type}", "Missing {param_type}")
    NO_VALUE = ("选项 {name!r} 不带值。", "Option {name!r} does not take a value.")
    VALUE_NEEDED = ("选项 {name!r} 后面要写一个值。", "Option {name!r} requires an argument.")
    VALUES_NEEDED = ("选项 {name!r} 后面要写 {nargs} 个值。", "Option {name!r} requires {nargs} arguments.")
    ARGUMENT_VALUES = ("参数 {name!r} 需要 {nargs} 个值。", "Argument {name!r} takes {nargs} values.")
    ONE_VALUE_GIVEN = ("需要 {nargs} 个值，只给了 1 个。", "Takes {nargs} values but 1 was given.")
    VALUES_GIVEN = ("需要 {nargs} 个值，给了 {len} 个。", "Takes {nargs} values but {len} were given.")
    INVALID = ("值无效：{message}", "Invalid value: {message}")
    INVALID_FOR = ("{param_hint} 的值无效：{message}", "Invalid value for {param_hint}: {message}")
    CHOOSE = ("可选值：\n\t{choices}", "Choose from:\n\t{choices}")
    NOT_CHOICE = ("{value!r} 不是 {choice}。", "{value!r} is not {choice}.")
    NOT_ONE_OF = ("{value!r} 不在可选值 {choices} 之中。", "{value!r} is not one of {choices}.")
    NOT_NUMBER = ("{value!r} 不是有效的{number_type}。", "{value!r} is not a valid {number_type}.")
    NOT_IN_RANGE = ("{value} 不在 {range} 的范围内。", "{value} is not in the range {range}.")
    NOT_BOOLEAN = (
        "{value!r} 不是有效的布尔值，可以写：{states}",
        "{value!r} is not a valid boolean. Recognized values: {states}",
    )
    NUMBER = ("整数", "integer")
    FILE = ("文件", "file")
    DIRECTORY = ("目录", "directory")
    PATH = ("路径", "path")
    IS_ABSENT = ("{name} {filename!r} 不存在。", "{name} {filename!r} does not exist.")
    IS_FILE = ("{name} {filename!r} 是文件。", "{name} {filename!r} is a file.")
    IS_DIRECTORY = ("{name} {filename!r} 是目录。", "{name} {filename!r} is a directory.")
    NOT_READABLE = ("{name} {filename!r} 不可读。", "{name} {filename!r} is not readable.")
    NOT_WRITABLE = ("{name} {filename!r} 不可写。", "{name} {filename!r} is not writable.")
    NOT_OPENED = ("无法打开文件 {filename!r}：{message}", "Could not open file {filename!r}: {message}")
    UNKNOWN_ERROR = ("未知错误", "unknown error")
    CONFIRM = ("是否继续？", "Do you want to continue?")
    REPEAT = ("请再输入一次", "Repeat for confirmation")
    NOT_THE_SAME = ("错误：两次输入不一致。", "Error: The two entered values do not match.")
