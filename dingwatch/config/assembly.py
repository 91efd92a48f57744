"""Builds the Config from the file; collects all problems before it gives up."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, NoReturn

from dingwatch.config import aliases, database, listen, secret, stars
from dingwatch.config.checks import (
    ADDRESS_KEYS,
    PartialFolder,
    find_around_state,
    find_clashes,
    find_foreign_webhooks,
    find_missing,
    is_loopback,
    list_alert_addresses,
)
from dingwatch.config.document import Document, digest_of, inherit, parse, read
from dingwatch.config.findings import Finding, KeyPath, UnusableError, render_problems
from dingwatch.config.links import real_paths
from dingwatch.config.paths import expand, expand_home, state_dir_as_written
from dingwatch.config.schema import (
    KEYS,
    AlertsShape,
    ConfigShape,
    DingTalkShape,
    FolderShape,
    HttpShape,
    validate_as,
)
from dingwatch.config.table import Rows, read_table
from dingwatch.config.values import (
    Alerts,
    Config,
    ConfigError,
    Delivery,
    DingTalk,
    Folder,
    Http,
    LogOptions,
    Pace,
    Star,
    Webhook,
    recipients,
)
from dingwatch.model import BundleRule, Recipient, RecipientKind
from dingwatch.texts import Language, Problems, choose_language, environment_language, locale_name


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
    document, unresolved = aliases.resolve(document)
    document = inherit(document)
    shape, wrong = validate_as(ConfigShape, document.tree, document, KEYS)
    language = context.language or choose_language(shape.language, locale_name(context.environ))
    # A key that stands there twice is reported as such; pydantic's complaint about its value adds nothing.
    reported = {finding.key_path for finding in document.findings}
    findings = [
        *document.findings,
        *unresolved,
        *(finding for finding in wrong if finding.key_path not in reported),
        *find_missing(document.tree),
    ]
    reported = {finding.key_path for finding in findings}
    findings += [f for f in find_foreign_webhooks(document.tree) if f.key_path not in reported]

    client_secret = _secret(document, shape.dingtalk, context, findings)
    ledger = _ledger(shape.ledger, context, findings)
    http = _http(shape.http, context, findings)
    state_dir, *locations = _resolve(_paths(shape, context.environ), context.environ, findings)
    wrong_keys = {finding.key_path for finding in findings}
    folders = [_partial_folder(i, folder, locations[i], wrong_keys) for i, folder in enumerate(shape.folders)]
    findings += find_clashes(folders, document.lines)
    findings += find_around_state(folders, state_dir.root) if state_dir else ()
    tables = _read_tables(shape.folders, document, context, findings)

    def refuse() -> NoReturn:
        hidden = _possible_secrets(document.tree, context.environ)
        # A value of `folder_defaults` that suits no folder is one problem, not one for each folder.
        located = [replace(finding, key_path=document.origin(finding.key_path)) for finding in findings]
        named = aliases.names_of(aliases.read_aliases(document.tree))
        raise ConfigError(render_problems(located, document.lines, language, hidden, named), language)

    if findings or state_dir is None:
        refuse()
    mapped = [(one, real) for one, real in zip(shape.folders, locations, strict=True) if real]
    whole = Config(
        language=language,
        dingtalk=_dingtalk(shape.dingtalk, client_secret),
        state_dir=state_dir.path,
        ledger=ledger,
        keep=shape.keep,
        delivery=Delivery(**dict(shape.delivery)),
        pace=Pace(**dict(shape.pace)),
        folders=tuple(_folder(one, real) for one, real in mapped if real.star is None),
        stars=tuple(_stars(mapped, tables)),
        log=LogOptions(**dict(shape.log)),
        http=http,
        alerts=_alerts(shape.alerts),
        aliases=shape.aliases,
        recipient_names=aliases.names_of(shape.aliases),
        node=shape.node,
    )
    if not whole.stars:
        return whole
    whole = stars.expand(whole)
    findings += _find_star_clashes(whole, mapped, document)
    return refuse() if findings else whole


def _possible_secrets(tree: Mapping[str, Any], environ: Mapping[str, str]) -> Iterator[str]:
    """Yield values that may be secrets: a problem must not quote them, whatever key they stand under."""
    dingtalk = tree.get("dingtalk")
    written = dingtalk.get("client_secret") if isinstance(dingtalk, dict) else None
    folders = tree.get("folders")
    addresses = [
        folder.get(key)
        for folder in (tree.get("folder_defaults"), *(folders if isinstance(folders, list) else ()))
        if isinstance(folder, dict)
        for key in (*ADDRESS_KEYS, "webhook_secret")
    ]
    addresses += [address for _, address in list_alert_addresses(tree)]
    alerts = tree.get("alerts")
    addresses.append(alerts.get("heartbeat_url") if isinstance(alerts, dict) else None)
    addresses.append(tree.get("ledger"))
    variables = [environ.get(name, "") for name in (secret.ENVIRONMENT, database.ENVIRONMENT)]
    for text in (written, *variables, *map(secret.clean, variables), *addresses):
        if isinstance(text, str) and len(text) >= _SHORTEST_SCRUBBED:
            yield text


# --- Paths -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _RealPath:
    """A path as written, and the real path that it leads to; for one with a `*`, that of its parent."""

    path: Path
    root: bytes
    star: tuple[Path, str] | None = None
    """The parent of the `*`, and what follows it."""


Mapped = tuple[FolderShape, _RealPath]
"""A folder of the file, and where it lies."""


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
    parts = [None if path is None else stars.split_path(path) for path in found]
    fixed = [path if star is None else star[0] for path, star in zip(found, parts, strict=True)]
    roots = iter(real_paths(os.fsencode(path) for path in fixed if path is not None))
    return [
        None if path is None else _RealPath(path, next(roots), star)
        for path, star in zip(found, parts, strict=True)
    ]


# --- Folders with a * --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Table:
    path: Path
    rows: Rows
    stamp: tuple[int, ...]


def _read_tables(
    folders: Sequence[FolderShape], document: Document, context: LoadContext, findings: list[Finding]
) -> list[_Table | None]:
    """Return each folder's table of recipients; add what is wrong with it to the findings."""
    wrong = {finding.key_path for finding in findings}
    known = aliases.read_aliases(document.tree)
    tables: dict[Path, _Table] = {}
    found: list[_Table | None] = []
    for index, folder in enumerate(folders):
        key_path: KeyPath = ("folders", index, "recipients")
        if folder.recipients is None or key_path in wrong:
            found.append(None)
            continue
        # A relative path is meant from the config file, wherever the program was started.
        path = Path(os.path.abspath(context.path)).parent / expand_home(folder.recipients, context.environ)
        if path not in tables:
            stamp = stars.stamp_of(path)  # before it is read: what is edited meanwhile is read once more
            rows, problems = read_table(path, key_path, known)
            tables[path] = _Table(path, rows, stamp)
            findings += problems
        found.append(tables[path])
    return found


def _stars(folders: Sequence[Mapped], tables: Sequence[_Table | None]) -> Iterator[Star]:
    position, unnamed = 0, False
    for (shape, real), table in zip(folders, tables, strict=True):
        if real.star is None:
            position += 1
            continue
        # Directories of two parents may have one name, whoever makes them: only one may go without more.
        label = shape.name or (None if unnamed else "")
        unnamed |= shape.name is None
        yield Star(
            pattern=real.path,
            parent=real.star[0],
            root=real.root,
            inner=real.star[1],
            template=replace(_folder(shape, real), star=real.path),
            label=label,
            position=position,
            table=None if table is None else table.path,
            rows=None if table is None else table.rows,
            stamp=() if table is None else table.stamp,
        )


def _find_star_clashes(config: Config, mapped: Sequence[Mapped], document: Document) -> Iterator[Finding]:
    """Yield what is found only with the directories that are there, and those that could be."""
    patterns = {real.path: index for index, (_, real) in reversed(list(enumerate(mapped))) if real.star}
    plain = [index for index, (_, real) in enumerate(mapped) if real.star is None]
    places = iter(plain)
    folders = [
        PartialFolder(
            next(places) if one.star is None else patterns[one.star],
            one.root,
            one.name,
            frozenset(one.recipients),
            one.after_send == "move",
            one.shared,
        )
        for one in config.folders
    ]
    yield from find_clashes(folders, document.lines)
    (state_dir,) = real_paths([os.fsencode(config.state_dir)])
    for star in config.stars:
        if stars.reaches(star, state_dir):
            values = {"state_dir": state_dir.decode("utf-8", "backslashreplace")}
            yield Finding(("folders", patterns[star.pattern], "path"), Problems.AROUND_STATE, values)


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
    addresses += [key_path for key_path, _ in list_alert_addresses(document.tree)]
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


# --- The ledger --------------------------------------------------------------------------------


def _ledger(url: str | None, context: LoadContext, findings: list[Finding]) -> str | None:
    """Return the address of a ledger on a server, with its password; add what is wrong to the findings."""
    if url is None:
        return None
    if database.has_password(url):
        findings += secret.report_exposure(context.path, context.exposure, database.KEY)
    sources = database.Sources.of(url, context.environ)
    found, wrong = database.resolve(sources, needed=context.secret_needed)
    findings += wrong
    return found


# --- The HTTP API ------------------------------------------------------------------------------


def _http(shape: HttpShape, context: LoadContext, findings: list[Finding]) -> Http | None:
    """Return where the API listens; None where it does not, or where that is wrong and in the findings."""
    wrong = {finding.key_path for finding in findings}
    address = shape.listen and listen.parse_listen(shape.listen, context.environ, findings)
    if not address:
        return None
    if shape.token_file is None:
        if listen.needs_token(address) and secret.TOKEN_KEY not in wrong:
            findings.append(Finding(secret.TOKEN_KEY, Problems.TOKEN_MISSING, {"listen": str(address)}))
        return Http(address, None, shape.hosts)
    token, path = "", expand(secret.TOKEN_KEY, shape.token_file, context.environ, findings)
    if context.secret_needed and path is not None:
        token, problems = secret.read_token(path)
        findings += problems
    return Http(address, token, shape.hosts)


# --- Values ------------------------------------------------------------------------------------


def _partial_folder(
    index: int, folder: FolderShape, real: _RealPath | None, wrong: Collection[KeyPath]
) -> PartialFolder:
    if real is not None and real.star is not None:  # what it stands for is known later
        return PartialFolder(index, None, None, frozenset())
    own = _own_name(real) if real and ("folders", index, "name") not in wrong else None
    name = folder.name or own
    moves = folder.after_send == "move"
    root, named = real.root if real else None, frozenset(_recipients(folder))
    return PartialFolder(index, root, name, named, moves, folder.shared)


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


def _alerts(shape: AlertsShape) -> Alerts:
    robots = {one: Webhook(one, None) for one in shape.to if "://" in one}
    words = {one: str(Recipient(RecipientKind.WEBHOOK, robot.id)) for one, robot in robots.items()}
    return Alerts(
        to=tuple(
            dict.fromkeys(words.get(one, one) for one in shape.to)
        ),  # an alias and its ID are one recipient
        robots=tuple(robots.values()),
        after=shape.after,
        heartbeat_url=shape.heartbeat_url,
        daily=shape.daily,
    )


_NOT_THE_SAME: Final = {
    "path",
    "name",
    "recipients",
    "conversation_id",
    "chat_id",
    "webhook",
    "webhook_secret",
    "bundle",
}
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
        bundle=None if shape.bundle is None else BundleRule(**dict(shape.bundle)),
        **same,
    )
