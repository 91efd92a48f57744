import ast
import os
import re
import string
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from enum import Enum
from importlib.metadata import packages_distributions
from pathlib import Path

import click
import pytest
import yaml

from dingwatch import __version__, texts
from dingwatch.cli.app import LazyCommand, cli
from dingwatch.config.schema import KEYS, SECTIONS
from dingwatch.filters import BUILT_IN_EXCLUDES
from dingwatch.intake import phases
from dingwatch.lifecycle import Event, State, diagram
from dingwatch.model import Scope
from dingwatch.texts import Language, Log, Text, choose_language, describe_word
from tests.example import example

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


both = pytest.mark.parametrize("folder", ["docs", "docs/zh"])
"""A test of a page in English and of its twin in Chinese."""


def page(name: str) -> str:
    """Return a document's text."""
    return (ROOT / name).read_text(encoding="utf-8")


def commands(name: str) -> list[str]:
    """Return the one-line commands that a document shows in code blocks."""
    return re.findall(r"```sh\n(python3 -m venv \.venv.*)\n```", page(name))


@both
def test_every_key_is_documented(folder: str) -> None:
    """Each key of the config stands in configuration.md."""
    text = page(f"{folder}/configuration.md")
    keys = frozenset().union(*KEYS.values())
    assert [key for key in sorted(keys) if f"`{key}`" not in text] == []


@both
def test_every_built_in_pattern_is_documented(folder: str) -> None:
    """The last table of configuration.md shows the built-in list, no pattern more and none less."""
    table = page(f"{folder}/configuration.md").rpartition("\n\n|")[2]
    shown = [re.findall(r"`([^`]+)`", line.split("|")[2]) for line in table.splitlines()[2:]]
    patterns = [pattern.replace("\\r", "\r").replace("\\uf00d", "\uf00d") for row in shown for pattern in row]
    assert patterns == list(BUILT_IN_EXCLUDES)


@both
def test_every_default_is_documented(folder: str) -> None:
    """What configuration.md gives as a key's default is what the config has without the key."""
    text = page(f"{folder}/configuration.md")
    said = dict(re.findall(r"^\| `(\w+)` \| `([^`]+)` \|", text, re.MULTILINE))
    checked = set()
    for shape in SECTIONS.values():
        for key, field in shape.model_fields.items():
            if key in said and (field.default is not None or said[key] == "null"):
                meant = shape.model_validate({key: yaml.safe_load(said[key])})
                assert getattr(meant, key) == field.default, key
                checked.add(key)
    assert said.keys() - checked == {"robot_code"}  # its default is another key


@both
def test_every_command_and_option_is_documented(folder: str) -> None:
    """Each command with each of its own options stands in commands.md."""
    text = page(f"{folder}/commands.md")
    for name, command in cli.commands.items():
        assert isinstance(command, LazyCommand)
        assert f"`{name}" in text, name
        loaded = command.load()
        within = loaded.commands if isinstance(loaded, click.Group) else {}
        for inner in within:
            assert f"`{name} {inner}" in text, (name, inner)
        for option in [*loaded.params, *(one for inner in within.values() for one in inner.params)]:
            if isinstance(option, click.Option) and option.name != "path":
                assert option.opts[0] in text, (name, option.opts)


def test_the_example_is_written_from_the_schema() -> None:
    """config.example.yaml has every key with the comments of `texts.Keys`, in the schema's order."""
    assert page("config.example.yaml") == example()


@both
def test_every_state_is_documented(folder: str) -> None:
    """Whatever `status` counts is explained."""
    assert [state for state in State if f"`{state}`" not in page(f"{folder}/commands.md")] == []


def test_the_life_cycle_diagram_is_the_tables() -> None:
    """The picture in docs/design.md is drawn from the table."""
    assert diagram() in page("docs/design.md")


def test_the_diagrams_of_intake_are_its_tables() -> None:
    """So are those of paths, watches and kernel events."""
    drawn = phases.diagram(phases.PATHS), phases.diagram(phases.WATCHES), phases.diagram(phases.COVERAGE)
    assert [one for one in drawn if one not in page("docs/design.md")] == []


def test_every_test_that_is_named_is_there() -> None:
    """docs/reliability.md rests on tests, and names only those that there are."""
    text = page("docs/reliability.md")
    named_there = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", text)
    assert len(named_there) > 20
    for path, name in named_there:
        assert f"def {name}" in page(path), (path, name)


def test_both_readmes_show_the_same_commands() -> None:
    """One command runs the demo, one passes the tests; CI calls the second as it stands."""
    demo, tests = commands("README.md")
    assert commands("README.zh-CN.md") == [demo, tests]
    assert demo.endswith("dingwatch demo")
    assert tests in page(".ci/run")


def test_both_readmes_agree_on_what_to_type() -> None:
    """Apart from the remarks in them, the blocks of both languages are the same."""
    blocks = [
        re.sub(r" *#.*", "", "\n".join(re.findall(r"```\w+\n(.*?)```", page(name), re.DOTALL)))
        for name in ("README.md", "README.zh-CN.md")
    ]
    assert blocks[0] == blocks[1]


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_a_readme_names_only_what_there_is(name: str) -> None:
    """Whatever `dingwatch …` a README shows is a command."""
    shown = set(re.findall(r"`(?:.*/)?dingwatch ([a-z]+)", page(name)))
    assert {"status", "history", "retry", "send", "check"} <= shown <= cli.commands.keys()


STEPS = ("python3", "pip", "ruff", "mypy", "lint-imports", "pytest")


@pytest.mark.parametrize("broken", [None, *STEPS])
def test_ci_is_green_only_if_every_step_is(tmp_path: Path, broken: str | None) -> None:
    """One step that fails makes the whole red, wherever it stands; no sweeps at all do not."""
    here = tmp_path / "tree"
    tools = here / ".venv" / "bin"
    tools.mkdir(parents=True)
    (here / ".ci").mkdir()
    (here / ".ci" / "run").write_text(page(".ci/run"), encoding="utf-8")
    for name in STEPS:
        # The probes before the first step find what they look for; the sweeps collect nothing.
        lines = ['[ "$1" = -c ] && exit 0', '[ "$1" = -m ] && [ "$2" = sweep ] && exit 5']
        tool = (tmp_path if name == "python3" else tools) / name
        tool.write_text("\n".join(["#!/bin/sh", *lines, f"exit {int(name == broken)}", ""]), encoding="utf-8")
        tool.chmod(0o755)
    environ = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["/usr/bin/env", "bash", here / ".ci" / "run"], env=environ, check=False)
    assert (done.returncode == 0) is (broken is None)


def test_every_dependency_has_its_reason() -> None:
    """CONTRIBUTING.md says why each library is there."""
    project = PROJECT["project"]
    wanted = [
        *project["dependencies"],
        *(one for extra in project["optional-dependencies"].values() for one in extra),
        *PROJECT["dependency-groups"]["dev"],
    ]
    text = page("CONTRIBUTING.md")
    assert [one for one in wanted if re.split(r"[\[<>=]", one)[0] not in text] == []


def imported(source: str) -> Iterator[str]:
    """Return the top-level names that a module imports, those by `import_module` too."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names):
                yield from (one.name.partition(".")[0] for one in names)
            case ast.ImportFrom(str(module), level=0):
                yield module.partition(".")[0]
            case ast.Call(ast.Attribute(attr="import_module"), [ast.Constant(str(module))]):
                yield module.partition(".")[0]


def distribution(requirement: str) -> str:
    """Return the normalized name of what a requirement asks for."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=~!; ]", requirement)[0]).lower()


def test_every_library_that_is_imported_is_declared() -> None:
    """What another library brings today may be gone tomorrow: each import has a requirement of its own."""
    project, brought_by = PROJECT["project"], packages_distributions()
    requirements = [
        *project["dependencies"],
        *(one for e in project["optional-dependencies"].values() for one in e),
    ]
    declared = {distribution(one) for one in requirements}
    foreign = {
        name
        for path in ROOT.glob("dingwatch/**/*.py")
        for name in imported(path.read_text(encoding="utf-8"))
        if name not in {"dingwatch", *sys.stdlib_module_names}
    }
    assert {"requests", "websockets", "yaml"} <= foreign
    undeclared = {name for name in foreign if declared.isdisjoint(map(distribution, brought_by[name]))}
    assert undeclared == set()


def test_the_changelog_knows_the_version() -> None:
    """The version of the package is the newest in the changelog."""
    newest = re.search(r"^## \[([^\]]+)\]", page("CHANGELOG.md"), re.MULTILINE)
    assert newest is not None
    assert newest[1] == __version__


def test_links_between_documents_lead_somewhere() -> None:
    """Every relative link of every document names a file that is there."""
    for document in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), (document.name, target)


def sentences() -> Iterator[Text]:
    """Return every sentence of every class."""
    for kind in vars(texts).values():
        if isinstance(kind, type) and issubclass(kind, Enum) and issubclass(kind, Text):
            yield from kind


def test_every_word_of_the_ledger_has_a_chinese_one() -> None:
    """What `why`, `status` and the log show of a delivery's life and of pauses is Chinese in Chinese."""
    words = [*Event, *(scope for scope in Scope if scope is not Scope.ROW)]
    assert [word for word in words if not re.search("[一-鿿]", describe_word(word, Language.ZH))] == []


@pytest.mark.parametrize(("count", "said"), [(0, "0 folders"), (1, "1 folder"), (2, "2 folders")])
def test_nouns_follow_their_number(count: int, said: str) -> None:
    """One folder is not "1 folders"."""
    assert Log.READY.render(Language.EN, count=count) == f"watching {said}"


def placeholders(text: str) -> set[str | None]:
    """Return the names of what is filled in."""
    return {name for _, name, _, _ in string.Formatter().parse(text)} - {None}


def test_every_sentence_is_whole_in_both_languages() -> None:
    """Both languages say something and fill in the same; Chinese has Chinese punctuation."""
    every = list(sentences())
    assert len(every) > 400
    assert [text for text in every if not (text.zh.strip() and text.en.strip())] == []
    assert [text for text in every if placeholders(text.zh) != placeholders(text.en)] == []
    assert [text for text in every if re.search(r"[一-鿿][,:;!?]|[,;(!?][一-鿿]", text.zh)] == []


@pytest.mark.parametrize(
    ("setting", "locale", "language"),
    [
        ("auto", "zh_CN.UTF-8", "zh"),
        ("auto", "en_GB.UTF-8", "en"),
        ("auto", "", "en"),
        ("zh", "C", "zh"),
        ("en", "zh_CN", "en"),
    ],
)
def test_the_language_is_the_settings_or_the_locales(setting: str, locale: str, language: str) -> None:
    """`auto` goes by the locale, anything else is meant."""
    assert choose_language(setting, locale) is Language(language)


def test_nothing_in_the_tree_stands_outside_of_its_place() -> None:
    """The top of the tree holds what a project has there, and nothing else."""
    files = subprocess.run(
        ["/usr/bin/env", "git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split()
    top = {name.split("/")[0] for name in files}
    assert top <= {
        ".ci", ".gitignore", ".pre-commit-config.yaml", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE",
        "README.md", "README.zh-CN.md", "config.example.yaml", "dingwatch", "docs", "pyproject.toml",
        "packaging", "systemd", "tests",
    }  # fmt: skip
