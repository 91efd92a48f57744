"""Reads multipart/form-data the way DingTalk is known to: raw bytes in the headers, and no RFC 2231.

A library parser would be kinder than the original: it understands `filename*=utf-8''…`, with which real
uploads fail, so an upload that works here would fail there.
"""

from dataclasses import dataclass
from email.message import Message


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the form.

    Attributes:
        name: of the form field.
        filename: as written in `filename="…"`, decoded as UTF-8 and otherwise verbatim (percent escapes
            are kept); None when it is absent or only given as `filename*`.
        content: the bytes.
    """

    name: str
    filename: str | None
    content: memoryview


def boundary_of(content_type: str) -> bytes | None:
    """The boundary, or None when this is no multipart form (43008)."""
    header = Message()
    header["content-type"] = content_type
    if header.get_content_type() != "multipart/form-data":
        return None
    boundary = header.get_boundary()
    return boundary.encode("latin-1", "replace") if boundary else None


def parts_of(body: bytes, boundary: bytes) -> tuple[Part, ...]:
    """The parts, in order. A part without its closing boundary is not there: the body was cut."""
    delimiter = b"--" + boundary
    found: list[Part] = []
    start = body.find(delimiter)
    while start >= 0:
        start += len(delimiter)
        if body.startswith(b"--", start):
            break
        end = body.find(b"\r\n" + delimiter, start)
        if end < 0:
            break
        part = _part(body, start, end)
        if part:
            found.append(part)
        start = end + 2
    return tuple(found)


def _part(body: bytes, start: int, end: int) -> Part | None:
    blank = body.find(b"\r\n\r\n", start, end + 2)
    if blank < 0:
        return None
    for line in body[start:blank].split(b"\r\n"):
        field, _, value = line.partition(b":")
        if field.strip().lower() == b"content-disposition":
            parameters = _parameters(value.decode("utf-8", "replace"))
            # A view: a 20 MB upload is not copied once more.
            content = memoryview(body)[min(blank + 4, end) : end]
            return Part(parameters.get("name", ""), parameters.get("filename"), content)
    return None


def _parameters(value: str) -> dict[str, str]:
    """Splits `form-data; name="media"; filename="a;b.txt"`. Quotes protect, a backslash protects a quote."""
    parameters: dict[str, str] = {}
    for piece in _split_outside_quotes(value)[1:]:
        key, _, text = piece.partition("=")
        text = text.strip()
        if len(text) > 1 and text[0] == text[-1] == '"':
            text = text[1:-1].replace('\\"', '"').replace("\\\\", "\\")
        parameters.setdefault(key.strip().lower(), text)
    return parameters


def _split_outside_quotes(value: str) -> list[str]:
    pieces, current, quoted, escaped = [], "", False, False
    for letter in value:
        if letter == ";" and not quoted:
            pieces.append(current)
            current = ""
            continue
        if letter == '"' and not escaped:
            quoted = not quoted
        escaped = letter == "\\" and not escaped
        current += letter
    return [*pieces, current]
