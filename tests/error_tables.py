"""Writes the tables of docs/dingtalk-errors.md and its Chinese twin from the table of codes and the advice.

To write them again after a code or an advice has changed: `python -m tests.error_tables`.
"""

from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Final

from dingwatch.dingtalk.codes import LEGACY, NEW, OF_API, STORE, Meaning, NotGenerated, Table
from dingwatch.dingtalk.signed import SignatureExpired
from dingwatch.model import (
    MediaLost,
    Misconfigured,
    NoAnswer,
    QuotaExhausted,
    Rejected,
    Scope,
    Throttled,
    TokenRejected,
    TypeRefused,
    Verdict,
)
from dingwatch.texts import Advice, Language

PAGES: Final[Mapping[Language, Path]] = {
    Language.EN: Path(__file__).parents[1] / "docs/dingtalk-errors.md",
    Language.ZH: Path(__file__).parents[1] / "docs/zh/dingtalk-errors.md",
}

HEADS: Final = {
    Language.EN: "| code | dingwatch | what to do |",
    Language.ZH: "| 错误码 | dingwatch 的处理 | 怎么办 |",
}

REACTIONS: Final[Mapping[type[Verdict], tuple[str, str]]] = {
    TokenRejected: ("更换令牌", "new token"),
    Misconfigured: ("暂停{scope}", "pauses the {scope}"),
    TypeRefused: ("压缩后发送", "sends it zipped"),
    NotGenerated: ("稍后再问", "asks again"),
    Rejected: ("失败", "failed"),
    MediaLost: ("重新上传", "uploads again"),
    SignatureExpired: ("更换上传地址", "new address"),
    NoAnswer: ("重试", "retries"),
    Throttled: ("放慢", "slows down"),
    QuotaExhausted: ("暂停到下月", "pauses until next month"),
}
"""What dingwatch does, in the words that the pages explain."""

SCOPES: Final = {
    Scope.APP: ("应用", "app"),
    Scope.API: ("接口", "API"),
    Scope.CONVERSATION: ("会话", "conversation"),
}

_SHORT_ROW: Final = 2

TABLES: Final[Mapping[str, Table]] = {"legacy": LEGACY, "new": NEW, "store": STORE}
"""The tables by the names that mark their places on the pages."""


def reaction(meaning: Meaning, language: Language) -> str:
    """Return what dingwatch does about a code."""
    chinese, english = SCOPES.get(meaning.scope, ("", ""))
    words = REACTIONS[meaning.kind]
    return words[0].format(scope=chinese) if language is Language.ZH else words[1].format(scope=english)


def ranges(codes: list[str]) -> Iterator[str]:
    """Yield codes, several numbers in a row as one range."""
    for _, group in groupby(
        enumerate(codes), lambda one: int(one[1]) - one[0] if one[1].isdecimal() else one[1]
    ):
        row = [code for _, code in group]
        yield f"`{row[0]}`–`{row[-1]}`" if len(row) > _SHORT_ROW else " ".join(f"`{code}`" for code in row)


def lines(table: Table, language: Language) -> Iterator[str]:
    """Yield a table's lines: one for all codes of the same advice and reaction."""
    together: dict[tuple[str, str], list[str]] = {}
    for code, meaning in table:
        together.setdefault((meaning.advice, reaction(meaning, language)), []).append(code)
    for (advice, does), codes in together.items():
        # A name such as *.trans.dingtalk.com is no emphasis.
        todo = Advice[advice].render(language).replace("*", r"\*")
        yield f"| {' '.join(ranges(codes))} | {does} | {todo} |"


def lines_by_api(language: Language) -> Iterator[str]:
    """Yield the lines for what a code means in the answer to some APIs alone."""
    together: dict[Table, list[str]] = {}
    # It is made of sets, whose order changes from run to run.
    for api, table in sorted(OF_API.items(), key=lambda one: one[0]):
        together.setdefault(table, []).append(f"`{api}`")
    for table, apis in together.items():
        for line in lines(table, language):
            yield f"| {' '.join(apis)} {line}"


def tables(language: Language) -> dict[str, str]:
    """Return every table by its name."""
    head = HEADS[language]
    written = {name: [head, "|---|---|---|", *lines(table, language)] for name, table in TABLES.items()}
    api = "| API " if language is Language.EN else "| 接口 "
    written["api"] = [f"{api}{head}", "|---|---|---|---|", *lines_by_api(language)]
    return {name: "\n".join(one) for name, one in written.items()}


def fill(text: str, language: Language) -> str:
    """Return a page with its tables written anew, between their marks."""
    for name, table in tables(language).items():
        before, start, rest = text.partition(f"<!-- table: {name} -->\n")
        _, end, after = rest.partition("<!-- end -->")
        text = f"{before}{start}{table}\n{end}{after}"
    return text


if __name__ == "__main__":
    for language, path in PAGES.items():
        path.write_text(fill(path.read_text(encoding="utf-8"), language), encoding="utf-8")
