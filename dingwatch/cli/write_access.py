"""Whether the systemd unit lets the service write to the folders that it is to write to."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from dingwatch import names
from dingwatch.cli.context import Session
from dingwatch.config.values import Config
from dingwatch.host.lock import LOCK_FILE, lock_holder
from dingwatch.host.unit import Unit, likely_units, quote_path, show_units, unit_of_process
from dingwatch.texts import Checks


def list_written(config: Config) -> list[str]:
    """Return the paths that dingwatch is to write to; of a folder with a `*`, what may hold more of them."""
    plain = [names.readable(one.root) for one in config.folders if one.is_written_to and one.star is None]
    parents = [names.readable(one.root) for one in config.stars if one.template.is_written_to]
    return list(dict.fromkeys([*plain, *parents]))


def show_likely_units(session: Session) -> list[Unit]:
    """Ask systemd for the units that may run with the config file.

    Called before the config is read: as root, the command then becomes the service's user, who may not be
    able to ask.
    """
    return show_units(likely_units(_file(session)))


def describe_read_only(session: Session, units: Sequence[Unit]) -> Iterator[str]:
    """Yield what has to be added to the unit so that the service may write where it is to."""
    written = list_written(session.config)
    unit = _find_unit(session, units) if written else None
    if unit is None:
        return
    if refused := [path for path in written if not unit.may_write(path)]:
        lines = "\n".join(f"      ReadWritePaths={quote_path(path)}" for path in refused)
        yield session.render(Checks.READ_ONLY, unit=unit.name, paths=", ".join(refused)) + (
            f"\n      [Service]\n{lines}"
        )


def _find_unit(session: Session, units: Sequence[Unit]) -> Unit | None:
    """Return the unit of the service that runs, or of the one that would; None if no unit starts it."""
    pid = lock_holder(session.config.state_dir / LOCK_FILE)
    name = None if pid is None else unit_of_process(pid)
    if name is not None:
        known = [one for one in units if one.name == name]
        return next(iter(known or show_units([name])), None)
    return None if pid is not None else next((one for one in units if one.runs_with(_file(session))), None)


def _file(session: Session) -> Path:
    return Path(os.path.abspath(session.file))
