"""The JSON Schema for editors and the check agree, on whatever people write."""

import copy
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dingwatch.config import ranges
from dingwatch.config.assembly import load
from dingwatch.config.checks import Span
from dingwatch.config.json_schema import make_schema
from dingwatch.config.values import ConfigError
from dingwatch.texts import Language, Problems

jsonschema = pytest.importorskip("jsonschema", reason="install the group dev again")

Config = dict[str, Any]
SCHEMA: Final = jsonschema.Draft7Validator(make_schema(lambda _: None))
HOOK: Final = "https://oapi.dingtalk.com/robot/send?access_token=t0k3n"

BEYOND: Final = {
    *(Problems.SECRET_TWICE, Problems.SECRET_NONE, Problems.SECRET_UNREADABLE, Problems.SECRET_STRANGE),
    *(Problems.TOKEN_UNREADABLE, Problems.TOKEN_STRANGE, Problems.SECRET_OPEN, Problems.NETWORK_SHARE),
    *(Problems.SAME_NAME, Problems.OVERLAP, Problems.AROUND_STATE, Problems.WEBHOOK_HOST, Problems.NO_HOME),
    *(Problems.UNKNOWN_ALIAS, Problems.ALIAS_OF_ROBOT, Problems.SAME_CONVERSATION),
    *(text for text in Problems if text.name.startswith("TABLE_")),
}
"""What no schema can find: it lies in several mappings, in other files or on this machine."""

FOLDER: Final[dict[str, list[Any]]] = {
    "conversation_id": ["cidA", ["cidA", "cidB"]],
    "user_ids": ["a", ["a", "b"], []],
    "chat_id": ["chatA", ["chatA"]],
    "recursive": [True, False],
    "include": [None, [], ["*.pdf", "a;b.txt", "*Smith, John*"]],
    "exclude": [["!*.tmp", "/drafts/", r"\#x", "* copy *.pdf", "{a,b}.txt"]],
    "settle": ["1ms", "1h", "2.5s"],
    "existing": ["skip", "send"],
    "hold_over": [None, 0, 10**9],
    "large_files": ["drive", "notice", "fail"],
    "message": ["{name} · {size} {{x}}", "{change}"],
    "notice_location": [r"\\nas\x"],
    "poll_interval": ["10ms", "59.999999m"],
    "rescan": ["100ms", "7d"],
    "shared": [None, "share", "共" * 200],
    "feedback": ["none"],
    "bundle": [None, {"wait": "30s", "from": 5}, {}],
    "before_send": [
        None,
        ["/bin/true", "x"],
        ["true", "", "{fd} {name}", "a{B} {} {1}"],
        ["sh", "-c", "f() { :; }"],
    ],
    "before_send_timeout": ["1ms", "1d"],
    "drive_keep": [None, "90d"],
    "x-note": [5.5, {"a": [None]}],
}
TOP: Final[dict[str, list[Any]]] = {
    "language": ["auto", "zh", "en"],
    "ledger": [
        *(
            None,
            "postgresql+psycopg://u@[::1]:5432/d?sslmode=verify-full",
            "postgresql+psycopg:///d?host=/run/x",
        ),
        *("postgresql+psycopg://", "postgresql+psycopg://u:p%40q@h/d"),
    ],
    "keep": ["1ms", "36500d", "400d"],
    "delivery": [{}, {"workers": 1, "give_up_after": "3d"}, {"workers": 64, "on_uncertain": "hold"}],
    "pace": [{}, {"per_api": None, "per_conversation": "999999/m"}],
    "log": [{}, {"level": "debug", "format": "json"}],
    "http": [
        {},
        {"listen": "127.0.0.1:0"},
        {"listen": "[::1]:65535", "hosts": "a.b"},
        {"hosts": ["1.2.3.4"]},
    ],
    "aliases": [{}, {"财务群": "cidA", "值班": "user:x"}],
    "node": [None, "east", "节" * 200],
    "alerts": [
        {},
        {"to": ["user:a", HOOK], "after": "5m", "daily": "18:00", "heartbeat_url": "http://u/p?x"},
    ],
    "folder_defaults": [{}, {"settle": "5s", "user_ids": "boss"}],
    "x-any": [{"path": 5}],
}
DINGTALK: Final[dict[str, list[Any]]] = {
    "robot_code": [None, "r"],
    "operator_union_id": [None, "u"],
    "api_url": ["https://api.dingtalk.com/", "http://localhost:1", "http://127.9.9.9/x", "https://[::1]:8/"],
    "monthly_calls": [None, 1, 10**9],
}
ODD: Final[list[Any]] = [
    *(None, True, 0, 1, -1, 5, 65, 10**10, 2.5, [], ["x"], ["x", "x"], [1], [None], {}, {"x": 1}, {"x-a": 1}),
    *("", " ", "x", "5", "5s", "0s", "1h", "1.5h", "3601s", "61m", "0.0000001d", "99999d", "1ms", "20/s"),
    *("0/m", "cidX", "user:a", "chat:a", "webhook:0123456789ab", "*.pdf", "#x", "*.pdf;*.doc", "*.a,*.b"),
    *("a\\b", "*.pdf *.doc", "./a", "!", "/", "\\", "!*.tmp", "/srv/x", "srv", "~/x", "/a/*/b", "/a/*/*"),
    *("/a*", "/a/*", "http://x", "https://x", "https://x?y", "https://x#", "http://127.0.0.1:1", "ftp://x"),
    *("https://a:99999", "{name}", "{nam}", "{", "{name!r}", "{name:5}", "{{}}", "127.0.0.1:1", ":1", "a:b"),
    *("localhost:70000", "0.0.0.0:1", "unix:/x/y", "unix:x", "[::1]:1", "[::x]:1", "18:00", "25:00", "send"),
    *("notice", "zip", "poll", HOOK, HOOK.replace("t0k3n", ""), "*.example", "a.b", "财务群", "en", "json"),
    *(
        "postgresql+psycopg://x",
        "postgresql+psycopg://u:p@q@h/d",
        "postgresql+psycopg://h:x/d",
        "postgresql://h/d",
    ),
    *(
        "x" * 201,
        "postgresql+psycopg://h/d#x",
        ["*.pdf"],
        ["*.pdf;"],
        ["cidA", "cidB"],
        [[]],
        ["a.b", "1.2.3"],
    ),
    *({"wait": "1s"}, {"from": 0}, {"a": "cidA"}, {"path": "/srv/x"}),
]
"""Values of all kinds; most of them suit some key and are wrong under the others."""


def some(keys: dict[str, list[Any]]) -> st.SearchStrategy[Config]:
    """Return some of these keys, each with one of its values."""
    return st.fixed_dictionaries({}, optional={key: st.sampled_from(one) for key, one in keys.items()})


@st.composite
def configs(draw: st.DrawFn) -> Config:
    """Return a config that is good on any machine."""
    folders = []
    for number in range(draw(st.integers(0, 2))):
        folder = {"path": f"/srv/{number}/in", "conversation_id": f"cid{number}"} | draw(some(FOLDER))
        folder["name"] = f"f{number}"
        if draw(st.booleans()):
            folder |= {"webhook": HOOK, "webhook_secret": "SEC", "send_as": "notice"}
        folders.append(folder)
    dingtalk = {"client_id": "d", "client_secret": "s3cr3t"} | draw(some(DINGTALK))
    return {"dingtalk": dingtalk, "state_dir": "/var/lib/dw", "folders": folders} | draw(some(TOP))


def places(value: object, above: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Return the paths to all values, but those under the admin's own keys."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [] if not above else [above]
    for key, one in pairs:
        found += [] if str(key).startswith("x-") else places(one, (*above, key))
    return found


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the place of a config file."""
    made = tmp_path_factory.mktemp("schema") / "config.yaml"
    made.touch(mode=0o600)
    return made


def find_problems(path: Path, config: Config) -> set[Problems]:
    """Return which sentences the check finds; JSON is YAML."""
    path.write_text(json.dumps(config, ensure_ascii=False), encoding="utf-8")
    try:
        load(path, environ={"HOME": "/home/wang"}, language=Language.EN)
    except ConfigError as error:
        return {recognise(problem.text) for problem in error.problems}
    return set()


def rendered(problem: Problems) -> re.Pattern[str]:
    """Return what any rendering of a sentence looks like."""
    parts = re.split(r"\{\w+\}", problem.en)
    shown = ".*".join(re.escape(part.replace("{{", "{").replace("}}", "}")) for part in parts)
    return re.compile(shown, re.DOTALL)


SHOWN: Final = {problem: rendered(problem) for problem in Problems}


def recognise(text: str) -> Problems:
    """Return the sentence of which this is a rendering."""
    return next(problem for problem, shown in SHOWN.items() if shown.fullmatch(text))


FAST: Final = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@FAST
@given(configs())
def test_what_the_check_accepts_the_schema_accepts(path: Path, config: Config) -> None:
    """Whatever keys are put together, each with a good value."""
    assert find_problems(path, config) <= BEYOND
    assert list(SCHEMA.iter_errors(config)) == []


@FAST
@given(configs(), st.data())
def test_a_wrong_value_is_refused_by_both(path: Path, config: Config, data: st.DataObject) -> None:
    """One value is replaced by anything, or one key is taken out or mistyped."""
    mutated = copy.deepcopy(config)
    *way, last = data.draw(st.sampled_from(places(config)))
    within: Any = mutated
    for key in way:
        within = within[key]
    match data.draw(st.sampled_from(["replace", "replace", "replace", "remove", "mistype"])):
        case "replace":
            within[last] = data.draw(st.sampled_from(ODD))
        case "remove":
            del within[last]
        case "mistype" if isinstance(within, dict) and way != ["aliases"]:
            within[f"{last}_"] = within.pop(last)
    found = find_problems(path, mutated)
    if not found or not found <= BEYOND:
        assert SCHEMA.is_valid(mutated) is not found, [found, mutated, *SCHEMA.iter_errors(mutated)]


WHOLE: Final[Config] = {
    "dingtalk": {"client_id": "d", "client_secret": "s3cr3t"}
    | {key: one[-1] for key, one in DINGTALK.items()},
    "state_dir": "/var/lib/dw",
    "folders": [{"path": "/srv/in", "name": "f"} | {key: one[0] for key, one in FOLDER.items()}],
} | {key: one[-1] for key, one in TOP.items()}


@pytest.mark.sweep
def test_every_key_with_every_odd_value(path: Path) -> None:
    """What `test_a_wrong_value_is_refused_by_both` draws from, in full."""
    wrong = []
    for place in places(WHOLE):
        for odd in ODD:
            mutated = copy.deepcopy(WHOLE)
            within: Any = mutated
            for key in place[:-1]:
                within = within[key]
            within[place[-1]] = odd
            found = find_problems(path, mutated)
            if (not found or not found <= BEYOND) and SCHEMA.is_valid(mutated) is not (not found):
                wrong.append((place, odd, found))
    assert wrong == []


@pytest.mark.parametrize("to", ["20/s", "/srv/x", "ftp://x", "user:", "chat:", "a=b", "webhook:x", " "])
def test_nobody_is_told_by_what_is_no_recipient(path: Path, to: str) -> None:
    """A name is looked up among the aliases; what looks like part of an address, or of an ID, is none."""
    config = copy.deepcopy(WHOLE) | {"alerts": {"to": to}}
    assert Problems.ALERT_RECIPIENT in find_problems(path, config)
    assert not SCHEMA.is_valid(config)


def test_a_hint_is_not_taken_for_a_secret(path: Path) -> None:
    """Half an address is hidden where it is quoted, not where the sentence shows what a whole one is like."""
    config = copy.deepcopy(WHOLE) | {"alerts": {"to": HOOK.replace("t0k3n", "")}}
    assert find_problems(path, config) == {Problems.WEBHOOK}


@pytest.mark.parametrize("key", ["folders", "dingtalk"])
def test_a_key_that_must_be_there_is_missed(key: str) -> None:
    """The schema knows what is required."""
    config: Config = {"dingtalk": {"client_id": "d"}, "folders": []}
    assert SCHEMA.is_valid(config)
    del config[key]
    assert not SCHEMA.is_valid(config)


@given(st.sampled_from([("1ms", "1h"), ("10ms", "1h"), ("100ms", "7d"), ("1ms", "36500d")]), st.data())
def test_a_range_of_durations_is_one_expression(limits: tuple[str, str], data: st.DataObject) -> None:
    """It accepts what the validator accepts, near the limits too."""
    number = data.draw(
        st.one_of(
            st.from_regex(r"0{0,2}[0-9]{1,9}(\.[0-9]{1,7})?", fullmatch=True),
            st.sampled_from(["36500", "36500.0", "36500.000001", "3600", "60.000001", "0.000017", "168.0"]),
        )
    )
    written = number + data.draw(st.sampled_from(["ms", "s", "m", "h", "d"]))
    pattern = re.compile(f"^(?:{ranges.durations(*limits)})$")
    try:
        Span(*limits)(written)
    except ValueError:
        assert not pattern.search(written)
    else:
        assert pattern.search(written)


def test_the_service_imports_nothing_that_judges_config_files() -> None:
    """A child process reads the config: pydantic takes memory that the service would keep for months."""
    names = ("pydantic", "pydantic_core", "yaml", "dingwatch.config.json_schema", "dingwatch.config.checks")
    code = f"import sys, dingwatch.cli.run; print([one for one in {names} if one in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
