"""The few values of the config file that lead to the running service, read without checking the rest.

A check needs pydantic, whose import alone takes longer than to ask the service for its status. It is not
needed when the service has read this very file, which was good then, and is in force.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dingwatch.config.document import digest_of, parse, read
from dingwatch.config.findings import UnusableError
from dingwatch.config.paths import expand, state_dir_as_written
from dingwatch.config.values import Glance
from dingwatch.texts import choose_language, locale_name


def take_glance(path: Path, environ: Mapping[str, str]) -> Glance | None:
    """Return what the file says; None where only a check can tell what is wrong with it."""
    try:
        raw, exposure = read(path)
        tree = parse(raw).tree
    except UnusableError:
        return None
    written, language = tree.get("state_dir"), tree.get("language", "auto")
    if exposure is not None or not isinstance(written, str | None) or not isinstance(language, str):
        return None
    state_dir = expand(("state_dir",), state_dir_as_written(written, environ), environ, [])
    if state_dir is None:
        return None
    return Glance(state_dir, choose_language(language, locale_name(environ)), digest_of(raw))
