"""The config that `init` writes: every key with its comment, the answers filled in, the rest as defaults."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from pydantic_core import PydanticCustomError

from dingwatch.config.aliases import check_alias
from dingwatch.config.assembly import load
from dingwatch.config.defaults import default_of
from dingwatch.config.schema import SECTIONS
from dingwatch.config.values import ConfigError, Problem
from dingwatch.texts import Keys, Language, Setup

_OWNER_ONLY: Final = 0o600


@dataclass(frozen=True, slots=True)
class Choices:
    """The answers of the person; `secret_file` None where a systemd unit hands the secret over.

    `state_dir` is None for the usual one.
    """

    language: Language
    client_id: str
    secret_file: Path | None
    api_url: str | None
    oapi_url: str | None
    folder: str
    conversation_id: str
    conversation_name: str | None = None
    schema: str = "config.schema.json"
    """The file beside the config with the schema, by which editors check and complete it."""
    state_dir: str | None = None

    def by_section(self) -> Mapping[str, Mapping[str, object]]:
        """Return the keys that are filled in, by section."""
        dingtalk = {
            "client_id": self.client_id,
            "client_secret_file": None if self.secret_file is None else str(self.secret_file),
            "api_url": self.api_url,
            "oapi_url": self.oapi_url,
        }
        named = {} if self.conversation_name is None else {self.conversation_name: self.conversation_id}
        return {
            "": {
                "language": str(self.language),
                **({"state_dir": self.state_dir} if self.state_dir else {}),
                **({"aliases": named} if named else {}),
            },
            "dingtalk": {key: value for key, value in dingtalk.items() if value is not None},
            "folders[]": {"path": self.folder, "conversation_id": self.conversation_id},
        }


def alias_of_title(title: str) -> str | None:
    """Return a group's name as an alias of it; None where it could be taken for an ID, or is empty."""
    name = " ".join("".join(c if c.isprintable() else " " for c in title).split())
    try:
        return check_alias(name)
    except PydanticCustomError:
        return None


# --- The text --------------------------------------------------------------------------------------


def config_text(choices: Choices) -> str:
    """Return the file's content."""
    lines = [
        f"# yaml-language-server: $schema={choices.schema}",
        f"# {Setup.HEADER.render(choices.language)}",
        "",
    ]
    chosen = choices.by_section()
    for key in SECTIONS[""].model_fields:
        section = "folders[]" if key == "folders" else key
        if section not in SECTIONS:
            lines += _entry("", key, chosen[""], choices.language)
        else:
            lines += _comment(key, choices.language)
            lines += _section(section, chosen.get(section, {}), choices.language)
        lines.append("")
    return "\n".join(lines)


def _section(section: str, chosen: Mapping[str, object], language: Language) -> Iterator[str]:
    """Yield a section's lines; all of it is commented out if no answer belongs to it."""
    off = "" if chosen else "#"
    yield f"{off}{section.removesuffix('[]')}:"
    mark, indent = ("  - ", "    ") if section.endswith("[]") else ("  ", "  ")
    for key in SECTIONS[section].model_fields:
        for line in _entry(section, key, chosen, language):
            if line.startswith("#"):
                yield f"{indent}{line}" if chosen or line.startswith("# ") else f"#{indent}{line[1:]}"
            else:
                yield mark + line
                mark = indent


def _entry(section: str, key: str, chosen: Mapping[str, object], language: Language) -> Iterator[str]:
    yield from _comment(f"{section.removesuffix('[]')}_{key}".lstrip("_"), language)
    if key in chosen:
        yield f"{key}: {json.dumps(chosen[key], ensure_ascii=False)}"
    else:
        yield f"#{key}: {default_of(SECTIONS[section], key)}"


def _comment(name: str, language: Language) -> Iterator[str]:
    text = Keys.__members__.get(name.upper())
    if text is not None:
        yield f"# {text.render(language)}"


# --- Its problems ----------------------------------------------------------------------------------


def find_problems(choices: Choices, environ: Mapping[str, str]) -> tuple[Problem, ...]:
    """Return the problems that `check` would find in a config of these choices."""
    with TemporaryDirectory(prefix="dingwatch-init-") as directory:
        draft = Path(directory) / "config.yaml"
        draft.write_bytes(config_text(choices).encode("utf-8", "surrogateescape"))
        # The draft names a secret file that is not written yet. A secret in the environment as well would be
        # reported as set twice, but `init` tells the person to unset that one.
        without = {name: value for name, value in environ.items() if name != "DINGWATCH_CLIENT_SECRET"}
        try:
            load(draft, environ=without, language=choices.language, secret_needed=False)
        except ConfigError as error:
            return error.problems
    return ()


# --- On the disk -----------------------------------------------------------------------------------


def write_all(contents: Mapping[Path, str], owners: Mapping[Path, tuple[int, int]]) -> None:
    """Write all files or none, each readable by its owner only from the moment it exists.

    Raises:
        OSError: one of them cannot be written; nothing is left then.
    """
    with ExitStack() as undo:
        # Everything is written before anything is renamed: a full disk leaves the old config as it was.
        staged: dict[Path, Path] = {}
        for path, content in contents.items():
            staged[path] = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
            undo.callback(_remove, staged[path])
            _write(staged[path], content, owners.get(path))
        for path, temporary in staged.items():
            if not os.path.lexists(path):
                undo.callback(_remove, path)
            temporary.replace(path)
        undo.pop_all()


def _write(path: Path, content: str, owner: tuple[int, int] | None) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _OWNER_ONLY)
    with open(descriptor, "w", encoding="utf-8") as file:
        if owner is not None:
            os.fchown(descriptor, *owner)
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def _remove(path: Path) -> None:
    with suppress(FileNotFoundError):
        path.unlink()
