"""The configuration: YAML in, frozen values out, or every problem at once.

`document` reads YAML into plain values and remembers the line of each; `schema` lists the keys and what each
may hold; `checks` has the validators; `secret` finds the client secret; `assembly` runs all of it on a file.
"""

from dingwatch.config.assembly import find, load
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
