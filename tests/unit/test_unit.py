"""Where a systemd unit lets a service write."""

from __future__ import annotations

from pathlib import Path

import pytest

from dingwatch.host.unit import parse_units, quote_path

SHOWN = """\
ExecStart={ path=/usr/bin/dingwatch ; argv[]=dingwatch run --config /etc/dingwatch/config.yaml ; pid=0 }
ProtectHome=read-only
ProtectSystem=strict
ReadWritePaths=-/srv/share/财务 "-/srv/two words"
ReadOnlyPaths=/srv/share/财务/归档
Id=dingwatch.service
LoadState=loaded

Id=dingwatch@config.service
LoadState=not-found
ProtectSystem=no
"""
"""What `systemctl show` of systemd 252 prints."""


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/srv/share/财务", True),
        ("/srv/share/财务/发票", True),
        ("/srv/share/财务/归档/2026", False),
        ("/srv/share/财务部", False),
        ("/srv/two words/x", True),
        ("/home/share", False),
        ("/mnt", False),
    ],
)
def test_the_longest_path_decides(path: str, *, allowed: bool) -> None:
    """A directory is read-only unless it, or one above it that is nearer than what forbids it, is not."""
    (unit,) = parse_units(SHOWN)
    assert unit.may_write(path) is allowed


@pytest.mark.parametrize(
    ("system", "home", "refused"),
    [
        ("no", "no", []),
        ("yes", "no", ["/usr/share/x"]),
        ("full", "read-only", ["/usr/share/x", "/etc/x", "/home/x"]),
        ("strict", "no", ["/usr/share/x", "/etc/x", "/home/x", "/srv/x"]),
    ],
)
def test_other_units_protect_less(system: str, home: str, refused: list[str]) -> None:
    """Somebody may have written a unit of his own."""
    shown = f"Id=mine.service\nLoadState=loaded\nProtectSystem={system}\nProtectHome={home}\n"
    (unit,) = parse_units(shown)
    paths = ["/usr/share/x", "/etc/x", "/home/x", "/srv/x"]
    assert [path for path in paths if not unit.may_write(path)] == refused


def test_a_unit_is_known_by_its_config(tmp_path: Path) -> None:
    """By the path in its command, also where that is a link."""
    (unit,) = parse_units(SHOWN)
    assert unit.runs_with(Path("/etc/dingwatch/config.yaml"))
    assert not unit.runs_with(Path("/etc/dingwatch/other.yaml"))
    link = tmp_path / "link.yaml"
    link.symlink_to("/etc/dingwatch/config.yaml")
    assert unit.runs_with(link)


@pytest.mark.parametrize(
    ("path", "written"),
    [
        ("/srv/财务", "-/srv/财务"),
        ("/srv/two words", '"-/srv/two words"'),
        ("/srv/100%", "-/srv/100%%"),
        ('/srv/a"b\\c', '"-/srv/a\\"b\\\\c"'),
    ],
)
def test_paths_are_written_as_a_unit_file_has_them(path: str, written: str) -> None:
    """Blanks need quotes, and % begins a specifier."""
    assert quote_path(path) == written
