"""Finds and reads the file, and puts the values together; gathers every problem before it gives up."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from dingwatch.config import secret
from dingwatch.config.checks import ADDRESS_KEYS, Spot, around_state, clashes, is_loopback, missing
from dingwatch.config.document import LARGEST, Document, parse
from dingwatch.config.findings import Finding, Place, Unusable, problems
from dingwatch.config.links import real_paths
from dingwatch.config.schema import ConfigShape, DingTalkShape, FolderShape, validate
from dingwatch.config.values import Config, ConfigError, Delivery, DingTalk, Folder, Pace, Webhook, recipients
from dingwatch.texts import Language, Problems, choose_language, environment_language, locale_name


def find(explicit: Path | None, environ: Mapping[str, str]) -> Path:
    """Return which file to load; raise `ConfigError` with advice when there is none."""
    if explicit is not None:
        return explicit
    if environ.get("DINGWATCH_CONFIG"):
        return Path(environ["DINGWATCH_CONFIG"])
    places = [Path(expanded("~/.config/dingwatch/config.yaml", environ)), Path("/etc/dingwatch/config.yaml")]
    found = next((place for place in places if place.is_file()), None)
    if found is not None:
        return found
    finding = Finding((), Problems.NO_CONFIG, {"places": ", ".join(map(str, places))})
    raise ConfigError(problems([finding], {}, environment_language(environ), ()))


def load(
    path: Path,
    *,
    environ: Mapping[str, str],
    language: Language | None = None,
    secret_needed: bool = True,
) -> Config:
    """Return the configuration, or raise `ConfigError` with every problem in it.

    Args:
        path: the file.
        environ: the environment: home, locale, state directory and secret may come from it.
        language: of the problems and of the configuration, whatever it says itself.
        secret_needed: False for commands that only read the ledger and may run where the secret is not
            (a systemd credential is only there for the service): `client_secret` is empty then.
    """
    try:
        raw, mode = _read(path)
        document = parse(raw)
    except Unusable as error:
        found = problems([error.finding], {}, language or environment_language(environ), ())
    else:
        surroundings = Surroundings(path, mode, environ, language, secret_needed)
        return assembled(document, surroundings)
    raise ConfigError(found)  # out here, so that nothing hangs on it as its context


def _read(path: Path) -> tuple[bytes, int]:
    """Return the file's beginning (one byte more than it may have) and its mode."""
    try:
        with path.open("rb") as file:
            return file.read(LARGEST + 1), os.fstat(file.fileno()).st_mode
    except OSError as error:
        finding = Finding((), Problems.UNREADABLE, {"path": path, "reason": error.strerror})
    raise Unusable(finding)


_SHORTEST_SCRUBBED: Final = 4
"""Characters; a shorter secret is none, and to blot it out would garble every sentence."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The inputs besides the document: its file and that file's mode, the environment, the caller."""

    path: Path
    mode: int
    environ: Mapping[str, str]
    language: Language | None
    secret_needed: bool


def expanded(path: str, environ: Mapping[str, str]) -> str:
    """Return a path with its `~` replaced by the home directory of this environment."""
    home = environ.get("HOME")
    if home and (path == "~" or path.startswith("~/")):
        return home + path[1:]
    return os.path.expanduser(path)


def assembled(document: Document, around: Surroundings) -> Config:
    """Return the configuration, or raise `ConfigError` with every problem."""
    shape, wrong = validate(document)
    language = around.language or choose_language(shape.language, locale_name(around.environ))
    reported = {finding.place for finding in document.findings}
    findings = [*document.findings, *(f for f in wrong if f.place not in reported), *missing(document.tree)]

    client_secret = _secret(document, shape.dingtalk, around, findings)
    state_dir, *places = _located(_paths(shape, around.environ), around.environ, findings)
    wrong_places = {finding.place for finding in findings}
    spots = [_spot(i, folder, places[i], wrong_places) for i, folder in enumerate(shape.folders)]
    findings += clashes(spots, document.lines)
    findings += around_state(spots, state_dir.root) if state_dir else ()

    if findings or state_dir is None:
        hidden = _hidden(document.tree, around.environ)
        raise ConfigError(problems(findings, document.lines, language, hidden))
    return Config(
        language=language,
        dingtalk=_dingtalk(shape.dingtalk, client_secret),
        state_dir=state_dir.path,
        ledger=shape.ledger,
        keep=shape.keep,
        delivery=Delivery(**dict(shape.delivery)),
        pace=Pace(**dict(shape.pace)),
        folders=tuple(_folder(f, place) for f, place in zip(shape.folders, places, strict=True) if place),
    )


def _hidden(tree: Mapping[str, Any], environ: Mapping[str, str]) -> Iterator[str]:
    """Yield every value that may be a secret, also one that was pasted under the wrong key."""
    dingtalk = tree.get("dingtalk")
    written = dingtalk.get("client_secret") if isinstance(dingtalk, dict) else None
    folders = tree.get("folders")
    addresses = [
        folder.get(key)
        for folder in (folders if isinstance(folders, list) else ())
        if isinstance(folder, dict)
        for key in (*ADDRESS_KEYS, "webhook_secret")
    ]
    for text in (written, environ.get(secret.ENVIRONMENT), *addresses):
        if isinstance(text, str) and len(text) >= _SHORTEST_SCRUBBED:
            yield text


# --- Paths -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Location:
    """A path as written, and where it really is."""

    path: Path
    root: bytes


def _paths(shape: ConfigShape, environ: Mapping[str, str]) -> Iterator[tuple[Place, str | None]]:
    """Yield the state directory and then each folder's path, as written; None where none is."""
    # systemd separates several state directories by colons; the first one is the unit's own.
    given = shape.state_dir or environ.get("STATE_DIRECTORY", "").partition(":")[0]
    fallback = "/var/lib/dingwatch" if os.geteuid() == 0 else "~/.local/state/dingwatch"
    yield ("state_dir",), given or fallback
    for index, folder in enumerate(shape.folders):
        yield ("folders", index, "path"), folder.path


def _located(
    paths: Iterable[tuple[Place, str | None]], environ: Mapping[str, str], findings: list[Finding]
) -> list[_Location | None]:
    """Find where each path really is; None for one that is missing or wrong, which the findings tell."""
    found = [
        None if written is None else _absolute(place, written, environ, findings) for place, written in paths
    ]
    roots = iter(real_paths(os.fsencode(path) for path in found if path is not None))
    return [None if path is None else _Location(path, next(roots)) for path in found]


def _absolute(place: Place, written: str, environ: Mapping[str, str], findings: list[Finding]) -> Path | None:
    path = Path(expanded(written, environ))
    if not path.is_absolute():  # `~nobody`, or a home directory that is no absolute path
        findings.append(Finding(place, Problems.RELATIVE))
        return None
    try:
        unusable = b"\0" in os.fsencode(path)
    except UnicodeEncodeError:  # characters that the locale's encoding does not have
        unusable = True
    if unusable:
        findings.append(Finding(place, Problems.CONTROL))
        return None
    return path


# --- The secret --------------------------------------------------------------------------------


def _secret(document: Document, shape: DingTalkShape, around: Surroundings, findings: list[Finding]) -> str:
    """Return the secret; where there is none, it is empty and the findings say why.

    Modes do not matter where both addresses are this machine's own: that secret opens a sandbox only.
    """
    sources = _sources(document, shape, around.environ)
    guarded = not (is_loopback(shape.api_url) and is_loopback(shape.oapi_url))
    for place in _secrets(document, sources) if guarded else ():
        findings += secret.open_to_others(around.path, around.mode, place)
    if around.secret_needed or len(sources.names) > 1:
        found, wrong = secret.read(sources, guarded=guarded)
        findings += wrong
        return found
    return ""


def _secrets(document: Document, sources: secret.Sources) -> Iterator[Place]:
    """Yield where the file itself holds a secret; the first place speaks for all."""
    folders = document.tree.get("folders")
    addresses: list[Place] = [
        ("folders", index, key)
        for index, folder in enumerate(folders if isinstance(folders, list) else ())
        for key in ADDRESS_KEYS
        if isinstance(folder, dict) and folder.get(key) is not None
    ]
    yield from ([secret.PLACE] if sources.written is not None else addresses)[:1]


def _sources(document: Document, shape: DingTalkShape, environ: Mapping[str, str]) -> secret.Sources:
    """Find where the secret is set; that it is set wrongly there has been found already."""
    tree = document.tree.get("dingtalk")
    written = tree if isinstance(tree, dict) else {}
    file = expanded(shape.client_secret_file or "", environ)
    return secret.Sources(
        written=None if written.get("client_secret") is None else shape.client_secret or "",
        file=None if written.get("client_secret_file") is None else file,
        environment=environ.get(secret.ENVIRONMENT) or None,
        credential=secret.credential(environ),
    )


# --- Values ------------------------------------------------------------------------------------


def _spot(index: int, folder: FolderShape, place: _Location | None, wrong: Collection[Place]) -> Spot:
    own = _own_name(place) if place and ("folders", index, "name") not in wrong else None
    name = folder.name or own
    return Spot(index, place.root if place else None, name, frozenset(_recipients(folder)))


def _recipients(folder: FolderShape) -> tuple[str, ...]:
    return recipients(folder.conversation_id or (), folder.user_ids, folder.chat_id, _webhook(folder))


def _webhook(folder: FolderShape) -> Webhook | None:
    return Webhook(folder.webhook, folder.webhook_secret) if folder.webhook else None


def _own_name(place: _Location) -> str:
    """Return the folder's own name; of `/srv/share/..` that is the name of what it leads to."""
    if place.path.name not in {"", ".."}:
        return place.path.name
    return os.fsdecode(place.root).rpartition("/")[2] or "/"


def _dingtalk(shape: DingTalkShape, client_secret: str) -> DingTalk:
    client_id = shape.client_id or ""
    return DingTalk(
        client_id=client_id,
        client_secret=client_secret,
        robot_code=shape.robot_code or client_id,
        operator_union_id=shape.operator_union_id,
        api_url=shape.api_url,
        oapi_url=shape.oapi_url,
        monthly_calls=shape.monthly_calls,
    )


_NOT_THE_SAME: Final = {"path", "name", "conversation_id", "chat_id", "webhook", "webhook_secret"}
"""Keys whose value is not the folder's own field of that name."""


def _folder(shape: FolderShape, place: _Location) -> Folder:
    same = {key: value for key, value in shape if key not in _NOT_THE_SAME}
    return Folder(
        path=place.path,
        root=place.root,
        name=shape.name or _own_name(place),
        conversation_ids=shape.conversation_id or (),
        chat_ids=shape.chat_id,
        webhook=_webhook(shape),
        **same,
    )
