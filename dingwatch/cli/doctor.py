"""`dingwatch doctor`: one archive for whoever helps, without secrets and without the content of files."""

from __future__ import annotations

import io
import json
import os
import platform
import re
import resource
import shutil
import sqlite3
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from typing import Final

import click
from sqlalchemy import text

import dingwatch
from dingwatch import names
from dingwatch.cli.check import check
from dingwatch.cli.config import describe_settings
from dingwatch.cli.context import Session, command, option
from dingwatch.cli.discretion import Discretion, find_secrets
from dingwatch.cli.output import print_line, readable_path
from dingwatch.cli.status import read_status
from dingwatch.config.database import password_of
from dingwatch.config.values import ConfigError
from dingwatch.host.lock import LOCK_FILE, lock_holder
from dingwatch.host.owner import calling_user
from dingwatch.host.unit import ask_systemd
from dingwatch.ledger import LedgerError, Store
from dingwatch.ledger.sqlite import sqlite_address
from dingwatch.service.overview import status_json
from dingwatch.texts import Cli, Upkeep
from dingwatch.watch import holding, mounts

LOG_LINES: Final = 1000
JOURNAL_SECONDS: Final = 20.0
_MOST_PATHS: Final = 20_000
_LIMITS: Final = ("max_user_watches", "max_user_instances", "max_queued_events")


@command()
@option(Cli.OPT_ARCHIVE, "-o", "--output", "target", metavar="FILE.zip", type=click.Path(path_type=Path))
@option(Cli.OPT_NAMES, "--names", "with_names", is_flag=True)
def doctor(session: Session, *, target: Path | None, with_names: bool) -> int:
    """Write the archive."""
    stamp = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    path = (target or Path(f"dingwatch-doctor-{stamp}.zip")).absolute()
    if os.path.lexists(path):
        session.fail(Upkeep.EXISTS, path=readable_path(path))
    # Before the config is loaded: then root becomes the service's user, who may read no journal.
    log = _read_journal()
    written = _read_config_text(session)
    secrets = frozenset(find_secrets(written, os.environ))
    discretion = Discretion(secrets, (), with_names)
    members = {name: _attempt(make, session) for name, make in _MEMBERS.items()}
    discretion = Discretion(secrets | _known_secrets(session), _known_paths(session), with_names)
    content = {name: discretion.clean(text) for name, text in members.items()}
    content["log.txt"] = discretion.clean_log(log)
    content["README.txt"] = session.render(Upkeep.ARCHIVE_README)
    try:
        _write(path, content)
    except FileExistsError:
        session.fail(Upkeep.EXISTS, path=readable_path(path))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        session.fail(Upkeep.NOT_WRITTEN, path=readable_path(path), reason=reason, user=calling_user())
    print_line(session.render(Upkeep.ARCHIVE, path=readable_path(path)))
    return 0


def _write(path: Path, content: Mapping[str, str]) -> None:
    """Write the archive as a whole, for its owner alone, or leave nothing."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in sorted(content.items()):
            archive.writestr(name, text.encode("utf-8", "backslashreplace"))
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(packed.getvalue())
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _attempt(make: Callable[[Session], str], session: Session) -> str:
    """Return a member; what keeps it from being made stands in its place, for that may be the trouble."""
    said = io.StringIO()
    try:
        with redirect_stderr(said), redirect_stdout(said):
            return make(session)
    except SystemExit as ended:
        return f"{said.getvalue()}\nexit code {ended.code}\n"
    except Exception as error:  # noqa: BLE001 (an archive without one member helps more than none)
        return f"{said.getvalue()}\n{type(error).__name__}: {error}\n"


# --- What is known of the machine ----------------------------------------------------------------


def _read_journal() -> str:
    """Return the last lines of the service's log in the journal, or why there are none."""
    program = shutil.which("journalctl")
    if program is None:
        return "no journalctl here: the log is wherever the service's stderr goes\n"
    words = [program, "--no-pager", "-q", "-o", "short-iso", "-n", str(LOG_LINES), "-u", "dingwatch*"]
    try:
        done = ask_systemd(words, JOURNAL_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"the journal cannot be read: {type(error).__name__}\n"
    text = done.stdout.decode("utf-8", "backslashreplace")
    reason = done.stderr.decode("utf-8", "backslashreplace")
    return text or f"the journal has no lines of dingwatch's units that this user may read\n{reason}"


def _versions(_: Session) -> str:
    lines = [
        f"dingwatch {dingwatch.__version__}",
        f"python {sys.version}",
        f"sqlite {sqlite3.sqlite_version}",
        f"kernel {platform.release()} {platform.machine()}",
        f"time {datetime.now(UTC).isoformat(timespec='seconds')} {time.tzname}",
        f"locale {os.environ.get('LC_ALL') or os.environ.get('LANG') or ''}",
        *_libraries(),
        "",
        *(_read_file("/etc/os-release").splitlines()),
    ]
    return "\n".join(lines) + "\n"


def _libraries() -> Iterator[str]:
    try:
        required = distribution("dingwatch").requires or []
    except PackageNotFoundError:
        return
    for name in sorted({found[0] for one in required if (found := re.match(r"[\w.-]+", one))}):
        try:
            yield f"{name} {version(name)}"
        except PackageNotFoundError:
            yield f"{name} –"


def _limits(session: Session) -> str:
    lines = [f"inotify {name} {_read_file(f'/proc/sys/fs/inotify/{name}').strip()}" for name in _LIMITS]
    lines += [
        line for line in _read_file("/proc/meminfo").splitlines() if line.startswith(("MemTotal", "MemAvail"))
    ]
    lines.append(f"open files (this command) {resource.getrlimit(resource.RLIMIT_NOFILE)}")
    pid = lock_holder(session.state_dir / LOCK_FILE)
    if pid is not None:
        lines += [
            "",
            f"service, process {pid}:",
            _read_file(f"/proc/{pid}/limits"),
            _read_file(f"/proc/{pid}/status"),
        ]
    return "\n".join(lines) + "\n"


def _mounts(session: Session) -> str:
    table = mounts()
    places = {"state_dir": os.fsencode(session.state_dir)} | {one.name: one.root for one in session.folders}
    lines = []
    for name, place in places.items():
        mount = holding(place, table)
        lines.append(f"{name}: {names.readable(place)} on {names.readable(mount.point)}, {mount.kind}")
    usage = shutil.disk_usage(session.state_dir)
    lines.append(f"state_dir: {usage.free} of {usage.total} bytes are free")
    return "\n".join(lines) + "\n"


def _read_file(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        return f"{path}: {error.strerror}"


# --- What is known of dingwatch ------------------------------------------------------------------


def _check(session: Session) -> str:
    """Return what `check --offline` prints: online, it would cost a call for each conversation."""
    said = io.StringIO()
    own = Session(_file(session), session.language, secret_needed=False)
    with redirect_stdout(said), redirect_stderr(said):
        code = check.callback.__wrapped__(own, offline=True)  # type: ignore[union-attr]
    return f"{said.getvalue()}exit code {code}\n"


def _config(session: Session) -> str:
    """Return what `config show` prints, or what is wrong with the file."""
    try:
        session.load_config()
    except ConfigError as error:
        return "\n".join(session.describe_problems(error)) + "\n"
    return "\n".join(describe_settings(session)) + "\n"


def _status(session: Session) -> str:
    return json.dumps(status_json(session, read_status(session)), ensure_ascii=False, indent=1) + "\n"


_COUNTS: Final = {
    "schema": "SELECT name, value FROM numbers",
    "versions": "SELECT count(*) FROM versions",
    "deliveries": "SELECT count(*) FROM deliveries",
    "history": "SELECT count(*) FROM history",
    "folders": "SELECT id, looked_at, scanned_at, left_at FROM folders",
    "states": "SELECT folder_id, state, code, count(*) FROM deliveries GROUP BY folder_id, state, code",
    "calls": "SELECT day, api, count FROM calls ORDER BY day DESC, api LIMIT 500",
    "pauses": "SELECT scope, code, until, since, failures FROM pauses",
    "pages": "SELECT page_count, page_size FROM pragma_page_count, pragma_page_size",
}


_ON_SERVER: Final = {name: query for name, query in _COUNTS.items() if name != "pages"} | {
    "server": "SELECT version(), pg_database_size(current_database())",
    "settings": "SELECT name, setting FROM pg_settings WHERE name LIKE '%timeout' OR name LIKE 'synchronous%'"
    " OR name IN ('max_connections', 'ssl', 'server_encoding', 'TimeZone', 'wal_level')",
    "nodes": "SELECT name, started_at, lease_until, draining FROM nodes ORDER BY name",
}


def _ledger_on_server(session: Session) -> str:
    if not Store.exists(session.ledger_address):
        return "there is no ledger yet\n"
    with closing(Store.open(session.ledger_address)) as store, store.reading() as connection:
        found = {
            name: list(map(tuple, connection.execute(text(query)))) for name, query in _ON_SERVER.items()
        }
    return "".join(f"{name}: {value}\n" for name, value in found.items())


def _ledger(session: Session) -> str:
    if not session.ledger_in_file:
        return _ledger_on_server(session)
    path = session.ledger_path
    if not path.exists():
        return "there is no ledger yet\n"
    sizes = {one.name: one.stat().st_size for one in sorted(path.parent.glob(f"{path.name}*"))}
    with closing(sqlite3.connect(sqlite_address(path, "ro"), uri=True, timeout=5.0)) as connection:
        found = {name: connection.execute(query).fetchall() for name, query in _COUNTS.items()}
    return "".join(f"{name}: {value}\n" for name, value in {"bytes": sizes, **found}.items())


_MEMBERS: Final[Mapping[str, Callable[[Session], str]]] = {
    "check.txt": _check,
    "config.txt": _config,
    "ledger.txt": _ledger,
    "limits.txt": _limits,
    "mounts.txt": _mounts,
    "status.json": _status,
    "versions.txt": _versions,
}


# --- What is not to be handed out ----------------------------------------------------------------


def _file(session: Session) -> Path | None:
    try:
        return session.file
    except ConfigError:
        return None


def _read_config_text(session: Session) -> str:
    try:
        return session.file.read_text(encoding="utf-8", errors="replace")
    except (ConfigError, OSError):
        return ""


def _known_secrets(session: Session) -> set[str]:
    try:
        config = session.load_config()
    except ConfigError:
        return set()
    robots = [one.webhook for one in config.folders if one.webhook is not None]
    found = [config.dingtalk.client_secret, *(one.address for one in robots), *(one.secret for one in robots)]
    found += [config.http.token] if config.http is not None else []
    found += [password_of(session.ledger_address)] if config.ledger is not None else []
    return {one for one in found if one}


_NEWEST: Final = "SELECT directory, name FROM versions ORDER BY id DESC LIMIT {most}"


def _known_on_server(session: Session) -> set[str]:
    if not Store.exists(session.ledger_address):
        return set()
    with closing(Store.open(session.ledger_address)) as store, store.reading() as connection:
        rows = connection.execute(text(_NEWEST.format(most=_MOST_PATHS)))
        found = {names.readable(word) for row in rows for word in row}
        return found | {str(name) for (name,) in connection.execute(text("SELECT name FROM folders"))}


def _known_paths(session: Session) -> tuple[str, ...]:
    """Return names and paths of folders, and of the files that the ledger met last, the longest first."""
    found: set[str] = set()
    try:
        for one in session.folders:
            found |= {one.name, one.path, names.readable(one.root)}
        if not session.ledger_in_file:
            found |= _known_on_server(session)
        elif session.ledger_path.exists():
            with closing(
                sqlite3.connect(sqlite_address(session.ledger_path, "ro"), uri=True, timeout=5.0)
            ) as connection:
                for directory, name in connection.execute(_NEWEST.format(most=_MOST_PATHS)):
                    found |= {names.readable(directory), names.readable(name)}
                found |= {name for (name,) in connection.execute("SELECT name FROM folders")}
    except (SystemExit, sqlite3.Error, LedgerError):
        pass  # what cannot be read is not in the archive, either
    return tuple(sorted((one for one in found if len(one) > 1), key=len, reverse=True))
