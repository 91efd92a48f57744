"""The configuration: YAML in, frozen values out, or every problem at once.

`document` reads YAML into plain values and remembers lines; `schema` says with pydantic which keys there
are and what each may hold, `checks` and `units` how each is judged; `secret` finds the client secret;
`across` checks what only several keys together show; `loading` puts it all together.
"""

from dingwatch.config.loading import find, load
from dingwatch.config.values import (
    Config,
    ConfigError,
    Delivery,
    DingTalk,
    Folder,
    Pace,
    Problem,
    Webhook,
)

__all__ = [
    "Config",
    "ConfigError",
    "Delivery",
    "DingTalk",
    "Folder",
    "Pace",
    "Problem",
    "Webhook",
    "find",
    "load",
]
