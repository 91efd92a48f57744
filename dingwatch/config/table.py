"""Tables of recipients: CSV files that say to whom each directory's files go.

Office workers keep them in Excel, so what Excel makes of a table is read: quotes, a byte order mark, GBK,
empty cells at the end of a row. What it cannot mean is reported with its line.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dingwatch.config.aliases import ID, nearest_alias
from dingwatch.config.findings import Finding, KeyPath, UnusableError, shorten
from dingwatch.config.stars import normalize
from dingwatch.texts import Problems

Rows = Mapping[str, tuple[str, ...]]
"""Directories' names, composed as `normalize` does, and their recipients as `model.Recipient` words."""
_LARGEST: Final = 1 << 20
_FOREIGN_SEPARATORS: Final = "，;；\t"
_ROBOT: Final = "webhook:"


def read_table(path: Path, key_path: KeyPath, aliases: Mapping[str, str]) -> tuple[Rows, list[Finding]]:
    """Return the rows of a table, and what is wrong with it; findings name the table's own lines."""
    try:
        with path.open("rb") as file:
            text = _decode(file.read(_LARGEST + 1), path, key_path)
    except OSError as error:
        values = {"path": path, "reason": error.strerror}
        return {}, [Finding(key_path, Problems.TABLE_UNREADABLE, values)]
    except UnusableError as error:
        return {}, [error.finding]
    reader = _TableReader(path, key_path, aliases, {}, {}, [])
    for number, line in enumerate(text.splitlines(), 1):
        reader.read(number, line)
    return reader.rows, reader.findings


def _decode(raw: bytes, path: Path, key_path: KeyPath) -> str:
    if len(raw) > _LARGEST or raw[:2] in {b"\xff\xfe", b"\xfe\xff"} or b"\0" in raw:
        raise UnusableError(Finding(key_path, Problems.TABLE_STRANGE, {"path": path}))
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass
    try:  # Excel in Chinese saves a CSV file so, unless it is asked for UTF-8
        return raw.decode("gb18030")
    except UnicodeDecodeError:
        finding = Finding(key_path, Problems.TABLE_STRANGE, {"path": path})
    raise UnusableError(finding)


@dataclass(frozen=True, slots=True)
class _TableReader:
    path: Path
    key_path: KeyPath
    aliases: Mapping[str, str]
    rows: dict[str, tuple[str, ...]]
    lines: dict[str, int]
    """The line in which each directory stands."""
    findings: list[Finding]

    def read(self, number: int, line: str) -> None:
        """Read one line. A name holds no line break, so a quote that is left open is a mistake."""
        if not line.strip() or line.lstrip().startswith("#"):
            return
        try:
            (cells,) = csv.reader([line], skipinitialspace=True, strict=True)
        except (csv.Error, ValueError):
            self._report(number, Problems.TABLE_QUOTES)
            return
        name, *written = (cell.strip() for cell in cells)
        written = [cell for cell in written if cell]
        name = normalize(name)
        if any(separator in name for separator in _FOREIGN_SEPARATORS) and not written:
            self._report(number, Problems.TABLE_COMMA)
        elif name in {"", ".", ".."} or "/" in name or not name.isprintable():
            self._report(number, Problems.TABLE_NAME, name=shorten(name))
        elif name in self.lines:
            self._report(number, Problems.TABLE_TWICE, name=shorten(name), first=self.lines[name])
        elif not written:
            self._report(number, Problems.TABLE_NOBODY, name=shorten(name))
        else:
            self.lines[name] = number
            self.rows[name] = tuple(self._recipients(number, written))

    def _recipients(self, number: int, written: list[str]) -> Iterator[str]:
        seen = set()
        for one in written:
            recipient = self.aliases.get(one, one)
            if not ID.fullmatch(recipient) or recipient.startswith(_ROBOT):
                self._report_recipient(number, one)
            elif recipient in seen:
                self._report(number, Problems.TABLE_SAME, conversation=recipient)
            else:
                seen.add(recipient)
                yield recipient

    def _report_recipient(self, number: int, written: str) -> None:
        if self.aliases:
            nearest = shorten(nearest_alias(written, self.aliases))
            self._report(number, Problems.TABLE_UNKNOWN, written=_hide(written), nearest=nearest)
        else:
            self._report(number, Problems.TABLE_BAD, written=_hide(written))

    def _report(self, number: int, text: Problems, **values: object) -> None:
        self.findings.append(Finding(self.key_path, text, {"path": self.path, "row": number, **values}))


def _hide(written: str) -> str:
    """Return what was written, unless it is an address, in which a custom robot's token may stand."""
    return "http…" if written.startswith("http") else shorten(written)
