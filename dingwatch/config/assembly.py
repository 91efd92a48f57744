"""Builds the Config from the file; collects all problems before it gives up."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from dingwatch.config import secret
from dingwatch.config.checks import (
    ADDRESS_KEYS,
    PartialFolder,
    find_around_state,
    find_clashes,
    find_foreign_webhooks,
    find_missing,
    is_loopback,
)
from dingwatch.config.document import Document, digest_of, inherit, parse, read
from dingwatch.config.findings import Finding, KeyPath, UnusableError, key_of, render_problems
from dingwatch.config.later import KEYS as LATER_KEYS
from dingwatch.config.later import find_needed, list_requested, split, validate_later
from dingwatch.config.links import real_paths
from dingwatch.config.paths import expand, expand_home, state_dir_as_written
from dingwatch.config.schema import KEYS, ConfigShape, DingTalkShape, FolderShape, validate_as
from dingwatch.config.values import Config, ConfigError, Delivery, DingTalk, Folder, Pace, Webhook, recipients
from dingwatch.texts import Language, choose_language, environment_language, locale_name


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
        raw, exposure = read(path)
        document = parse(raw)
    except UnusableError as error:
        found = render_problems([error.finding], {}, language or environment_language(environ), ())
    else:
        surroundings = LoadContext(path, exposure, environ, language, secret_needed)
        return replace(assemble(document, surroundings), digest=digest_of(raw))
    raise ConfigError(found)  # outside of the handler: its context could quote a secret


_ALL_KEYS: Final = {
    name: KEYS.get(name, frozenset()) | LATER_KEYS.get(name, frozenset()) for name in (*KEYS, *LATER_KEYS)
}
_SHORTEST_SCRUBBED: Final = 4
"""Characters. Replacing a shorter one, which is no real secret, would garble every sentence."""


@dataclass(frozen=True, slots=True)
class LoadContext:
    """The inputs besides the document: the file's path and exposure, the environment, and the caller."""

    path: Path
    exposure: str | None
    """The command that hides the file from other users; None if it need not be run."""
    environ: Mapping[str, str]
    language: Language | None
    secret_needed: bool


def assemble(document: Document, context: LoadContext) -> Config:
    """Return the configuration, or raise `ConfigError` with every problem."""
    document = inherit(document)
    parts = split(document.tree)
    shape, wrong = validate_as(ConfigShape, parts.known, document, _ALL_KEYS)
    later, wrong_later = validate_later(document, parts.later)
    language = context.language or choose_language(shape.language, locale_name(context.environ))
    # A key that stands there twice is reported as such; pydantic's complaint about its value adds nothing.
    reported = {finding.key_path for finding in document.findings}
    findings = [
        *document.findings,
        *(needed := list(find_needed(document.tree))),
        *(f for f in (*wrong, *wrong_later) if f.key_path not in reported | {one.key_path for one in needed}),
        *find_missing(document.tree),
    ]
    reported = {finding.key_path for finding in findings}
    findings += [f for f in find_foreign_webhooks(document.tree) if f.key_path not in reported]

    client_secret = _secret(document, shape.dingtalk, context, findings)
    state_dir, *locations = _resolve(_paths(shape, context.environ), context.environ, findings)
    wrong_keys = {finding.key_path for finding in findings}
    folders = [_partial_folder(i, folder, locations[i], wrong_keys) for i, folder in enumerate(shape.folders)]
    findings += find_clashes(folders, document.lines)
    findings += find_around_state(folders, state_dir.root) if state_dir else ()

    if findings or state_dir is None:
        hidden = _possible_secrets(document.tree, context.environ)
        # A value of `folder_defaults` that suits no folder is one problem, not one for each folder.
        located = [replace(finding, key_path=document.origin(finding.key_path)) for finding in findings]
        raise ConfigError(render_problems(located, document.lines, language, hidden), language)
    return Config(
        language=language,
        dingtalk=_dingtalk(shape.dingtalk, client_secret),
        state_dir=state_dir.path,
        ledger=shape.ledger,
        keep=shape.keep,
        delivery=Delivery(**dict(shape.delivery)),
        pace=Pace(**dict(shape.pace)),
        folders=tuple(_folder(f, real) for f, real in zip(shape.folders, locations, strict=True) if real),
        later=tuple(map(key_of, list_requested(later, document))),
    )


def _possible_secrets(tree: Mapping[str, Any], environ: Mapping[str, str]) -> Iterator[str]:
    """Yield values that may be secrets: a problem must not quote them, whatever key they stand under."""
    dingtalk = tree.get("dingtalk")
    written = dingtalk.get("client_secret") if isinstance(dingtalk, dict) else None
    folders = tree.get("folders")
    addresses = [
        folder.get(key)
        for folder in (folders if isinstance(folders, list) else ())
        if isinstance(folder, dict)
        for key in (*ADDRESS_KEYS, "webhook_secret")
    ]
    variable = environ.get(secret.ENVIRONMENT, "")
    for text in (written, variable, secret.clean(variable), *addresses):
        if isinstance(text, str) and len(text) >= _SHORTEST_SCRUBBED:
            yield text


# --- Paths -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _RealPath:
    """A path as written, and the real path that it leads to."""

    path: Path
    root: bytes


def _paths(shape: ConfigShape, environ: Mapping[str, str]) -> Iterator[tuple[KeyPath, str | None]]:
    """Yield the state directory and then each folder's path, as written; None for a missing one."""
    yield ("state_dir",), state_dir_as_written(shape.state_dir, environ)
    for index, folder in enumerate(shape.folders):
        yield ("folders", index, "path"), folder.path


def _resolve(
    paths: Iterable[tuple[KeyPath, str | None]], environ: Mapping[str, str], findings: list[Finding]
) -> list[_RealPath | None]:
    """Resolve each path; None for one that is missing, or wrong and added to the findings."""
    found = [
        None if written is None else expand(key_path, written, environ, findings)
        for key_path, written in paths
    ]
    roots = iter(real_paths(os.fsencode(path) for path in found if path is not None))
    return [None if path is None else _RealPath(path, next(roots)) for path in found]


# --- The secret --------------------------------------------------------------------------------


def _secret(document: Document, shape: DingTalkShape, context: LoadContext, findings: list[Finding]) -> str:
    """Return the secret; if there is none, return an empty text and add to the findings why.

    File modes do not matter if both addresses are on this machine: such a secret opens only a sandbox.
    """
    sources = _sources(document, shape, context.environ)
    guarded = not (is_loopback(shape.api_url) and is_loopback(shape.oapi_url))
    for key_path in _secret_keys(document, sources) if guarded else ():
        findings += secret.report_exposure(context.path, context.exposure, key_path)
    if context.secret_needed or len(sources.names) > 1:
        found, wrong = secret.read(sources, guarded=guarded)
        findings += wrong
        return found
    return ""


def _secret_keys(document: Document, sources: secret.Sources) -> Iterator[KeyPath]:
    """Yield the first key under which the file itself holds a secret; one report of its mode is enough."""
    folders = document.tree.get("folders")
    addresses: list[KeyPath] = [
        ("folders", index, key)
        for index, folder in enumerate(folders if isinstance(folders, list) else ())
        for key in ADDRESS_KEYS
        if isinstance(folder, dict) and folder.get(key) is not None
    ]
    yield from ([secret.KEY] if sources.written is not None else addresses)[:1]


def _sources(document: Document, shape: DingTalkShape, environ: Mapping[str, str]) -> secret.Sources:
    """Return the sources of the secret. `validate` has reported values that are wrong in themselves."""
    tree = document.tree.get("dingtalk")
    written = tree if isinstance(tree, dict) else {}
    file = expand_home(shape.client_secret_file or "", environ)
    return secret.Sources(
        written=None if written.get("client_secret") is None else shape.client_secret or "",
        file=None if written.get("client_secret_file") is None else file,
        environment=environ.get(secret.ENVIRONMENT) or None,
        credential=secret.credential(environ),
    )


# --- Values ------------------------------------------------------------------------------------


def _partial_folder(
    index: int, folder: FolderShape, real: _RealPath | None, wrong: Collection[KeyPath]
) -> PartialFolder:
    own = _own_name(real) if real and ("folders", index, "name") not in wrong else None
    name = folder.name or own
    return PartialFolder(index, real.root if real else None, name, frozenset(_recipients(folder)))


def _recipients(folder: FolderShape) -> tuple[str, ...]:
    return recipients(folder.conversation_id or (), folder.user_ids, folder.chat_id, _webhook(folder))


def _webhook(folder: FolderShape) -> Webhook | None:
    return Webhook(folder.webhook, folder.webhook_secret) if folder.webhook else None


def _own_name(real: _RealPath) -> str:
    """Return the directory's own name; `/srv/share/..` is named after the directory it leads to."""
    if real.path.name not in {"", ".."}:
        return real.path.name
    return os.fsdecode(real.root).rpartition("/")[2] or "/"


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
"""Keys of the schema that are no field of the same name and type in Folder."""


def _folder(shape: FolderShape, real: _RealPath) -> Folder:
    same = {key: value for key, value in shape if key not in _NOT_THE_SAME}
    return Folder(
        path=real.path,
        root=real.root,
        name=shape.name or _own_name(real),
        conversation_ids=shape.conversation_id or (),
        chat_ids=shape.chat_id,
        webhook=_webhook(shape),
        **same,
    )
