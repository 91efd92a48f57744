"""Writes config.example.yaml: the keys of the schema, with the comments of `texts.Keys` in both languages.

To write it again after a key or a comment has changed: `python -m tests.example > config.example.yaml`.
"""

from collections.abc import Iterator
from typing import Final

from dingwatch.config.defaults import default_of
from dingwatch.config.schema import SECTIONS
from dingwatch.texts import Keys, Language

HEADER: Final = """\
# dingwatch 配置示例。复制到 ~/.config/dingwatch/config.yaml 或 /etc/dingwatch/config.yaml 后修改。
# Example configuration. Copy it to one of these paths and edit it; only keys without "默认 default"
# are required. Check it with: dingwatch check --offline
#
# 时长 durations: 500ms 2s 5m 12h 3d
# 密钥只能设置一处 / set the secret in exactly one place: client_secret, client_secret_file,
# $DINGWATCH_CLIENT_SECRET, systemd 凭据 credential client_secret (systemd/dingwatch.service)
# 文件中写有 client_secret 时，必须只有自己可读 / if the file contains client_secret: chmod 600 config.yaml
"""
WIDTH: Final = 105
"""Characters up to which a comment stands on one line."""

SAMPLES: Final = {
    "dingtalk.client_id": "dingxxxxxxxxxxxxxxxx",
    "dingtalk.client_secret": '"********"',
    "dingtalk.robot_code": "dingxxxxxxxxxxxxxxxx",
    "folders.path": "/srv/share/财务",
    "folders.conversation_id": "cidXXXXXXXXXXXXXXXX==",
    "folders.name": "财务",
    "folders.exclude": '["/草稿/", "!*.download"]',
    "folders.notice_location": r"'\\nas\财务'",
}
"""Values that differ from the default, or that have none."""

ALTERNATIVES: Final = {
    "dingtalk.client_secret_file": "/etc/dingwatch/client_secret",
    "state_dir": "/var/lib/dingwatch",
    "http.listen": '"127.0.0.1:8777"',
    "http.token_file": "/etc/dingwatch/http_token",
    "alerts.to": "[user:manager01, cidXXXXXXXXXXXXXXXX==]",
    "alerts.heartbeat_url": "https://hc-ping.com/…",
    "alerts.daily": '"18:00"',
    "aliases": "{财务群: cidXXXXXXXXXXXXXXXX==, 值班: user:manager01}",
    "folder_defaults": "{settle: 5s, conversation_id: cidXXXXXXXXXXXXXXXX==}",
    "folders.recipients": "recipients.csv",
    "folders.user_ids": "[manager01, manager02]",
    "folders.chat_id": "chatXXXXXXXX",
    "folders.webhook": "https://oapi.dingtalk.com/robot/send?access_token=…",
    "folders.webhook_secret": "SEC…",
    "folders.notice_text": '"通知：{name}（{size}）"',
    "folders.before_send": '[clamdscan, --fdpass, --no-summary, "-"]',
    "folders.bundle": "{wait: 30s, from: 5}",
    "folders.message": '"{name} · {size} · 来自 {folder}"',
}
"""Values that stand in comments: most installations leave the key out."""

STATE_DIR: Final = "$STATE_DIRECTORY; root: /var/lib/dingwatch; ~/.local/state/dingwatch"
"""The default of `state_dir`, which the program finds when it starts."""

REQUIRED: Final = {"dingtalk.client_id", "dingtalk.client_secret", "folders.path", "folders.conversation_id"}


def example() -> str:
    """Return the text of config.example.yaml."""
    lines = [HEADER.rstrip("\n")]
    for name in SECTIONS[""].model_fields:
        section = "folders[]" if name == "folders" else name
        lines.append("")
        if section in SECTIONS:
            lines += [
                *(comments(name) if name.upper() in Keys.__members__ else ()),
                f"{name}:",
                *mapping(section),
            ]
        else:
            lines += entry("", name)
    return "\n".join([*lines, ""])


def mapping(section: str) -> Iterator[str]:
    """Yield the lines of one section; those of a list's item are indented deeper."""
    name = section.removesuffix("[]")
    indent = "    " if name != section else "  "
    for number, key in enumerate(SECTIONS[section].model_fields):
        for line in entry(name, key):
            starts = name != section and number == 0 and not line.startswith("#")
            yield f"  - {line}" if starts else f"{indent}{line}"


def entry(section: str, name: str) -> Iterator[str]:
    """Yield a key with its comments; a default that the comment names is not repeated."""
    key = f"{section}.{name}".lstrip(".")
    shape = SECTIONS["folders[]" if section == "folders" else section]
    default = STATE_DIR if key == "state_dir" else default_of(shape, name)
    lines = list(comments(key.replace(".", "_")))
    if key not in REQUIRED and "default: " not in lines[-1]:
        mark = f"（默认 default: {default}）"
        if len(lines[-1] + mark) <= WIDTH:
            lines[-1] += mark
        else:
            lines.append(f"# {mark}")
    yield from lines
    yield f"# {name}: {ALTERNATIVES[key]}" if key in ALTERNATIVES else f"{name}: {SAMPLES.get(key, default)}"


def comments(name: str) -> Iterator[str]:
    """Yield a key's comment in Chinese and in English, on one line if both are short."""
    text = Keys[name.upper()]
    chinese, english = text.render(Language.ZH), text.render(Language.EN)
    if len(f"# {chinese} / {english}") <= WIDTH:
        yield f"# {chinese} / {english}"
    else:
        yield f"# {chinese}"
        yield f"# {english}"


if __name__ == "__main__":
    print(example(), end="")  # noqa: T201 (it is redirected to the file)
