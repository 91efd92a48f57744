"""Reads the files of baseline versions that a person wants to have sent; the first look read none of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial

from dingwatch import files
from dingwatch.config.values import Config, Folder
from dingwatch.dingtalk import REFUSED_EXTENSIONS
from dingwatch.ledger import Store, pauses
from dingwatch.ledger.commands import BaselineToSend
from dingwatch.ledger.report import UNMAPPED, Scope
from dingwatch.model import Cause, Failure, Version
from dingwatch.payload import carries_content, choose_payload
from dingwatch.service.folders import payload_policy
from dingwatch.service.in_force import InForce
from dingwatch.watch import is_steady


@dataclass(slots=True)
class Baseline:
    """Baseline versions that can be sent now, and those that cannot, each with the cause."""

    chosen: list[BaselineToSend] = field(default_factory=list)
    left_out: list[tuple[Version, Cause]] = field(default_factory=list)


def read_baseline(
    store: Store, config: Config, in_force: InForce, scope: Scope, old: Sequence[Version]
) -> Baseline:
    """Read the digests of baseline versions; the first look took none, it would have read the whole share."""
    baseline = Baseline()
    # To whomever the running service sends: others would wait for a service that reads the edited config.
    recipients = {one.name: one.recipients for one in in_force.folders}
    for folder, versions in _by_folder(config, scope, old):
        if folder is None:
            baseline.left_out += [(version, UNMAPPED) for version in versions]
        else:
            theirs = recipients.get(folder.name, folder.recipients)
            _read_folder(store, config, folder, theirs, versions, baseline)
    return baseline


def _by_folder(
    config: Config, scope: Scope, old: Sequence[Version]
) -> Iterator[tuple[Folder | None, list[Version]]]:
    folders = {scope.ids[folder.name]: folder for folder in config.folders if folder.name in scope.ids}
    for number in sorted({version.folder or 0 for version in old}):
        yield folders.get(number), [version for version in old if version.folder == number]


def _read_folder(
    store: Store,
    config: Config,
    folder: Folder,
    recipients: tuple[str, ...],
    versions: Sequence[Version],
    baseline: Baseline,
) -> None:
    policy = payload_policy(config, folder, versions[0].folder)
    with store.reading() as connection:
        refused = pauses.list_refused_extensions(connection, policy.app) | REFUSED_EXTENSIONS
    try:
        root = files.open_root(folder.root, steady=partial(is_steady, folder.root))
    except Failure as failure:
        baseline.left_out += [(version, failure.verdict.cause) for version in versions]
        return
    with closing(root):
        for version in versions:
            size = version.fingerprint.size
            unread = choose_payload(version.name, size, "", policy, refused)
            try:
                digest = _digest(root, version, reads=carries_content(unread, size, policy.media_limit))
            except Failure as failure:
                baseline.left_out.append((version, failure.verdict.cause))
                continue
            payload = choose_payload(version.name, size, digest or "", policy, refused)
            baseline.chosen.append(BaselineToSend(version, digest, payload, recipients))


def _digest(root: files.Root, version: Version, *, reads: bool) -> str | None:
    fingerprint = files.observe(root, version.path)
    # `retry --folder NAME --baseline` sends what people saw in the list, not what was written since: that
    # is a new version, which the service sends by itself.
    if not fingerprint.known_as(version.fingerprint.size, version.fingerprint.mtime_ns):
        raise files.changed()
    return files.digest(root, version.path, fingerprint) if reads else None
