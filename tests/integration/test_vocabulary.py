"""One word for one thing: what was renamed keeps its new name, in the program and in its tests."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]

OLD = {
    "bell": "control socket",
    "class Announce": "caption",
    "class Begun": "UploadSession",
    "class BegunUpload": "SignedUpload",
    "class Differs": "…Error",
    "class Elsewhere": "LocalError",
    "class Had": "UploadDone",
    "class Instant": "Now",
    "class Locked": "…Error",
    "class Memory": "LoopState",
    "class Missing": "…Error",
    "class Notice": "Hint",
    "class Taken": "verified_download",
    "class Tick": "TickContext",
    "class Unequal": "LengthError",
    "door": "control socket: server",
    "dress": "payload",
    "dressed": "payload",
    "ear": "control socket: connection",
    "function begun": "upload session",
    "function place_of": "target",
    "function said": "a verb: describe, render",
    "function shown": "a verb: describe, render",
    "function spoken": "choose_language",
    "function told": "a verb: describe, render",
    "function worded": "a verb: describe, render",
    "knock": "control socket: request",
    "module across": "checks",
    "module arrival": "verified_download",
    "module floods": "flood_holds",
    "module instant": "now",
    "module sends": "claims",
    "module storing": "drive_upload",
    "paces": "learned rates",
    "perform": "execute",
    "performer": "Executor",
    "recipe": "simple",
    "redress": "payload",
    "speaker": "log",
    "speech": "log",
    "worn": "payload",
}
"""Old names and what replaces them: words that no identifier contains, and "kind name" for one exact name."""


def defined(path: Path) -> Iterator[tuple[str, str, int]]:
    """Yield kind, name and line of all that a module defines; tests are named by sentences, and left out."""
    yield "module", path.stem, 1
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.ClassDef(name=name):
                yield "class", name, node.lineno
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                if not name.startswith("test_"):
                    yield "function", name, node.lineno
            case (
                ast.Name(id=name, ctx=ast.Store())
                | ast.Attribute(attr=name, ctx=ast.Store())
                | ast.arg(arg=name)
                | ast.alias(asname=str(name))
            ):
                yield "variable", name, node.lineno


def entries(kind: str, name: str) -> set[str]:
    """Return the entries of the table that could forbid a name: `_DressCode` has the words dress and code."""
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)
    return {f"{kind} {name.lstrip('_')}", *(word.lower() for word in words)}


def test_what_was_renamed_keeps_its_new_name() -> None:
    """No identifier is named by the old vocabulary; docs/glossary.md has the words of today."""
    modules = [path for path in ROOT.glob("dingwatch/**/*.py") if "sandbox" not in path.parts]
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {kind} {name} (instead: {OLD[old]})"
        for path in [*modules, *ROOT.glob("tests/**/*.py")]
        for kind, name, line in defined(path)
        for old in entries(kind, name) & OLD.keys()
    ]
    assert not wrong, "\n".join(wrong)
