"""The values in force, and where each comes from: for `config show`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import yaml

from dingwatch import names
from dingwatch.config import database, secret
from dingwatch.config.defaults import NO_DEFAULT, default_of
from dingwatch.config.document import Document, inherit, parse, read
from dingwatch.config.findings import KeyPath, key_of, line_of
from dingwatch.config.schema import SECTIONS
from dingwatch.config.values import Config, Folder

_SECRETS: Final = frozenset({"client_secret", "webhook_secret", "heartbeat_url"})
_RECIPIENTS: Final = frozenset({"conversation_id", "user_ids", "chat_id"})


class Origin(StrEnum):
    """The origin of a value."""

    DEFAULT = "default"
    FILE = "file"
    DEFAULTS = "folder_defaults"
    MERGED = "merged"
    ENVIRONMENT = "environment"
    TABLE = "table"
    DIRECTORY = "directory"


@dataclass(frozen=True, slots=True)
class Setting:
    """A value as people write it, and where it comes from: a line of the file, or a name in `source`."""

    key: str
    value: object
    origin: Origin
    line: int | None = None
    source: str | None = None
    folder: str | None = None
    """The name of the folder that it belongs to."""


def list_settings(path: Path, config: Config, environ: Mapping[str, str]) -> Iterator[Setting]:
    """Yield every value in force of a config file that has been checked; secrets are masked."""
    document = inherit(parse(read(path)[0]))
    tree = document.tree
    for key in SECTIONS[""].model_fields:
        if key in {"folders", "folder_defaults"}:
            continue
        shape = SECTIONS.get(key)
        if shape is None:
            yield _setting(document, "", (key,), tree, config, environ)
            continue
        section = tree.get(key)
        for name in shape.model_fields:
            yield _setting(document, key, (key, name), section or {}, config, environ)
    plain = iter([folder for folder in config.folders if folder.star is None])
    stars = iter(config.stars)
    for index, written in enumerate(tree["folders"]):
        if "*" in str(written.get("path", "")).split("/"):
            star = next(stars)
            folders = [one for one in config.folders if one.star == star.pattern and _is_of(one, star.label)]
            for folder in folders:
                yield from _folder(document, index, written, folder, star.table)
        else:
            yield from _folder(document, index, written, next(plain), None)


def _is_of(folder: Folder, label: str | None) -> bool:
    return not label or folder.name.startswith(f"{label}/") or folder.name.startswith("/")


def _setting(
    document: Document,
    section: str,
    key_path: KeyPath,
    written: Mapping[str, Any],
    config: Config,
    environ: Mapping[str, str],
) -> Setting:
    name = str(key_path[-1])
    if written.get(name) is not None or (name in written and name not in {"state_dir", *_SECRETS}):
        return _written(document, key_path, written[name])
    key = key_of(key_path)
    if name == "client_secret":
        return _secret(key, environ, set_elsewhere=written.get("client_secret_file") is not None)
    if name == "state_dir":
        by_systemd = bool(environ.get("STATE_DIRECTORY"))
        origin = Origin.ENVIRONMENT if by_systemd else Origin.DEFAULT
        return Setting(key, str(config.state_dir), origin, source="STATE_DIRECTORY" if by_systemd else None)
    if name == "robot_code":
        return Setting(key, config.dingtalk.robot_code, Origin.DEFAULT, source="client_id")
    return Setting(key, _default(section, name), Origin.DEFAULT)


def _default(section: str, name: str) -> object:
    text = default_of(SECTIONS[section], name)
    return None if text == NO_DEFAULT else yaml.safe_load(text)


def _secret(key: str, environ: Mapping[str, str], *, set_elsewhere: bool) -> Setting:
    if not set_elsewhere and secret.credential(environ) is not None:
        return Setting(key, database.MASK, Origin.ENVIRONMENT, source="$CREDENTIALS_DIRECTORY/client_secret")
    if not set_elsewhere and environ.get(secret.ENVIRONMENT):
        return Setting(key, database.MASK, Origin.ENVIRONMENT, source=f"${secret.ENVIRONMENT}")
    return Setting(key, None, Origin.DEFAULT)


def _written(document: Document, key_path: KeyPath, value: object) -> Setting:
    origin = document.origin(key_path)
    kind = Origin.FILE if origin == key_path else Origin.MERGED
    if origin != key_path and key_path[0] == "folders":
        direct = document.inherited.get(key_path[:3])
        kind = Origin.DEFAULTS if direct and direct[0] == "folder_defaults" else Origin.MERGED
    return Setting(
        key_of(key_path),
        _mask(str(key_path[-1]), value),
        kind,
        line_of(origin, document.lines),
        source=key_of(origin) if origin != key_path else None,
    )


def _mask(name: str, value: object) -> object:
    """Return a value without the secrets in it."""
    if name in _SECRETS and value is not None:
        return database.MASK
    if isinstance(value, list):
        return [_mask(name, one) for one in value]
    if name in {"webhook", "to"} and isinstance(value, str):
        return re.sub(r"(access_token=)[^&#]*", rf"\1{database.MASK}", value)
    if name == "ledger" and isinstance(value, str):
        return database.hide_password(value)
    return value


def _folder(
    document: Document, index: int, written: Mapping[str, Any], folder: Folder, table: Path | None
) -> Iterator[Setting]:
    for name in SECTIONS["folders[]"].model_fields:
        key_path: KeyPath = ("folders", index, name)
        if name == "path" and folder.star is not None:
            found = replace(_written(document, key_path, written[name]), origin=Origin.DIRECTORY)
            found = replace(found, value=names.readable(folder.path))
        elif name in written and not (name == "name" and folder.star is not None):
            found = _written(document, key_path, written[name])
        elif name == "name":
            found = Setting(key_of(key_path), folder.name, Origin.DIRECTORY)
        else:
            found = Setting(key_of(key_path), _default("folders[]", name), Origin.DEFAULT)
        yield replace(found, folder=folder.name)
        if name == "recipients" and table is not None:
            source = {"origin": Origin.TABLE, "source": str(table), "folder": folder.name}
            yield Setting(f"folders[{index}].recipients[]", list(folder.recipients), **source)  # type: ignore[arg-type]
