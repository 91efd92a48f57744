import dataclasses
import os
import re
import shutil
import subprocess
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import make_url

from dingwatch.config import document
from dingwatch.config.assembly import load
from dingwatch.config.checks import patterns_in
from dingwatch.config.document import LARGEST
from dingwatch.config.glance import take_glance
from dingwatch.config.paths import find
from dingwatch.config.schema import SECTIONS
from dingwatch.config.values import (
    Alerts,
    Config,
    ConfigError,
    Glance,
    Http,
    LogOptions,
    Problem,
    TcpAddress,
    UnixAddress,
)
from dingwatch.model import BundleRule
from dingwatch.pace import Limit
from dingwatch.texts import Language, Problems

ROOT = Path(__file__).parents[2]
SECRET = "s3cr3t-that-nobody-sees-in-any-message"

GOOD = f"""\
dingtalk:
  client_id: dingabc
  client_secret: {SECRET}
state_dir: STATE
folders:
  - path: HERE/in
    conversation_id: cidA==
"""


@pytest.fixture
def write(tmp_path: Path) -> "Writer":
    """Return a writer of configuration files."""
    return Writer(tmp_path)


class Writer:
    """Writes a file that only its owner can read; HERE and STATE become real places."""

    def __init__(self, here: Path) -> None:
        self.here = here
        self.path = here / "config.yaml"

    def __call__(self, text: str | bytes, mode: int = 0o600) -> Path:
        """Write the file and return its path."""
        if isinstance(text, str):
            placed = text.replace("HERE", str(self.here)).replace("STATE", str(self.here / "state"))
            text = placed.encode()
        self.path.write_bytes(text)
        self.path.chmod(mode)
        return self.path


def problems(
    path: Path, environ: Mapping[str, str] | None = None, language: Language = Language.EN
) -> tuple[Problem, ...]:
    """Return what is wrong with a file."""
    with pytest.raises(ConfigError) as caught:
        load(path, environ=environ or {}, language=language)
    return caught.value.problems


def keys_and_lines(path: Path, environ: Mapping[str, str] | None = None) -> list[tuple[str, int | None]]:
    """Return where a file is wrong."""
    return [(problem.key, problem.line) for problem in problems(path, environ)]


def folder(*lines: str) -> str:
    """Return the good configuration with more keys for its folder."""
    return GOOD + "".join(f"    {line}\n" for line in lines)


def values(path: Path, environ: Mapping[str, str] | None = None) -> Config:
    """Return what a good file holds."""
    return load(path, environ=environ or {})


# --- What is good ------------------------------------------------------------------------------


def test_defaults(write: Writer) -> None:
    """The least configuration has every default of the contract."""
    config = values(write(GOOD))
    assert (config.language, config.ledger, config.keep) == (Language.EN, None, 400 * 86400)
    assert config.dingtalk.robot_code == "dingabc"
    assert config.dingtalk.api_url == "https://api.dingtalk.com"
    assert config.dingtalk.oapi_url == "https://oapi.dingtalk.com"
    assert (config.dingtalk.operator_union_id, config.dingtalk.monthly_calls) == (None, 5000)
    assert dataclasses.astuple(config.delivery) == (4, 3 * 86400, "resend")
    assert config.pace.per_api == Limit(20, 1, spaced=True)
    assert config.pace.per_conversation == Limit(20, 60, spaced=False)
    (only,) = config.folders
    assert (only.path, only.name) == (write.here / "in", "in")
    assert only.root == os.fsencode(os.path.realpath(write.here / "in"))
    assert dataclasses.astuple(only)[3:] == (
        *(("cidA==",), True, (), (), 2.0, "skip", "send", "zip", "drive", 1000, "auto", 5.0, 600.0),
        *((), (), None, "file", None, None, None, None, 60.0, None, True, None, None, "none", "keep", None),
    )


def test_everything_said(write: Writer) -> None:
    """Every key can be said, and null takes a limit away."""
    config = values(
        write(
            folder(
                "name: 财务",
                "recursive: no",
                "include: ['*.pdf']",
                "exclude:",
                "settle: 1.5s",
                "hold_over: null",
                "rescan: 2h",
                "watch: poll",
            )
            + "pace: {per_api: null, per_conversation: 7/s}\nlanguage: zh\nkeep: 500ms\n"
            + "ledger: postgresql+psycopg://user:word@db/dingwatch\n"
        )
    )
    (only,) = config.folders
    assert (only.name, only.recursive, only.include, only.exclude) == ("财务", False, ("*.pdf",), ())
    assert (only.settle, only.hold_over, only.rescan, only.watch) == (1.5, None, 7200, "poll")
    assert (config.pace.per_api, config.pace.per_conversation) == (None, Limit(7, 1, spaced=True))
    assert (config.language, config.keep) == (Language.ZH, 0.5)
    assert "word" not in repr(config)


def test_one_upload_many_conversations(write: Writer) -> None:
    """A folder may go to a list of conversations, which an anchor may name."""
    text = GOOD.replace("cidA==", "&both [cidA==, cidB==]") + "  - {path: HERE/two, conversation_id: *both}\n"
    assert [f.conversation_ids for f in values(write(text)).folders] == [("cidA==", "cidB==")] * 2


def test_link_is_resolved(write: Writer) -> None:
    """A folder's root is where its link leads, and its path and name are what people wrote."""
    (write.here / "real").mkdir()
    (write.here / "in").symlink_to("real")
    (only,) = values(write(GOOD)).folders
    assert only.root == os.fsencode((write.here / "real").resolve())
    assert (only.path.name, only.name) == ("in", "in")


def test_home(write: Writer) -> None:
    """A path may begin with the home directory of the environment."""
    (only,) = values(write(GOOD.replace("HERE/in", "~/in")), {"HOME": "/home/wang"}).folders
    assert only.path == Path("/home/wang/in")


def test_nobodys_home(write: Writer) -> None:
    """The home of a user that does not exist is no absolute path."""
    assert keys_and_lines(write(GOOD.replace("HERE/in", "~no-such-user/in"))) == [("folders[0].path", 6)]


def test_state_dir_defaults(write: Writer) -> None:
    """Without state_dir it is the first that systemd made, else root's or the user's own."""
    path = write(GOOD.replace("state_dir: STATE\n", ""))
    assert values(path, {"STATE_DIRECTORY": "/var/lib/dw:/var/lib/other"}).state_dir == Path("/var/lib/dw")
    own = "/var/lib/dingwatch" if os.geteuid() == 0 else "/home/wang/.local/state/dingwatch"
    assert values(path, {"HOME": "/home/wang"}).state_dir == Path(own)


def test_language_of_the_locale(write: Writer) -> None:
    """With `auto` the locale decides, and a caller's choice is above all."""
    path = write(GOOD)
    assert values(path, {"LANG": "zh_CN.UTF-8"}).language is Language.ZH
    assert values(path, {"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}).language is Language.EN
    assert load(path, environ={}, language=Language.ZH).language is Language.ZH


def test_problems_speak_the_language_of_the_file(write: Writer) -> None:
    """The file's own language is that of its problems."""
    with pytest.raises(ConfigError) as caught:
        load(write(GOOD + "language: zh\nkeep: 2\n"), environ={"LANG": "en_US.UTF-8"})
    assert caught.value.problems[0].text == Problems.DURATION.zh


def test_byte_order_mark(write: Writer) -> None:
    """An editor that puts a byte order mark at the beginning does no harm."""
    text = GOOD.replace("HERE", "/srv").replace("STATE", "/var/lib/dw")
    assert values(write(b"\xef\xbb\xbf" + text.encode())).folders[0].name == "in"


def test_nested_for_different_conversations(write: Writer) -> None:
    """Nested and repeated folders may go to different conversations under different names."""
    more = "  - {path: HERE/in/sub, conversation_id: cidB==}\n"
    more += "  - {path: HERE/in, conversation_id: cidC, name: 2}\n"
    assert keys_and_lines(write(GOOD + more)) == [("folders[2].name", 9)]
    assert len(values(write(GOOD + more.replace("name: 2", "name: two"))).folders) == 3


def test_no_folder_at_all(write: Writer) -> None:
    """An empty list of folders is deliberate; a missing one is not."""
    assert values(write(GOOD.partition("folders:")[0] + "folders: []\n")).folders == ()
    assert keys_and_lines(write(GOOD.partition("folders:")[0])) == [("folders", 1)]


def test_example_is_whole(tmp_path: Path) -> None:
    """The example loads, and has every key of the schema."""
    example = ROOT / "config.example.yaml"
    copy = Path(shutil.copy(example, tmp_path))
    copy.chmod(0o600)
    load(copy, environ={"STATE_DIRECTORY": str(tmp_path)})
    text = example.read_text("utf-8")
    known = {key for name, shape in SECTIONS.items() if name != "bundle" for key in shape.model_fields}
    assert known == set(re.findall(r"^ *(?:# |- )?(\w+):(?: |$)", text, re.MULTILINE)) & known
    assert not [key for key in known if not re.search(rf"^ *(# |- )?{key}:", text, re.MULTILINE)]


def test_a_bundle_has_its_defaults(write: Writer) -> None:
    """`bundle: {}` bundles, by the defaults; without the key, or with null, nothing is bundled."""
    for said, rule in (
        ("{}", BundleRule(30.0, 5)),
        ("{wait: 2m, from: 3}", BundleRule(120.0, 3)),
        ("null", None),
    ):
        assert values(write(folder(f"bundle: {said}"))).folders[0].bundle == rule


def test_a_share_is_one_folder_on_each_node(write: Writer, tmp_path: Path) -> None:
    """Two folders under one name would be one folder in the ledger, with the files of both."""
    other = f"  - {{path: {tmp_path}/other, conversation_id: cidB==, shared: north}}\n"
    assert values(write(folder("shared: north"))).folders[0].shared == "north"
    with pytest.raises(ConfigError) as caught:
        values(write(folder("shared: north") + other))
    assert [one.key for one in caught.value.problems] == ["folders[1].shared"]


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("log: {level: loud}", "log.level"),
        ("log: {levl: info}", "log.levl"),
        ("http: 8777", "http"),
        ("http: {listen: 8777}", "http.listen"),
        ("http: {listen: '8777'}", "http.listen"),
        ("http: {listen: ':8777'}", "http.listen"),
        ("http: {listen: '*:8777'}", "http.listen"),
        ("http: {listen: '127.0.0.1:65536'}", "http.listen"),
        ("http: {listen: '127.0.0.256:1'}", "http.listen"),
        ("http: {listen: '::1:8777'}", "http.listen"),
        ("http: {listen: '[::x]:8777'}", "http.listen"),
        ("http: {listen: 'http://127.0.0.1:8777'}", "http.listen"),
        ("http: {listen: 'unix:http.sock', token_file: /x}", "http.listen"),
        ("http: {listen: 'unix:/run/', token_file: /x}", "http.listen"),
        (f"http: {{listen: 'unix:/{'x' * 107}', token_file: /x}}", "http.listen"),
        ("http: {listen: 'a:1', token_file: token}", "http.token_file"),
        ("http: {listen: 'a:1'}", "http.token_file"),
        ("http: {listen: '0.0.0.0:1'}", "http.token_file"),
        ("http: {listen: '[::]:1'}", "http.token_file"),
        ("http: {listen: 'unix:/run/x'}", "http.token_file"),
        ("http: {listen: 'localhost:1', token_file: /no/such}", "http.token_file"),
        ("http: {hosts: ['http://a']}", "http.hosts[0]"),
        ("http: {hosts: ['a:1']}", "http.hosts[0]"),
        ("http: {hosts: ['*.a']}", "http.hosts[0]"),
        ("http: {hosts: [群]}", "http.hosts[0]"),
        ("http: {hosts: a/b}", "http.hosts"),
        ("aliases: [a]", "aliases"),
        ("    bundle: {wait: 30s, form: 5}", "folders[0].bundle.form"),
        ("    bundle: {from: 0}", "folders[0].bundle.from"),
        ("    after_send: delete", "folders[0].after_send"),
        ("folder_defaults: {feedback: 90}", "folder_defaults.feedback"),
    ],
)
def test_a_mistake_in_a_section_is_named(write: Writer, line: str, key: str) -> None:
    """The key and its line are reported."""
    assert keys_and_lines(write(f"{GOOD}{line}\n")) == [(key, GOOD.count("\n") + 1)]


def test_an_unknown_key_names_the_nearest_of_all(write: Writer) -> None:
    """The nearest key is sought among all."""
    assert "from" in problems(write(folder("bundle: {form: 5}")))[0].text
    assert "alerts" in problems(write(f"{GOOD}alert: {{}}\n"))[0].text


# --- Alerts --------------------------------------------------------------------------------------

ROBOT = "https://oapi.dingtalk.com/robot/send?access_token=t0k3n-of-a-robot"


def test_alerts_go_to_recipients_of_every_kind(write: Writer) -> None:
    """A name and its ID are one recipient; a robot is known by a hash of its address."""
    found = values(
        write(
            f"{GOOD}aliases: {{值班: user:boss, 群: cidA==}}\n"
            f"alerts: {{to: [值班, 群, cidA==, chat:c1, '{ROBOT}'], after: 90s, daily: '18:00',"
            " heartbeat_url: 'http://kuma.lan:3001/api/push/x?status=up'}\n"
        )
    ).alerts
    (robot,) = found.robots
    assert found.to == ("user:boss", "cidA==", "chat:c1", f"webhook:{robot.id}")
    assert (robot.address, found.after, found.daily) == (ROBOT, 90.0, "18:00")
    assert "t0k3n" not in repr(found)
    assert "api/push" not in repr(found)


def test_a_single_recipient_needs_no_list(write: Writer) -> None:
    """As everywhere in the file."""
    text = f"{GOOD}aliases: {{值班: user:boss}}\nalerts: {{to: 值班}}\n"
    assert values(write(text)).alerts.to == ("user:boss",)
    assert values(write(GOOD)).alerts == Alerts()


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("alerts: {daily: 18:00}", "alerts.daily"),
        ("alerts: {daily: '25:00'}", "alerts.daily"),
        ("alerts: {after: 5}", "alerts.after"),
        ("alerts: {heartbeat_url: ping}", "alerts.heartbeat_url"),
        ("alerts: {heartbeat_url: 'https://me:pass@up.example/x'}", "alerts.heartbeat_url"),
        ("alerts: {heartbeat_url: 'https://up.example:99999/x'}", "alerts.heartbeat_url"),
        ("alerts: {to: [boss]}", "alerts.to[0]"),
        ("alerts: {to: boss}", "alerts.to"),
        ("alerts: {to: ['webhook:0123456789ab']}", "alerts.to[0]"),
        ("alerts: {to: ['user:a', 'https://oapi.dingtalk.com/robot/send']}", "alerts.to[1]"),
        ("alerts: {to: 'http://oapi.dingtalk.com/robot/send?access_token=t0k3n'}", "alerts.to"),
        ("alerts: {to: ['https://evil.example/robot/send?access_token=t0k3n']}", "alerts.to[0]"),
        ("aliases: {值班: user:x}\nalerts: {to: [值斑]}", "alerts.to[0]"),
        ("aliases: {值班: 'webhook:0123456789ab'}\nalerts: {to: 值班}", "alerts.to"),
        ("alerts: {too: [user:x]}", "alerts.too"),
    ],
)
def test_what_is_wrong_with_alerts_is_told(write: Writer, line: str, key: str) -> None:
    """By its key, and without quoting what may be a secret."""
    found = problems(write(f"{GOOD}{line}\n"))
    assert [one.key for one in found] == [key]
    assert "t0k3n" not in found[0].text
    assert "pass" not in found[0].text


# --- Folders with a * ------------------------------------------------------------------------------

STARS = GOOD.replace("HERE/in", "HERE/share/*/发送").replace("conversation_id: cidA==", "recipients: t.csv")


def departments(write: Writer, *names: str, table: str | bytes = "") -> Path:
    """Make these directories with a 发送 in each, and a table; return the configuration."""
    for name in names:
        (write.here / "share" / name / "发送").mkdir(parents=True)
    (write.here / "t.csv").write_bytes(table.encode() if isinstance(table, str) else table)
    return write(STARS)


def test_each_directory_is_a_folder(write: Writer) -> None:
    """The table says whom each is for; what it does not have, or has no inner directory, is left out."""
    table = '# 部门,群\n\n财务 , cidA==\n"a ""b""",user:x, 值班,,\n人事,chat:c1\n\n不在,cidX\n'
    path = departments(write, "财务", 'a "b"', "人事", "新来的", table=table)
    (write.here / "share" / "空").mkdir()
    (write.here / "share" / ".hidden" / "发送").mkdir(parents=True)
    (write.here / "share" / "link").symlink_to("财务")
    path.write_text(path.read_text("utf-8") + "    settle: 7s\naliases: {值班: cidZ}\n", "utf-8")
    config = values(path)
    assert {one.name: one.recipients for one in config.folders} == {
        'a "b"': ("cidZ", "user:x"),
        "人事": ("chat:c1",),
        "财务": ("cidA==",),
    }
    share = write.here / "share"
    assert {one.path for one in config.folders} == {share / n / "发送" for n in ('a "b"', "人事", "财务")}
    assert {one.root for one in config.folders} == {os.fsencode(one.path) for one in config.folders}
    assert {one.settle for one in config.folders} == {7.0}
    assert config.unlisted == (share / "新来的",)
    assert config.absent == ((write.here / "t.csv", "不在"),)


@pytest.mark.parametrize("raw", ["财务,cidA".encode("gbk"), "财务,cidA\r\n".encode("utf-8-sig")])
def test_a_table_is_read_as_excel_saves_it(write: Writer, raw: bytes) -> None:
    """Excel in Chinese saves GBK, or UTF-8 with a byte order mark."""
    (only,) = values(departments(write, "财务", table=raw)).folders
    assert (only.name, only.conversation_ids) == ("财务", ("cidA",))


def test_a_name_is_the_same_however_it_is_composed(write: Writer) -> None:
    """A Mac writes é in two characters, and the table in one."""
    (only,) = values(departments(write, "e\u0301", table="\u00e9,cidA\n")).folders
    assert only.root.endswith("e\u0301/发送".encode())


@pytest.mark.parametrize("mounted", [True, False])
def test_a_share_that_is_not_there_keeps_its_folders(write: Writer, *, mounted: bool) -> None:
    """Before it is mounted, its folders are those of the table: what waits in them is not given up."""
    path = departments(write, table="财务,cidA\n人事,cidB\n")
    if mounted:
        (write.here / "share").mkdir()  # the empty mount point
    assert [one.name for one in values(path).folders] == ["财务", "人事"]


def test_a_star_takes_a_table_or_recipients_of_the_defaults(write: Writer) -> None:
    """Of the defaults, a table is for folders with a star, and recipients for those without."""
    text = GOOD.replace("conversation_id: cidA==", "name: first")
    text += "  - {path: HERE/share/*/发送}\n  - {path: HERE/last, user_ids: x}\n"
    text += "  - {path: HERE/share/*/发送, name: all, user_ids: u, exclusive: false}\n"
    departments(write, "财务", "人事", table="财务,cidT\n")
    config = values(write(text + "folder_defaults: {recipients: t.csv, conversation_id: cidA==}\n"))
    assert [(one.name, one.recipients) for one in config.folders] == [
        ("first", ("cidA==",)),
        ("财务", ("cidT",)),
        ("last", ("cidA==", "user:x")),
        ("all/人事", ("cidA==", "user:u")),
        ("all/财务", ("cidA==", "user:u")),
    ]


def test_names_of_a_star_are_unique_and_stay(write: Writer) -> None:
    """Only one star goes without a name; a name that a folder of the config has is not taken."""
    for name in ("x", "y"):
        (write.here / "one" / name).mkdir(parents=True)
        (write.here / "two" / name).mkdir(parents=True)
        (write.here / "three" / name).mkdir(parents=True)
    text = GOOD.replace("HERE/in", "HERE/one/*")
    text += "  - {path: HERE/two/*, conversation_id: cidA==}\n"
    text += "  - {path: HERE/three/*, conversation_id: cidA==, name: 三}\n"
    text += "  - {path: HERE/in, conversation_id: cidA==, name: y}\n"
    here = str(write.here)
    assert [one.name for one in values(write(text)).folders] == [
        *("x", f"{here}/one/y", f"{here}/two/x", f"{here}/two/y", "三/x", "三/y", "y")
    ]


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ("财务,cidA\n\n财务,cidB\n", "line 3: the directory 财务 stands in line 1"),
        ("财务\n", "line 1: nobody gets the files of 财务"),
        ("财务,,\n", "line 1: nobody gets"),
        ("财务，cidA\n", "line 1: separate the directory and its recipients by commas"),
        ("财务;cidA\n", "line 1: separate"),
        ("财务,cidA,cidA\n", "line 1: cidA is listed twice"),
        ("财务,A\n", "line 1: A is no recipient"),
        ("财务,webhook:0123456789ab\n", "line 1: webhook:0123456789ab is no recipient"),
        ("财务,https://oapi.dingtalk.com/robot/send?access_token=t0k3n\n", "line 1: http… is no"),
        ("a/b,cidA\n", "line 1: “a/b” is no directory's name"),
        (",cidA\n", "line 1: “” is no directory's name"),
        ('# x\n"财务,cidA\n', "line 2: a quote is not closed"),
        ("财务,cidA".encode("utf-16"), "is no CSV text"),
        (b"\xff\xff,cidA", "is no CSV text"),
        (b"x" * (1 << 20) + b"x", "is no CSV text"),
    ],
)
def test_a_strange_table_is_told(write: Writer, table: str | bytes, sentence: str) -> None:
    """Every mistake is told with the table's own line, at the key that names the table."""
    (found,) = problems(departments(write, "财务", table=table))
    assert (found.key, found.line) == ("folders[0].recipients", 7)
    assert sentence in found.text
    assert str(write.here / "t.csv") in found.text


def test_every_mistake_of_a_table_is_told_at_once(write: Writer) -> None:
    """So is what is wrong elsewhere; an unknown name is told with the nearest one."""
    path = departments(write, table="a,b\nb\n")
    path.write_text(path.read_text("utf-8") + "aliases: {值班: cidZ}\nkeep: 5\n", "utf-8")
    assert ["keep" in one.key for one in problems(path)] == [False, False, True]
    assert "Did you mean 值班?" in problems(path)[0].text


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("share/*/发送", "share/*/*", "folders[0].path"),
        ("share/*/发送", "share/a*", "folders[0].path"),
        ("share/*/发送", "share/**", "folders[0].path"),
        ("share/*/发送", "share/*/../x", "folders[0].path"),
        ("share/*/发送", "in", "folders[0].recipients"),
        ("t.csv", "t.csv\n    conversation_id: cidA", "folders[0].recipients"),
        ("t.csv", "nowhere.csv", "folders[0].recipients"),
        ("t.csv", "[t.csv]", "folders[0].recipients"),
        ("/state", "/share/b/发送/state", "folders[0].path"),
    ],
)
def test_a_star_in_a_wrong_place_is_told(write: Writer, old: str, new: str, key: str) -> None:
    """One level may be a star, and a table goes with it."""
    path = departments(write, "财务", table="财务,cidA\n")
    path.write_text(path.read_text("utf-8").replace(old, new), "utf-8")
    assert [one.key for one in problems(path)] == [key]


def test_a_directory_that_another_folder_watches_is_told(write: Writer) -> None:
    """A file would be sent twice to one conversation."""
    path = departments(write, "财务", table="财务,cidA\n")
    path.write_text(
        path.read_text("utf-8") + f"  - {{path: {write.here}/share/财务, conversation_id: cidA, name: b}}\n",
        "utf-8",
    )
    assert [(one.key, one.line) for one in problems(path)] == [("folders[1].path", 8)]


# --- What is bad -------------------------------------------------------------------------------


def test_eight_mistakes_at_once(write: Writer) -> None:
    """Eight different mistakes are reported together, each with its key and line."""
    text = f"""\
dingtalk:
  client_id: dingabc
  client_secret: {SECRET}
  api_url: http://dingtalk.example
state_dir: HERE/in/state
delivery: {{workers: 99}}
folders:
  - path: HERE/in
    conversation_id: cidA==
    setle: 2s
  - path: in
    conversation_id: 群
    name: in
  - path: HERE/in/sub
    conversation_id: [cidA==]
    settle: 2
"""
    assert keys_and_lines(write(text)) == [
        ("dingtalk.api_url", 4),
        ("delivery.workers", 6),
        ("folders[0].path", 8),
        ("folders[0].setle", 10),
        ("folders[1].path", 11),
        ("folders[1].conversation_id", 12),
        ("folders[1].name", 13),
        ("folders[2].path", 14),
        ("folders[2].settle", 16),
    ]


@pytest.mark.parametrize(
    ("line", "key", "text"),
    [
        ("setle: 2s", "setle", "settle"),
        ("notice_locaton: x", "notice_locaton", "notice_location"),
        ("workers: 4", "workers", "delivery.workers"),
        ("name: 2024", "name", '"2024"'),
        ("name: on", "name", '"on"'),
        ("name: 2024-05-01", "name", '"2024-05-01"'),
        ("name:", "name", None),
        ("name: ''", "name", "blank"),
        ("name: [a]", "name", "single text"),
        ('name: "a\\0b"', "name", "control"),
        ('name: "\\ud800"', "name", "control"),
        (f"name: {'x' * 201}", "name", "at most 200 characters"),
        (f"shared: {'x' * 201}", "shared", "at most 200 characters"),
        ("recursive: 'yes'", "recursive", "true or false"),
        ("include: '*.pdf'", "include", "list"),
        ("include: [5]", "include[0]", '"5"'),
        ("exclude: [!*.tmp ]", "exclude[0]", "quotes"),
        ("exclude: ['#recycle']", "exclude[0]", "backslash"),
        ("exclude: ['*.bak;*.old']", "exclude[0]", 'Neither ";" nor ","'),
        ("exclude: ['a', '*.doc,*.docx']", "exclude[1]", '["*.doc", "*.docx"]'),
        ("include: ['*.{pdf,docx}']", "include[0]", '["*.pdf", "*.docx"]'),
        ("include: ['草稿\\*.pdf']", "include[0]", '"草稿/*.pdf"'),
        ("exclude: ['./a']", "exclude[0]", '"/a"'),
        ("exclude: ['']", "exclude[0]", "gitignore"),
        ("exclude: ['!']", "exclude[0]", "gitignore"),
        ("exclude:\n      - #recycle", "exclude[0]", "#"),
        ("settle: 2 s", "settle", "500ms"),
        ("settle: ２s", "settle", "500ms"),
        ("settle: 2.5", "settle", "500ms"),
        ("settle: 0s", "settle", "1ms"),
        ("settle: 2h", "settle", "1h"),
        ("settle: null", "settle", "500ms"),
        ("existing: all", "existing", "skip, send"),
        ("on_change: off", "on_change", "send, ignore"),
        ("hold_over: many", "hold_over", "whole number"),
        ("hold_over: true", "hold_over", "whole number"),
        ("hold_over: -1", "hold_over", "between 0"),
        ("hold_over: 010", "hold_over", "whole number"),
        ("path: HERE/again", "path", "line 6"),
        ("<<: a", "<<", "alias"),
        ("name: {name}", "name", "begins with {"),
        ("notice_text: '{who}'", "notice_text", "name, size, folder, path, change"),
        ("notice_text: ' '", "notice_text", "blank"),
        ("name: “财务”", "name", "straight quotes"),
        ("before_send: /bin/true", "before_send", "list"),
        ("before_send: []", "before_send", "blank"),
        ("before_send: ['']", "before_send", "blank"),
        ("before_send: [bin/scan]", "before_send", "absolute path"),
        ("before_send: [scan, '{file}']", "before_send[1]", "fd, name, size"),
        ("before_send: [scan, 5]", "before_send[1]", '"5"'),
        ("before_send_timeout: 0s", "before_send_timeout", "1ms"),
        ("drive_keep: 90", "drive_keep", "500ms"),
    ],
)
def test_wrong_folder_key(write: Writer, line: str, key: str, text: str | None) -> None:
    """A wrong value in a folder is told at its key, with what to write instead."""
    if text is None:
        assert values(write(folder(line))).folders[0].name == "in"
        return
    (problem,) = problems(write(folder(line)))
    assert problem.key.removeprefix("folders[0].").startswith(key[:6])
    assert text in problem.text
    assert problem.line == (9 if "\n" in line else 8)


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("pace: null", "pace"),
        ("pace: {per_api: 20}", "pace.per_api"),
        ("pace: {per_api: 0/s}", "pace.per_api"),
        ("pace: {per_conversation: 20/h}", "pace.per_conversation"),
        ("delivery: {workers: 0}", "delivery.workers"),
        ("delivery: {workers: '4'}", "delivery.workers"),
        ("delivery: {on_uncertain: retry}", "delivery.on_uncertain"),
        ("delivery: [4]", "delivery"),
        ("ledger: sqlite:///x", "ledger"),
        ("ledger: 5", "ledger"),
        ("ledger: postgresql://h/d", "ledger"),
        ("ledger: postgresql+psycopg://u:p@ss@h/d", "ledger"),
        ("ledger: postgresql+psycopg://h:port/d", "ledger"),
        ("node: ' '", "node"),
        (f"node: {'x' * 201}", "node"),
        ("keep: forever", "keep"),
        ("keep: 99999d", "keep"),
        ("language: fr", "language"),
        ("language: zh\nlanguage: en", "language"),
        ("1: 2", "1"),
        ("[a]: 2", ""),
    ],
)
def test_wrong_top_key(write: Writer, line: str, key: str) -> None:
    """A wrong value outside of the folders is told once, at its key."""
    assert [problem.key for problem in problems(write(f"{GOOD}{line}\n"))] == [key]


@pytest.mark.parametrize(
    "url",
    ["ftp://x", "https://", "x", "https://u:p@host", "https://h?q", "https://h#f", "https://h:x", "http://[::2]",
     "http://127.0.0.1.example", "http://dingtalk.example", "https://[", "https://a b"],
)  # fmt: skip
def test_wrong_url(write: Writer, url: str) -> None:
    """An address must be http(s), and https beyond this machine; it is not repeated."""
    (problem,) = problems(write(GOOD.replace("state_dir", f"  api_url: '{url}'\nstate_dir", 1)))
    assert (problem.key, problem.line) == ("dingtalk.api_url", 4)
    assert url in {"x", "https://"} or url not in problem.text


@pytest.mark.parametrize("host", ["127.0.0.1:8765", "localhost:1", "[::1]:80", "127.9.9.9"])
def test_sandbox_url(write: Writer, host: str) -> None:
    """The sandbox on this machine may be spoken to in clear text."""
    config = values(write(GOOD.replace("state_dir", f"  api_url: http://{host}/\nstate_dir", 1)))
    assert config.dingtalk.api_url == f"http://{host}"


def test_missing_keys(write: Writer) -> None:
    """Keys that are missing are told where they belong."""
    assert keys_and_lines(write("folders:\n  - name: a\n  - 5\n")) == [
        ("dingtalk", 1),
        ("dingtalk.client_secret", 1),
        ("folders[0].path", 2),
        ("folders[0].conversation_id", 2),
        ("folders[1]", 3),
    ]


@pytest.mark.parametrize(
    ("conversations", "key"),
    [
        ("[]", ""),
        ("[cidA, cidA]", ""),
        ("[cidA, 群]", "[1]"),
        ("[cidA, 5]", "[1]"),
        ("5", ""),
        ("{a: b}", ""),
    ],
)
def test_wrong_conversations(write: Writer, conversations: str, key: str) -> None:
    """A list of conversations is not empty, repeats nothing, and holds IDs only."""
    text = GOOD.replace("cidA==", conversations)
    assert keys_and_lines(write(text)) == [(f"folders[0].conversation_id{key}", 7)]


@pytest.mark.parametrize("path", ["HERE/in", "HERE/in/sub", "HERE", "HERE/link"])
def test_twice_to_one_conversation(write: Writer, path: str) -> None:
    """The same or nested folders for one conversation would send a file twice."""
    (write.here / "in").mkdir()
    (write.here / "link").symlink_to("in")
    text = GOOD.replace("STATE", "/var/lib/dw")
    text += f"  - {{path: {path}, conversation_id: [cidB, cidA==], name: other}}\n"
    (problem,) = problems(write(text))
    assert (problem.key, problem.line) == ("folders[1].path", 8)
    assert "line 6" in problem.text


@pytest.mark.parametrize("state", ["HERE/in", "HERE/in/state", "HERE", "HERE/link/x"])
def test_state_dir_in_a_folder(write: Writer, state: str) -> None:
    """The ledger lies outside of every folder, also by its real path."""
    (write.here / "in").mkdir()
    (write.here / "link").symlink_to("in")
    assert keys_and_lines(write(GOOD.replace("STATE", state))) == [("folders[0].path", 6)]


# --- The HTTP API and the log ----------------------------------------------------------------------


def test_the_api_listens_only_where_it_is_told(write: Writer) -> None:
    """Without an address there is no API, and loopback alone needs no token."""
    assert values(write(GOOD + "http: {hosts: a}\n")).http is None
    found = values(write(GOOD + "http: {listen: 'LOCALHOST:0', hosts: [NAS.local, '[FD00::5]', 10.0.0.1]}\n"))
    assert found.http == Http(TcpAddress("localhost", 0), None, ("nas.local", "[fd00::5]", "10.0.0.1"))
    for address in ("127.9.9.9:80", "[::1]:8777", "localhost:65535"):
        http = values(write(f"{GOOD}http: {{listen: '{address}'}}\n")).http
        assert http is not None
        assert str(http.listen) == address


def test_a_token_opens_the_api_beyond_loopback(write: Writer) -> None:
    """The token is the file's line; commands that do not need it do not read it, and nothing shows it."""
    secret_file(write, f"{SECRET}\n".encode())
    text = GOOD + "http: {listen: 'unix:~/x.sock', token_file: HERE/secret}\n"
    config = load(write(text), environ={"HOME": "/home/wang"})
    assert config.http == Http(UnixAddress(Path("/home/wang/x.sock")), SECRET)
    assert SECRET not in repr(config)
    without = load(write(text), environ={"HOME": "/home/wang"}, secret_needed=False).http
    assert without is not None
    assert without.token == ""


@pytest.mark.parametrize(
    ("content", "mode", "problem"),
    [
        (b"", 0o600, Problems.TOKEN_STRANGE),
        (b"\n \n", 0o600, Problems.TOKEN_STRANGE),
        (b"one\ntwo\n", 0o600, Problems.TOKEN_STRANGE),
        ("令牌".encode(), 0o600, Problems.TOKEN_STRANGE),
        (b"x" * 5000, 0o600, Problems.TOKEN_STRANGE),
        (b"token\n", 0o640, Problems.SECRET_OPEN),
        (b"token\n", 0o604, Problems.SECRET_OPEN),
    ],
)
def test_a_strange_token_file_is_told(write: Writer, content: bytes, mode: int, problem: Problems) -> None:
    """An empty file would let everybody in; a file that others can read is no secret."""
    secret_file(write, content, mode)
    text = GOOD + "http:\n  listen: '0.0.0.0:8777'\n  token_file: HERE/secret\n"
    (found,) = problems(write(text))
    assert (found.key, found.line) == ("http.token_file", text.count("\n"))
    path = write.here / "secret"
    assert found.text == problem.render(Language.EN, path=path, command=f"chmod 600 {path}")


def test_the_log_is_set_up_as_written(write: Writer) -> None:
    """Level and format are values; what is not written has its default."""
    assert values(write(GOOD + "log: {format: json}\n")).log == LogOptions("info", "json")


# --- The password of the ledger's database --------------------------------------------------------

DATABASE = GOOD + "ledger: postgresql+psycopg://me@db/dingwatch?sslmode=verify-full\n"
PASSWORD = "p@ss/w:rd?&"
WITH_PASSWORD = "postgresql+psycopg://me:p%40ss%2Fw%3Ard%3F%26@db/dingwatch?sslmode=verify-full"


def credential(write: Writer, password: str) -> dict[str, str]:
    """Return the environment of a service that systemd has given a password."""
    (write.here / "ledger_password").write_text(f"{password}\n", encoding="utf-8")
    return {"CREDENTIALS_DIRECTORY": str(write.here)}


def test_the_database_password_comes_from_systemd_or_the_environment(write: Writer) -> None:
    """It is put into the address as SQLAlchemy reads it, and is not shown with the configuration."""
    for environ in (credential(write, PASSWORD), {"DINGWATCH_LEDGER_PASSWORD": PASSWORD}):
        config = values(write(DATABASE), environ)
        assert config.ledger == WITH_PASSWORD
        assert make_url(config.ledger).password == PASSWORD
        assert PASSWORD not in repr(config)
    for address in ("postgresql+psycopg://db/d", "postgresql+psycopg:///d?host=/run/postgresql"):
        config = values(write(f"{GOOD}ledger: {address}\n"), credential(write, PASSWORD))
        assert make_url(config.ledger or "").password == PASSWORD
    assert values(write(GOOD), credential(write, PASSWORD)).ledger is None


def test_two_database_passwords_are_one_too_many(write: Writer) -> None:
    """One of them may be an old one, whichever two they are."""
    (write.here / "pass").touch(0o600)
    written = DATABASE.replace("me@", "me:word@")
    variable = {"DINGWATCH_LEDGER_PASSWORD": PASSWORD}
    for text, environ in (
        (written, variable),
        (written, credential(write, PASSWORD)),
        (DATABASE, variable | credential(write, PASSWORD)),
        (DATABASE.replace("?", f"?passfile={write.here}/pass&"), variable),
        (DATABASE.replace("?", "?password=abcdef&"), variable),
    ):
        (found,) = problems(write(text), environ)
        assert (found.key, PASSWORD in found.text) == ("ledger", False)
        assert found.text.startswith("The password of the database is set in more than one place: ")


@pytest.mark.parametrize(("mode", "told"), [(0o640, "chmod 600"), (None, "No such file")])
def test_a_password_file_that_libpq_ignores_is_told(write: Writer, mode: int | None, told: str) -> None:
    """PostgreSQL's client would only say that it has no password."""
    if mode is not None:
        (write.here / "pass").touch()
        (write.here / "pass").chmod(mode)
    path = write(DATABASE.replace("?", f"?passfile={write.here}/pass&"))
    (found,) = problems(path)
    assert (found.key, told in found.text, str(write.here / "pass") in found.text) == ("ledger", True, True)
    assert load(path, environ={}, secret_needed=False).ledger is not None


def test_an_empty_database_password_is_told(write: Writer) -> None:
    """A credential that is there but empty would be sent as no password at all."""
    path = write(DATABASE)
    assert keys_and_lines(path, credential(write, "")) == [("ledger", DATABASE.count("\n"))]
    assert load(path, environ=credential(write, ""), secret_needed=False).ledger is not None


def test_a_config_file_with_a_database_password_is_private(write: Writer) -> None:
    """As one with the app's secret is; without a password in it, it may be read by all."""
    text = DATABASE.replace(f"  client_secret: {SECRET}\n", "  client_secret_file: HERE/secret\n")
    (write.here / "secret").touch(0o600)
    (write.here / "secret").write_text(SECRET)
    assert values(write(text, 0o644)).ledger is not None
    (found,) = problems(write(text.replace("me@", "me:word@"), 0o644))
    assert (found.key, "chmod 600" in found.text, "word@" in found.text) == ("ledger", True, False)


# --- Names for recipients --------------------------------------------------------------------------

NAMES = "aliases: {财务群: cidF==, 财务: cidF==, 值班: 'user:duty 1', old: chat:c1}\n"


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ("conversation_id: 财务群", ["cidF=="]),
        ("conversation_id: [财务, cidB==]", ["cidF==", "cidB=="]),
        ("conversation_id: [cidB==, 值班, old]", ["cidB==", "user:duty 1", "chat:c1"]),
        ("conversation_id: 值班", ["user:duty 1"]),
        ("conversation_id: [财务, 值班]\n    user_ids: boss", ["cidF==", "user:boss", "user:duty 1"]),
        ("user_ids: [值班, boss]\n    chat_id: old", ["user:duty 1", "user:boss", "chat:c1"]),
        ("user_ids: [财务群, boss]", ["cidF==", "user:boss"]),
    ],
)
def test_a_name_stands_for_a_recipient_of_any_kind(write: Writer, lines: str, found: list[str]) -> None:
    """Wherever an ID is expected a name may stand; whether it is a group's or a person's, the alias says."""
    for text in (
        GOOD.replace("conversation_id: cidA==", lines) + NAMES,
        GOOD.replace("    conversation_id: cidA==", "")
        + NAMES
        + "folder_defaults:\n    "
        + lines.replace("\n    ", "\n    "),
    ):
        config = values(write(text))
        assert list(config.folders[0].recipients) == found
        assert config.recipient_names["cidF=="] == "财务群"  # the first of two


@pytest.mark.parametrize(
    ("lines", "key", "sentence"),
    [
        ("conversation_id: 财务裙", "folders[0].conversation_id", "Did you mean 财务?"),
        ("conversation_id: [财务群, 值斑]", "folders[0].conversation_id[1]", "Did you mean 值班?"),
        ("conversation_id: [值班, 值斑]", "folders[0].conversation_id[1]", "Did you mean 值班?"),
        ("user_ids: [值斑]", "folders[0].user_ids[0]", "Did you mean 值班?"),
        ("conversation_id: 机器人", "folders[0].conversation_id", "names a custom robot"),
        ("conversation_id: [财务, cidF==]", "folders[0].conversation_id", "财务群 is listed twice"),
    ],
)
def test_a_name_that_stands_for_nothing_is_told(write: Writer, lines: str, key: str, sentence: str) -> None:
    """A name that was mistyped is told with the nearest one, at its place, and only once."""
    robot = NAMES.replace("}", ", 机器人: webhook:0123456789ab}")
    (found,) = problems(write(GOOD.replace("conversation_id: cidA==", lines) + robot))
    assert (found.key, found.line) == (key, 7)
    assert sentence in found.text


@pytest.mark.parametrize(
    ("aliases", "key"),
    [
        ("{cider: cidA==}", "aliases.cider"),
        ("{'user:a': cidA==}", "aliases.user…"),
        ("{'': cidA==}", "aliases."),
        ("{a: A}", "aliases.a"),
        ("{a: manager01}", "aliases.a"),
        ("{a: 'user:'}", "aliases.a"),
        ("{a: 'https://oapi.dingtalk.com/robot/send?access_token=x'}", "aliases.a"),
        ("{a: 5}", "aliases.a"),
        ("{a: [cidA==]}", "aliases.a"),
        ("{a: cidA==, a: cidB==}", "aliases.a"),
        ("[a]", "aliases"),
        ("5", "aliases"),
    ],
)
def test_a_strange_alias_is_told(write: Writer, aliases: str, key: str) -> None:
    """A name must not look like an ID, and stands for a whole one."""
    assert keys_and_lines(write(f"{GOOD}aliases: {aliases}\n")) == [(key, GOOD.count("\n") + 1)]


def test_two_folders_for_one_group_are_told_by_its_name(write: Writer) -> None:
    """People are shown the alias, whichever way the ID was written."""
    text = GOOD.replace("cidA==", "cidF==") + "  - {path: HERE/in, name: b, conversation_id: 财务}\n" + NAMES
    (found,) = problems(write(text))
    assert "conversation 财务群:" in found.text


# --- What folders share --------------------------------------------------------------------------


def test_merge_keys_lend_what_a_folder_does_not_set(write: Writer) -> None:
    """Merge keys and `x-` keys work as in other YAML: own keys win, then the first of several lenders."""
    text = "x-a: &a {settle: 7s, rescan: 1h}\nx-b: &b {<<: *a, settle: 9s, watch: poll, x-note: [5.5]}\n"
    text += folder("settle: 5s", "exclude: ['*.old']").replace("  - path", "  - &first\n    path")
    path = write(text + "  - {<<: [*b, *first], path: HERE/two, conversation_id: cidB}\n")
    two = values(path).folders[1]
    assert (two.settle, two.rescan, two.watch, two.exclude) == (9.0, 3600.0, "poll", ("*.old",))
    assert (two.path, two.conversation_ids) == (write.here / "two", ("cidB",))


def test_a_wrong_value_that_is_lent_is_one_problem(write: Writer) -> None:
    """However many folders it reaches, by however many steps, it is told where it is written."""
    text = "x-a: &a {settle: 5}\nx-b: &b\n  <<: *a\n  watch: polling\n"
    text += f"folder_defaults: {{<<: *b, user_ids: a}}\n{GOOD}    <<: *b\n"
    path = write(text + "  - {path: HERE/two}\n  - {path: HERE/3, <<: *a}\n")
    assert keys_and_lines(path) == [("x-a.settle", 1), ("x-b.watch", 4)]


def test_folder_defaults_hold_for_many_folders(write: Writer) -> None:
    """A hundred folders of one line each load, whether they share keys by `folder_defaults` or by `<<`."""
    shared = "{conversation_id: cidA==, settle: 5s, exclude: ['*.old'], x-note: a}"
    head = GOOD[: GOOD.index("folders:")]
    many = "".join(f"  - {{path: HERE/{n}}}\n" for n in range(100)) + "  - {path: HERE/x, exclude: []}\n"
    by_key = values(write(f"{head}folder_defaults: {shared}\nfolders:\n{many}")).folders
    by_merge = values(
        write(f"{head}x-all: &all {shared}\nfolders:\n{many.replace('{', '{<<: *all, ')}")
    ).folders
    assert by_key == by_merge
    assert (len(by_key), by_key[99].settle, by_key[99].exclude) == (101, 5.0, ("*.old",))
    assert (by_key[100].settle, by_key[100].exclude) == (5.0, ())


@pytest.mark.parametrize(
    ("shared", "found"),
    [
        ("{settle: 5}", ("folder_defaults.settle", Problems.DURATION.en)),
        ("{exclude: ['#a']}", ("folder_defaults.exclude[0]", "A gitignore pattern")),
        ("{setle: 5s}", ("folder_defaults.setle", "There is no such key. Did you mean settle?")),
        ("{path: /srv}", ("folder_defaults.path", Problems.NOT_A_DEFAULT.en)),
        ("{name: a}", ("folder_defaults.name", Problems.NOT_A_DEFAULT.en)),
        ("{notice_location: 5}", ("folder_defaults.notice_location", "Without quotes")),
        ("{webhook: 'https://h/robot/send?access_token=a'}", ("folder_defaults.webhook", "A custom robot")),
        ("[settle]", ("folder_defaults", "This must have nested keys")),
    ],
)
def test_a_wrong_default_is_one_problem(write: Writer, shared: str, found: tuple[str, str]) -> None:
    """A fault in `folder_defaults` is told once, where it stands, however many folders it is for."""
    text = GOOD.replace("folders:", f"folder_defaults: {shared}\nfolders:")
    (problem,) = problems(write(text + "  - {path: HERE/two, conversation_id: cidB}\n"))
    assert (problem.key, problem.line) == (found[0], 5)
    assert problem.text.startswith(found[1])


def test_folders_without_dashes_are_told_how_a_list_is_written(write: Writer) -> None:
    """`folders` without list items is told with a folder as example, not with patterns."""
    (problem,) = problems(write(GOOD.replace("  - path", "    path")))
    assert (problem.key, problem.text) == ("folders", Problems.NO_LIST_OF_FOLDERS.en)


@pytest.mark.parametrize(
    ("path", "advice"),
    [
        ("//nas/share", "the mount point, such as /mnt/share"),
        ("~/in", "HOME is not set"),
        ("smb://nas/share", "Mount a network share first"),
    ],
)
def test_paths_that_lead_nowhere_here(write: Writer, path: str, advice: str) -> None:
    """A share's address, and a home that nobody knows, are each told with what to write instead."""
    (problem,) = problems(write(GOOD.replace("HERE/in", path)), {"HOME": "relative"})
    assert problem.key == "folders[0].path"
    assert advice in problem.text


def test_a_local_path_with_two_slashes_is_local(write: Writer) -> None:
    """`//srv/share` is /srv/share where the root directory has a srv: no server is meant."""
    (only,) = values(write(GOOD.replace("HERE/in", "/HERE/in"))).folders
    assert (only.path, only.root) == (write.here / "in", os.fsencode(write.here / "in"))


def test_base_directories_of_the_user(write: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    """XDG_CONFIG_HOME and XDG_STATE_HOME count if they are absolute; root's ledger is the service's."""
    xdg = {"XDG_CONFIG_HOME": f"{write.here}/c", "XDG_STATE_HOME": f"{write.here}/s", "HOME": "/home/x"}
    (write.here / "c" / "dingwatch").mkdir(parents=True)
    (write.here / "c" / "dingwatch" / "config.yaml").touch()
    assert find(None, xdg) == write.here / "c" / "dingwatch" / "config.yaml"
    path = write(GOOD.replace("state_dir: STATE\n", ""))
    for uid, environ, state in (
        (1000, xdg, f"{write.here}/s/dingwatch"),
        (1000, xdg | {"XDG_STATE_HOME": "s"}, "/home/x/.local/state/dingwatch"),
        (0, xdg, "/var/lib/dingwatch"),
    ):
        monkeypatch.setattr(os, "geteuid", lambda uid=uid: uid)
        assert values(path, environ).state_dir == Path(state)


# --- The secret --------------------------------------------------------------------------------

WITHOUT = GOOD.replace(f"  client_secret: {SECRET}\n", "")
BESIDE = WITHOUT.replace("state_dir", "  client_secret_file: HERE/secret\nstate_dir", 1)


def secret_file(write: Writer, content: bytes, mode: int = 0o600) -> None:
    """Write the file HERE/secret."""
    (write.here / "secret").write_bytes(content)
    (write.here / "secret").chmod(mode)


def test_secret_sources(write: Writer) -> None:
    """The secret comes from the file, a file of its own, the environment or systemd."""
    secret_file(write, f"{SECRET}\n".encode())
    (write.here / "credentials").mkdir()
    (write.here / "credentials" / "client_secret").write_text(SECRET)
    (write.here / "credentials" / "client_secret").chmod(0o444)
    credentials = {"CREDENTIALS_DIRECTORY": str(write.here / "credentials")}
    assert values(write(GOOD)).dingtalk.client_secret == SECRET
    assert values(write(BESIDE, 0o644)).dingtalk.client_secret == SECRET
    assert values(write(WITHOUT), {"DINGWATCH_CLIENT_SECRET": SECRET}).dingtalk.client_secret == SECRET
    assert values(write(WITHOUT), credentials).dingtalk.client_secret == SECRET


def test_secret_from_two_places(write: Writer) -> None:
    """A secret that is set twice is an error that names both places."""
    (problem,) = problems(write(GOOD), {"DINGWATCH_CLIENT_SECRET": "other-secret"})
    assert (problem.key, problem.line) == ("dingtalk.client_secret", 3)
    assert "client_secret, $DINGWATCH_CLIENT_SECRET" in problem.text


def test_secret_from_nowhere(write: Writer) -> None:
    """No secret is an error, except for a command that needs none."""
    environ = {"DINGWATCH_CLIENT_SECRET": "", "CREDENTIALS_DIRECTORY": str(write.here)}
    assert keys_and_lines(write(WITHOUT), environ) == [("dingtalk.client_secret", 1)]
    config = load(write(WITHOUT), environ=environ, secret_needed=False)
    assert config.dingtalk.client_secret == ""


def test_secret_open_to_others(write: Writer) -> None:
    """A file with the secret that others can read is an error that says what to run."""
    secret_file(write, SECRET.encode(), 0o640)
    (problem,) = problems(write(BESIDE))
    assert (problem.key, problem.line) == ("dingtalk.client_secret_file", 3)
    assert f"chmod 600 {write.here / 'secret'}" in problem.text
    (problem,) = problems(write(GOOD, 0o604))
    assert f"chmod 600 {write.path}" in problem.text


@pytest.mark.parametrize("wrapped", ["{}\n", " {} \r\n", "'{}'", '"{}"\n', "\ufeff{}\r\n", '\ufeff"{}"'])
def test_a_secret_is_taken_out_of_its_wrapping(write: Writer, wrapped: str) -> None:
    """Line ends, a byte order mark and an env file's quotes are no part of the secret."""
    text = wrapped.format(SECRET)
    assert values(write(WITHOUT), {"DINGWATCH_CLIENT_SECRET": text}).dingtalk.client_secret == SECRET
    for encoding in ("utf-8", "utf-16"):
        secret_file(write, text.encode(encoding))
        assert values(write(BESIDE)).dingtalk.client_secret == SECRET


@pytest.mark.parametrize("odd", ["a b", "a\nb", "密钥", "''", f"{SECRET}\u200b"])
def test_a_variable_with_more_than_a_secret_is_a_problem(write: Writer, odd: str) -> None:
    """What can be no secret is told before DingTalk refuses it, and not repeated."""
    (problem,) = problems(write(WITHOUT), {"DINGWATCH_CLIENT_SECRET": odd})
    assert (problem.key, problem.text) == ("dingtalk.client_secret", Problems.SECRET_ODD_VARIABLE.en)


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A directory that is mounted read-only over a writable one, as containers get their secrets."""
    (tmp_path / "mounted").mkdir()
    path = tmp_path / "mounted"
    mounted = subprocess.run(
        ["/usr/bin/env", "mount", "--bind", path, path], check=False, capture_output=True
    )
    if os.geteuid() != 0 or mounted.returncode:
        pytest.skip("only root may mount")
    try:
        yield path
    finally:
        subprocess.run(["/usr/bin/env", "umount", path], check=True)


def test_a_secret_on_a_read_only_mount_may_be_readable_by_all(write: Writer, read_only: Path) -> None:
    """Docker and Kubernetes mount secrets with mode 0444, which nobody can change."""
    (read_only / "secret").write_text(SECRET)
    (read_only / "secret").chmod(0o444)
    (read_only / "config.yaml").write_bytes(write(GOOD).read_bytes())
    beside = write(BESIDE.replace("HERE/secret", "HERE/mounted/secret"))
    assert [problem.key for problem in problems(beside)] == ["dingtalk.client_secret_file"]
    assert [problem.key for problem in problems(read_only / "config.yaml")] == ["dingtalk.client_secret"]
    subprocess.run(["/usr/bin/env", "mount", "-o", "remount,ro,bind", read_only], check=True)
    for path in (beside, read_only / "config.yaml"):
        assert values(path).dingtalk.client_secret == SECRET


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may write to /run")
def test_a_secret_beneath_run_secrets_may_be_readable_by_all(write: Writer) -> None:
    """Docker puts its secrets there; one that others may write is not accepted there either."""
    Path("/run/secrets").mkdir(exist_ok=True)
    with TemporaryDirectory(dir="/run/secrets") as directory:
        path = Path(directory, "secret")
        path.write_text(SECRET)
        path.chmod(0o444)
        config = write(BESIDE.replace("HERE/secret", str(path)))
        assert values(config).dingtalk.client_secret == SECRET
        path.chmod(0o666)
        assert "chmod 600" in problems(config)[0].text


def test_the_advice_leaves_the_file_readable_for_its_reader(
    write: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of root's that its group may read has to change its owner too, or the service is shut out."""
    secret_file(write, SECRET.encode(), 0o640)
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    (problem,) = problems(write(BESIDE))
    assert f"chown 4711 {write.here}/secret && chmod 600 {write.here}/secret" in problem.text


def test_secret_of_the_sandbox(write: Writer) -> None:
    """What opens only a sandbox on this machine need not be hidden."""
    both = "  api_url: http://127.0.0.1:1\n  oapi_url: http://localhost:1\nstate_dir"
    assert values(write(GOOD.replace("state_dir", both, 1), 0o644)).dingtalk.client_secret == SECRET
    assert problems(
        write(GOOD.replace("state_dir", both.replace("  oapi_url: http://localhost:1\n", "")), 0o644)
    )


@pytest.mark.parametrize("content", [None, b"", b" \n", b"a\nb", b"\xff", b"x" * 5000])
def test_strange_secret_file(write: Writer, content: bytes | None) -> None:
    """A secret's file holds one line of text."""
    if content is not None:
        secret_file(write, content)
    assert keys_and_lines(write(BESIDE)) == [("dingtalk.client_secret_file", 3)]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("client_secret: ", "client_secrt: "),
        ("client_secret: ", "client_secret："),
        ("client_secret: ", "client_secret: !"),
        ("client_secret: ", "client_secret: *"),
        ("client_secret: ", "client_secret: {"),
        ("client_secret: ", "client_secret: @"),
        ("client_secret: ", "client_secret: '"),
        ("client_secret: ", "client_secret: \t- "),
        ("client_secret: ", "? client_secret "),
        ("client_id: dingabc\n  client_secret: ", "client_secret: &a x\n  ? "),
        ("conversation_id: cidA==", f"conversation_id: {SECRET}"),
        ("conversation_id: cidA==", f"exclude: ['#{SECRET}']"),
        ("conversation_id: cidA==", f"{SECRET}: cidA=="),
    ],
)
def test_secret_is_never_shown(write: Writer, before: str, after: str) -> None:
    """However wrongly the secret was written, no problem and no traceback repeats it."""
    with pytest.raises(ConfigError) as caught:
        values(write(GOOD.replace(before, after)))
    told = "".join(traceback.format_exception(caught.value)) + repr(caught.value.problems)
    assert SECRET not in told
    assert SECRET not in repr(values(write(GOOD)))


def test_number_as_secret_is_not_shown(write: Writer) -> None:
    """A secret of digits needs quotes, and is not repeated."""
    (problem,) = problems(write(GOOD.replace(SECRET, "83726151")))
    assert problem.key == "dingtalk.client_secret"
    assert "83726151" not in problem.text


# --- The file ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "sentence"),
    [
        (b"a:\n\t- b\n", 2, Problems.YAML_TAB),
        (b"a: b\nc: d: e\n", 2, Problems.YAML_COLON),
        ("a: b\nc：d\ne: f\n", 2, Problems.YAML_WIDE),
        ("a:\n  b：c\n  d: e\n", 2, Problems.YAML_WIDE),
        ("a: [b]\nc: ['d'，'e']\nf: g\n", 2, Problems.YAML_WIDE),
        (b"a: b\nc\nd: e\n", 2, Problems.YAML_NO_COLON),
        (b"a: b\nc: [!*.tmp]\nd: e\n", 2, Problems.YAML_QUOTES),
        (b"a: b\nc: [!*.tmp, !*.bak]\nd: e\n", 2, Problems.YAML_QUOTES),
        (b"a: b\nc: >x\n", 2, Problems.YAML_QUOTES),
        (b"a: b\nc: 'it's'\n", 2, Problems.YAML_AFTER_QUOTE),
        (b"a: b\nc: {d} e\n", 2, Problems.YAML_AFTER_QUOTE),
        (b"a: b\nc: ['d' 'e']\n", 2, Problems.YAML_COMMA),
        (b"a: b\nc: [d\ne: f\ng: h\n", 2, Problems.YAML_UNCLOSED),
        (b'a: b\nc: "\\\\nas\\share"\n', 2, Problems.YAML_ESCAPE),
        ("a:\n　b: c\n", 2, Problems.WIDE_BLANK),
        ("a: b\n".encode("utf-16"), 1, Problems.UTF16),
        (b"a: b\nc: *.pdf\n", 2, Problems.YAML_QUOTES),
        (b"a: b\nc: *x\n", 2, Problems.YAML_QUOTES),
        (b"a: b\nc: @eaDir\n", 2, Problems.YAML_QUOTES),
        (b"a: b\nc: 'd\n", 2, Problems.YAML_UNCLOSED),
        (b"a: b\nc: [d\n", 2, Problems.YAML_UNCLOSED),
        (b"a: b\n---\nc: d\n", 2, Problems.YAML_DOCUMENTS),
        (b"a:\n  - b\n c: d\n", 3, Problems.YAML_INDENT),
        (b'a: "\\UFFFFFFFF"\n', 1, Problems.YAML_BROKEN),
        (b"a: b\nc: \x00\n", 2, Problems.CONTROL),
        ("a: b\nc: 财\n".encode("gbk"), 2, Problems.NOT_UTF8),
        (b"", None, Problems.NO_KEYS),
        (b"- a\n", None, Problems.NO_KEYS),
        (b"a: " + b"[" * 40, 1, Problems.TOO_NESTED),
        (b"a: &a [*a]\n", 1, Problems.TOO_NESTED),
        (b"a: &a {<<: *a}\n", 1, Problems.TOO_NESTED),
        (b"#" * (LARGEST + 1), None, Problems.TOO_LARGE),
    ],
)
def test_broken_file(write: Writer, text: str | bytes, line: int | None, sentence: Problems) -> None:
    """A file that is no configuration is explained in plain words, at its line."""
    (problem,) = problems(write(text))
    assert (problem.key, problem.line) == ("", line)
    assert problem.text.startswith(sentence.en.partition("{")[0])


def test_billion_laughs(write: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Aliases of aliases end where the limit is, which is lower here: to count up to it takes seconds."""
    monkeypatch.setattr(document, "_MOST_VALUES", 2_000)
    laughs = ["a0: &a0 [ha]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    merges = ["x-0: &x0 {}"] + [f"x-{n}: &x{n} {{<<: [*x{n - 1}, *x{n - 1}]}}" for n in range(1, 40)]
    for lines in (laughs, merges):
        (problem,) = problems(write("\n".join(lines)))
        assert problem.text == Problems.TOO_NESTED.en


@pytest.mark.parametrize("name", ["missing.yaml", ""])
def test_unreadable_file(tmp_path: Path, name: str) -> None:
    """A file that is missing or a directory is told by its path."""
    (problem,) = problems(tmp_path / name)
    assert str(tmp_path) in problem.text


def test_find(tmp_path: Path) -> None:
    """The file is the one that is named, else the environment's, else the user's own."""
    home = {"HOME": str(tmp_path)}
    assert find(Path("x.yaml"), {"DINGWATCH_CONFIG": "y.yaml"}) == Path("x.yaml")
    assert find(None, {"DINGWATCH_CONFIG": "y.yaml"}) == Path("y.yaml")
    own = tmp_path / ".config" / "dingwatch" / "config.yaml"
    own.parent.mkdir(parents=True)
    own.touch()
    assert find(None, home) == own


@pytest.mark.skipif(Path("/etc/dingwatch/config.yaml").exists(), reason="this machine has a configuration")
def test_find_nothing(tmp_path: Path) -> None:
    """Where there is no file, the advice names the places and the option."""
    with pytest.raises(ConfigError) as caught:
        find(None, {"HOME": str(tmp_path), "LANG": "en_US.UTF-8"})
    (problem,) = caught.value.problems
    assert f"{tmp_path}/.config/dingwatch/config.yaml" in problem.text
    assert "-c" in problem.text


PIECES = st.sampled_from(
    [
        *("dingtalk:", "folders:", "\n", "\n  ", "\n  - ", "path: ", "/srv", "conversation_id: ", "cid", "~"),
        *(
            "~x/",
            "name: ",
            "exclude: ",
            "[",
            "]",
            "{",
            "}",
            ",",
            "'",
            '"',
            "&a ",
            "*a",
            "!",
            "!!int ",
            "|\n  ",
        ),
        *("\\", "%YAML 1", "null", "2s", "<<: ", "settle: ", "api_url: http://[", "?", "\x85", "\ufeff"),
        *("**", "[!", "\t", "- ", ": "),
    ]
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=80) | st.lists(PIECES, max_size=30).map("".join) | st.binary(max_size=40))
def test_anything_ends_as_problems(write: Writer, text: str | bytes) -> None:
    """Whatever is in the file, only a ConfigError with at least one problem comes out."""
    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    assert problems(write(raw))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=30))
def test_any_pattern_is_accepted_or_refused(write: Writer, pattern: str) -> None:
    """Whatever a pattern holds, it is taken or told."""
    quoted = pattern.encode("utf-8", "replace").decode().replace("'", "''")
    try:
        values(write(folder(f"include: ['{quoted}']")))
    except ConfigError as error:
        assert error.problems  # noqa: PT017 - either end is right


HOOK = "https://oapi.dingtalk.com/robot/send?access_token=t0k3n-that-nobody-sees"


@pytest.mark.parametrize(
    ("lines", "key", "problem"),
    [
        (f"webhook: {HOOK}", "webhook", Problems.WEBHOOK_FILES),
        (f"webhook: {HOOK}\n    send_as: image", "webhook", Problems.WEBHOOK_FILES),
        (f"webhook: {HOOK.replace('access_', '')}\n    send_as: notice", "webhook", Problems.WEBHOOK),
        (f"webhook: {HOOK.replace('https', 'http')}\n    send_as: notice", "webhook", Problems.CLEAR_TEXT),
        *(
            (f"webhook: '{HOOK.replace('oapi.dingtalk.com', host)}'\n    send_as: notice", "webhook", problem)
            for host, problem in {
                "somebody@oapi.dingtalk.com": Problems.WEBHOOK,
                "somebody:word@oapi.dingtalk.com": Problems.WEBHOOK,
                "oapi.dingtalk.com@evil.example": Problems.WEBHOOK,
                "oapi.dingtalk.com:443@evil.example": Problems.WEBHOOK,
                "oapi.dingtalk.com .evil.example": Problems.WEBHOOK,
                "evil.example": Problems.WEBHOOK_HOST,
                "oapi.dingtalk.com.evil.example": Problems.WEBHOOK_HOST,
                "evil-oapi.dingtalk.com": Problems.WEBHOOK_HOST,
                "api.dingtalk.com": Problems.WEBHOOK_HOST,
                "10.0.0.1": Problems.WEBHOOK_HOST,
                "evil.example\\\\.oapi.dingtalk.com": Problems.WEBHOOK_HOST,
            }.items()
        ),
        ("webhook_secret: SECt0k3n-that-nobody-sees", "webhook_secret", Problems.WEBHOOK_NONE),
        ("message: '{name} {colour}'", "message", Problems.TEMPLATE),
        ("message: '{name:>9}'", "message", Problems.TEMPLATE),
        ("message: '{name!r}'", "message", Problems.TEMPLATE),
        ("message: '{name'", "message", Problems.TEMPLATE),
        ("message: '{}'", "message", Problems.TEMPLATE),
    ],
)
@pytest.mark.parametrize("language", Language)
def test_what_recipients_cannot_do_is_told(
    write: Writer, lines: str, key: str, problem: Problems, language: Language
) -> None:
    """A custom robot asked for files, and a template with an unknown field, are errors that say so."""
    (found,) = problems(write(folder(lines)), language=language)
    assert found.key == f"folders[0].{key}"
    assert found.text == problem.render(language, fields="name, size, folder, path, change")
    assert "t0k3n" not in found.text


@pytest.mark.parametrize(
    "address",
    [
        HOOK,
        HOOK.replace("oapi.dingtalk.com", "OAPI.DingTalk.com:443"),
        HOOK.replace("https://oapi.dingtalk.com", "http://127.0.0.1:8765"),
        HOOK.replace("oapi.dingtalk.com", "ding.company.example"),
    ],
)
def test_a_custom_robot_may_be_where_the_app_is(write: Writer, address: str) -> None:
    """At DingTalk, at the host that `oapi_url` names, or in the sandbox on this machine."""
    text = folder(f"webhook: {address}\n    send_as: notice")
    text = text.replace("dingtalk:\n", "dingtalk:\n  oapi_url: https://ding.company.example\n")
    assert values(write(text)).folders[0].webhook is not None


@pytest.mark.parametrize("lines", ["user_ids: []", "chat_id: []", "user_ids: []\n    chat_id: []"])
def test_an_empty_list_is_no_recipient(write: Writer, lines: str) -> None:
    """A folder whose files would go to nobody is an error."""
    text = folder(lines).replace("    conversation_id: cidA==\n", "")
    (found,) = problems(write(text))
    assert (found.key, found.text) == ("folders[0].conversation_id", Problems.MISSING.render(Language.EN))


def test_a_folder_may_have_every_kind_of_recipient(write: Writer) -> None:
    """They stand together; of a webhook the ledger sees a hash, and nobody its token."""
    config = values(
        write(folder(f"user_ids: [a, b]\n    chat_id: chatX\n    webhook: {HOOK}\n    send_as: notice"))
    )
    (one,) = config.folders
    assert one.recipients[1:-1] == ("user:a", "user:b", "chat:chatX")
    assert re.fullmatch(r"webhook:[0-9a-f]{12}", one.recipients[-1])
    assert "t0k3n" not in repr(config)


def test_sentences_match_their_errors() -> None:
    """Both languages of a sentence have the same placeholders."""
    for problem in Problems:
        assert set(re.findall(r"{\w+}", problem.zh)) == set(re.findall(r"{\w+}", problem.en)), problem


@pytest.mark.parametrize(
    ("text", "patterns"),
    [
        ("*.pdf; *.docx", ["*.pdf", "*.docx"]),
        ("*.pdf；*.docx", ["*.pdf", "*.docx"]),
        ("*.pdf，*.docx", ["*.pdf", "*.docx"]),
        ("*.pdf、*.docx", ["*.pdf", "*.docx"]),
        ("*.pdf|*.docx", ["*.pdf", "*.docx"]),
        ("*.pdf *.docx", ["*.pdf", "*.docx"]),
        (".pdf;.docx", [".pdf", ".docx"]),
        ("*.pdf;docx", ["*.pdf", "docx"]),
        ("*.pdf;", ["*.pdf"]),
        ("Thumbs.db;*.tmp", ["Thumbs.db", "*.tmp"]),
        ("Thumbs.db,*.tmp", ["Thumbs.db", "*.tmp"]),
        ("~$*,*.tmp", ["~$*", "*.tmp"]),
        ("*报告*,*合同*", ["*报告*", "*合同*"]),
        ("draft-*,temp-*", ["draft-*", "temp-*"]),
        ("!*.tmp;!*.part", ["!*.tmp", "!*.part"]),
    ],
)
def test_a_list_in_one_pattern_is_recognised(text: str, patterns: list[str]) -> None:
    """Whatever people separate patterns with, they are told how to write them."""
    assert patterns_in(text) == patterns


@pytest.mark.parametrize(
    "text",
    ["a;b.txt", "a,b", "*Smith, John*", "*甲,乙*", "* copy *.pdf", "Smith, *.pdf", "* *.pdf", "v1.2, *.pdf",
     r"*.a\;*.b", "报告[;,]*.pdf", "{a,b}.txt", "1.5,2.5 报告.xlsx", r"\!important", r"a\ b", "/drafts/",
     "*.sv$"],
)  # fmt: skip
def test_a_name_may_hold_a_separator(write: Writer, text: str) -> None:
    """A semicolon, a comma or a blank within a name is one, and so is an escaped one beside a wildcard."""
    assert values(write(folder(f"include: ['{text}']"))).folders[0].include == (text,)


@pytest.mark.parametrize("line", ["", "language: zh", "x-y: 1"])
def test_a_glance_sees_what_a_check_finds(write: Writer, line: str) -> None:
    """The state directory, the language and the digest are those of the whole configuration."""
    path = write(f"{GOOD}{line}\n")
    for environ in ({}, {"LANG": "zh_CN.UTF-8"}):
        whole = load(path, environ=environ)
        assert take_glance(path, environ) == Glance(whole.state_dir, whole.language, whole.digest)


def test_a_glance_finds_the_state_directory_of_the_environment(write: Writer) -> None:
    """Where the file does not say it, systemd does, or the user's home."""
    path = write(GOOD.replace("state_dir: STATE\n", ""))
    for environ in ({"STATE_DIRECTORY": "/var/lib/other:/x"}, {"HOME": "/home/somebody"}):
        glance = take_glance(path, environ)
        assert glance is not None
        assert glance.state_dir == load(path, environ=environ).state_dir


@pytest.mark.parametrize(
    "text", ["a: [", "- list", "state_dir: 5", "state_dir: relative", "language: 5", "\0"]
)
def test_a_glance_judges_no_file(write: Writer, text: str) -> None:
    """What is wrong with a file, a check says."""
    assert take_glance(write(text), {}) is None


def test_a_glance_trusts_no_file_that_others_may_read(write: Writer, tmp_path: Path) -> None:
    """Nor one that is not there."""
    assert take_glance(write(GOOD, 0o644), {}) is None
    assert take_glance(tmp_path / "nowhere.yaml", {}) is None
