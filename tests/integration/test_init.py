"""`init`, whole and in a process of its own: answers through a pipe, the stand-in at the other end."""

import importlib.util
import os
import pty
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pytest
import yaml
from click.testing import CliRunner, Result

from dingwatch.cli import init
from dingwatch.cli.app import cli
from dingwatch.cli.context import Session
from dingwatch.cli.init import SERVICE, choose_target
from dingwatch.cli.init_config import Choices, alias_of_title, config_text, find_problems, write_all
from dingwatch.config.assembly import load
from dingwatch.config.schema import SECTIONS
from dingwatch.dingtalk import API_ROBOTS, API_UPLOAD
from dingwatch.sandbox import Fault, FaultKind, Sandbox
from dingwatch.texts import Keys, Language
from tests.fork_server import ForkedCommand
from tests.integration.conftest import Machine
from tests.support import PATIENCE, eventually, sha256

needs_stream = pytest.mark.skipif(
    importlib.util.find_spec("dingtalk_stream") is None, reason="needs the extra `stream`"
)
CHINESE, ENGLISH = "zh_CN.UTF-8", "en_GB.UTF-8"
PRESSED_AGAIN = 3.0
"""After how many seconds somebody presses ^C once more."""
ENDED = "no config was written"


@dataclass
class Talk:
    """A run of `init` whose answers come one by one."""

    process: subprocess.Popen[str]
    output: Path
    answers: IO[str]

    def render(self) -> str:
        """Return all that was said so far."""
        return self.output.read_text(encoding="utf-8")

    def answer(self, *lines: str) -> None:
        """Give answers."""
        self.answers.writelines(f"{line}\n" for line in lines)
        self.answers.flush()

    def until(self, words: str) -> None:
        """Wait until something is said."""
        eventually(lambda: words in self.render())

    def interrupt(self) -> None:
        """Press ^C until the command takes notice, as people do, and wait for its end.

        Python learns of a ^C that comes just before it begins to read only when the read ends. One that comes
        while Python shuts down would kill it.
        """
        for _ in range(int(PATIENCE / PRESSED_AGAIN)):
            self.process.send_signal(signal.SIGINT)
            with suppress(AssertionError):
                eventually(lambda: ENDED in self.render() or self.process.poll() is not None, PRESSED_AGAIN)
                break
        self.process.wait(timeout=PATIENCE)

    def end(self) -> int:
        """Give no more answers, and return the exit code."""
        self.answers.close()
        return self.process.wait(timeout=PATIENCE)


@dataclass
class Newcomer:
    """Somebody in an empty directory, with a stand-in at hand."""

    here: Path
    sandbox: Sandbox
    environ: dict[str, str] = field(default_factory=dict)
    talks: list[Talk] = field(default_factory=list)

    @property
    def config(self) -> Path:
        """Where the config is to be."""
        return self.here / "etc" / "config.yaml"

    @property
    def share(self) -> Path:
        """The folder to be watched."""
        return self.here / "share"

    @property
    def credentials(self) -> list[str]:
        """The right answers to the first two questions."""
        return [self.sandbox.client_id, self.sandbox.client_secret]

    def begin(self, *words: str, language: str = ENGLISH) -> Talk:
        """Start `init`."""
        output = self.here / f"output{len(self.talks)}"
        command = ["init", "-c", str(self.config), "--sandbox", self.sandbox.url, *words]
        environ = {**os.environ, **self.environ, "LC_ALL": language}
        streams: Any = {"stdin": subprocess.PIPE, "stderr": subprocess.STDOUT}
        with output.open("w") as said:
            # What is imported depends on the path, and click's words depend on the language at that time.
            if language == ENGLISH and "PYTHONPATH" not in self.environ:
                process: subprocess.Popen[str] = ForkedCommand(command, environ, 0, stdout=said, **streams)
            else:
                command = [sys.executable, "-m", "dingwatch", *command]
                process = subprocess.Popen(command, env=environ, umask=0, text=True, stdout=said, **streams)
        assert process.stdin is not None
        self.talks.append(Talk(process, output, process.stdin))
        return self.talks[-1]

    def answer(self, *answers: str, words: tuple[str, ...] = (), language: str = ENGLISH) -> tuple[int, str]:
        """Run `init` with all its answers; return its exit code and what it said."""
        talk = self.begin(*words, language=language)
        talk.answer(*answers)
        return talk.end(), talk.render()

    def left(self) -> list[str]:
        """Return the files where the config is to be."""
        return sorted(os.listdir(self.config.parent)) if self.config.parent.exists() else []


@pytest.fixture
def newcomer(
    tmp_path: Path, share: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Newcomer]:
    """Somebody who has a folder and nothing else."""
    assert share.is_dir()
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    made = Newcomer(tmp_path, sandbox)
    yield made
    for talk in made.talks:
        talk.process.kill()
        talk.process.wait()
        talk.answers.close()
        # Whatever a test looks at, no run has said a secret.
        assert sandbox.client_secret not in talk.render()


# --- The whole way ---------------------------------------------------------------------------------


@pytest.fixture
def machine(newcomer: Newcomer) -> Iterator[Machine]:
    """The commands as they are typed, with the config that was written."""
    machine = Machine(newcomer.config, {})
    yield machine
    for process in machine.running:
        process.kill()
        process.communicate()


def test_from_an_empty_directory_to_the_first_file_in_the_chat(newcomer: Newcomer, machine: Machine) -> None:
    """Questions, a test file in the group, a config that `check` passes, and then a file of one's own."""
    sandbox, group = newcomer.sandbox, newcomer.sandbox.conversations[0].id
    code, said = newcomer.answer(*newcomer.credentials, str(newcomer.share), "3", group, "y")
    assert code == 0, said
    assert "dingwatch test.txt" in said
    assert [message.file_name for message in sandbox.messages(group)] == ["dingwatch test.txt"]
    assert f"dingwatch run -c {newcomer.config}" in said
    done = machine.do("check")
    assert done.returncode == 0, done.stdout
    machine.start()
    (newcomer.share / "报告.pdf").write_bytes(b"report")
    eventually(lambda: [m.sha256 for m in sandbox.messages(group)][1:] == [sha256(b"report")])


def test_a_new_set_up_counts_its_calls_where_there_is_a_ledger(newcomer: Newcomer, machine: Machine) -> None:
    """The look for the robot and the test file cost billed calls, as any others."""
    sandbox = newcomer.sandbox
    answers = (*newcomer.credentials, str(newcomer.share), "3", sandbox.conversations[0].id, "y")
    assert newcomer.answer(*answers)[0] == 0
    assert machine.stop(machine.start()) == 0
    before = sandbox.billed()
    assert newcomer.answer(*answers, words=("--overwrite",))[0] == 0
    assert machine.status()["api_calls"]["used"] == sandbox.billed() - before == 3


def test_a_chat_id_is_converted(newcomer: Newcomer) -> None:
    """One that DingTalk does not know leads back to the question."""
    group = newcomer.sandbox.conversations[1]
    code, said = newcomer.answer(
        *newcomer.credentials, str(newcomer.share), "2", "chatNever", "2", group.chat_id, "n"
    )
    assert code == 0, said
    assert "cannot convert chatNever (invalideChatId" in said
    assert yaml.safe_load(newcomer.config.read_text("utf-8"))["folders"][0]["conversation_id"] == group.id
    assert newcomer.sandbox.messages(group.id) == ()


@needs_stream
def test_a_mention_finds_the_group(newcomer: Newcomer) -> None:
    """The group's title is shown and confirmed; a word to the robot alone, or in another group, is not it."""
    sandbox, (other, group) = newcomer.sandbox, newcomer.sandbox.conversations[:2]
    talk = newcomer.begin()
    talk.answer(*newcomer.credentials, str(newcomer.share), "1")
    talk.until("mention the robot (@)")
    eventually(lambda: sandbox.stream_connections() == 1)
    sandbox.say("user:user2345", "hi", "user2345")
    talk.until("user2345 wrote to the robot in a private chat")
    for place, answer in ((other, "n"), (group, "y")):
        eventually(lambda place=place: sandbox.say(place.id, "@robot").callback_id)  # type: ignore[misc]
        talk.until(f"“{place.name}”")
        talk.answer(answer)
    talk.answer("y")
    assert talk.end() == 0, talk.render()
    assert sandbox.messages(group.id)[-1].file_name == "dingwatch test.txt"
    assert {ack.code for ack in sandbox.acks()} == {200}
    assert yaml.safe_load(newcomer.config.read_text("utf-8"))["aliases"] == {group.name: group.id}


@pytest.mark.parametrize(
    ("title", "name"),
    [("财务群", "财务群"), (" a\n\x07 b ", "a b"), ("cider", None), ("user: x", None), ("\n", None)],
)
def test_a_title_becomes_a_name_unless_it_could_be_an_id(title: str, name: str | None) -> None:
    """Anybody may name a group anything; the config that `init` writes is good all the same."""
    assert alias_of_title(title) == name


@needs_stream
def test_a_stream_that_is_sent_away_comes_back(newcomer: Newcomer) -> None:
    """A new connection with a new ticket, without a question."""
    sandbox, group = newcomer.sandbox, newcomer.sandbox.conversations[0]
    talk = newcomer.begin()
    talk.answer(*newcomer.credentials, str(newcomer.share), "1")
    eventually(lambda: sandbox.stream_connections() == 1)
    sandbox.disconnect_streams()
    eventually(lambda: sandbox.stream_connections() == 0)
    eventually(lambda: sandbox.stream_connections() == 1)
    sandbox.say(group.id, "@robot")
    talk.until(f"“{group.name}”")


@needs_stream
@pytest.mark.parametrize("interrupted", [False, True])
def test_who_does_not_want_to_wait_chooses_another_way(newcomer: Newcomer, *, interrupted: bool) -> None:
    """After its time, or a ^C, waiting for the mention ends and the other ways are there."""
    talk = newcomer.begin("--wait", "600" if interrupted else "1")
    talk.answer(*newcomer.credentials, str(newcomer.share), "1")
    eventually(lambda: newcomer.sandbox.stream_connections() == 1)
    if interrupted:
        talk.process.send_signal(signal.SIGINT)
    talk.until("No message arrived")
    talk.answer("3", newcomer.sandbox.conversations[0].id, "n")
    assert talk.end() == 0, talk.render()


@needs_stream
def test_a_gateway_that_refuses_is_quoted(newcomer: Newcomer) -> None:
    """What DingTalk said is shown, and the other ways are there."""
    newcomer.sandbox.inject(
        Fault("gateway/connections/open", FaultKind.ERROR, code="robot.notStream", status=400)
    )
    _, said = newcomer.answer(*newcomer.credentials, str(newcomer.share), "1")
    assert re.search(r"Stream connection failed \(.*robot\.notStream", said)


@needs_stream
@pytest.mark.parametrize("kind", [FaultKind.CUT_BEFORE, FaultKind.HTML])
def test_a_connection_that_breaks_is_said(newcomer: Newcomer, kind: FaultKind) -> None:
    """Without the ticket, which is as good as a password."""
    newcomer.sandbox.inject(Fault("stream/connect", kind))
    _, said = newcomer.answer(*newcomer.credentials, str(newcomer.share), "1")
    assert "The Stream connection failed (Invalid" in said
    assert "ticket" not in said
    assert "Traceback" not in said


def test_without_the_package_there_are_other_ways(newcomer: Newcomer) -> None:
    """The sentence has the command that installs it."""
    absent = newcomer.here / "absent"
    absent.mkdir()
    (absent / "dingtalk_stream.py").write_text("raise ImportError")
    newcomer.environ["PYTHONPATH"] = str(absent)
    group = newcomer.sandbox.conversations[0].id
    code, said = newcomer.answer(*newcomer.credentials, str(newcomer.share), "1", "3", group, "n")
    assert (code, "-m pip install dingtalk-stream" in said) == (0, True), said


def test_without_the_permission_to_look_the_test_file_tells(newcomer: Newcomer) -> None:
    """Which one is missing is said; nothing that sends needs it, so the set-up goes on."""
    newcomer.sandbox.inject(Fault(API_ROBOTS, FaultKind.NO_PERMISSION, times=None))
    group = newcomer.sandbox.conversations[0].id
    code, said = newcomer.answer(*newcomer.credentials, str(newcomer.share), "3", group, "y")
    assert code == 0, said
    assert "search qyapi_chat_manage" in said
    assert "The test file will show" in said
    assert [message.file_name for message in newcomer.sandbox.messages(group)] == ["dingwatch test.txt"]


# --- Answers that do not do ------------------------------------------------------------------------


def test_a_wrong_secret_is_asked_for_once_more(newcomer: Newcomer) -> None:
    """It says which cause, and takes the right one then."""
    wrong = [newcomer.sandbox.client_id, "quite-another-secret"]
    group = newcomer.sandbox.conversations[0].id
    code, said = newcomer.answer(*wrong, *newcomer.credentials, str(newcomer.share), "3", group, "n")
    assert code == 0, said
    assert "cannot get a token from api (invalidClientIdOrSecret" in said
    assert "quite-another-secret" not in said
    assert (newcomer.config.parent / "client_secret").read_text() == newcomer.sandbox.client_secret + "\n"


def test_what_is_not_the_secrets_fault_is_tried_again_with_it(newcomer: Newcomer) -> None:
    """An address that is not on the list is put there, and nobody types the secret twice."""
    newcomer.sandbox.inject(Fault("gettoken", FaultKind.IP_NOT_ALLOWED))
    group = newcomer.sandbox.conversations[0].id
    code, said = newcomer.answer(*newcomer.credentials, "y", str(newcomer.share), "3", group, "n")
    assert (code, "add 127.0.0.1" in said) == (0, True), said


def test_a_folder_must_be_one(newcomer: Newcomer) -> None:
    """Relative, a file, around the state, or not to be made: asked for again; else it is made."""
    plain = newcomer.here / "plain"
    plain.write_text("x")
    wanted = newcomer.here / "new" / "财务"
    group = newcomer.sandbox.conversations[0].id
    code, said = newcomer.answer(
        *newcomer.credentials,
        "share", "/srv/\x1b[31m", str(plain), str(newcomer.here),
        str(newcomer.here / "no"), "maybe", "否", str(wanted), "y",
        "3", group, "n",
    )  # fmt: skip
    assert code == 0, said
    for word in (
        "must be an absolute path",
        "control characters",
        "Enter y or n",
        "is not a directory",
        "state_dir",
        "does not exist",
    ):
        assert word in said
    assert (wanted.is_dir(), (newcomer.here / "no").exists()) == (True, False)
    assert yaml.safe_load(newcomer.config.read_text("utf-8"))["folders"][0]["path"] == str(wanted)


def test_a_robot_that_is_not_in_the_group_is_said(newcomer: Newcomer) -> None:
    """With what to click; nothing is sent there, and another group may be chosen."""
    inside, outside = newcomer.sandbox.conversations[0].id, newcomer.sandbox.conversations[3].id
    code, said = newcomer.answer(
        *newcomer.credentials,
        str(newcomer.share),
        "9",
        "3",
        "group",
        "3",
        outside,
        "n",
        "y",
        "3",
        inside,
        "n",
    )
    assert code == 0, said
    assert "添加机器人" in said
    assert "Enter a number from 1 to 3" in said
    assert "begins with cid" in said
    assert yaml.safe_load(newcomer.config.read_text("utf-8"))["folders"][0]["conversation_id"] == inside


def test_a_test_file_that_is_refused_is_sent_again_only_if_wanted(newcomer: Newcomer) -> None:
    """The reason is shown, and the config is written either way."""
    newcomer.sandbox.inject(Fault(API_UPLOAD, FaultKind.NO_PERMISSION))
    group = newcomer.sandbox.conversations[0].id
    code, said = newcomer.answer(*newcomer.credentials, str(newcomer.share), "3", group, "y", "y")
    assert (code, "The test file was not sent (60011" in said) == (0, True), said
    assert len(newcomer.sandbox.messages(group)) == 1


# --- Files -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", [CHINESE, ENGLISH])
def test_what_is_written_is_for_its_owner_only(newcomer: Newcomer, language: str) -> None:
    """Whatever the umask; no secret stands in the config; the comments are in the person's language."""
    group = newcomer.sandbox.conversations[0].id
    code, said = newcomer.answer(
        *newcomer.credentials, str(newcomer.share), "3", group, "n", language=language
    )
    assert code == 0, said
    assert newcomer.left() == ["client_secret", "config.schema.json", "config.yaml"]
    for path in (newcomer.config, newcomer.config.parent / "client_secret"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(newcomer.config.parent.stat().st_mode) == 0o700
    text = newcomer.config.read_text("utf-8")
    assert newcomer.sandbox.client_secret not in text
    expected = Language.ZH if language == CHINESE else Language.EN
    assert f"# {Keys.FOLDERS_SETTLE.render(expected)}" in text
    assert yaml.safe_load(text)["language"] == expected
    assert ("接下来" if expected is Language.ZH else "Next steps") in said
    assert load(newcomer.config, environ=os.environ).dingtalk.client_secret == newcomer.sandbox.client_secret


def test_an_existing_config_is_left_alone(newcomer: Newcomer) -> None:
    """It is refused before anything is asked, unless a person says `--overwrite`; so is another's secret."""
    newcomer.config.parent.mkdir()
    secret = newcomer.config.parent / "client_secret"
    secret.touch()  # as the README has it made
    for path in (newcomer.config, secret):
        path.write_text("mine")
        code, said = newcomer.answer(*newcomer.credentials)
        assert (code, f"{path} already exists" in said, "Client ID" in said) == (1, True, False)
        assert path.read_text() == "mine"
        newcomer.config.unlink(missing_ok=True)
    newcomer.config.write_text("mine")
    answers = (*newcomer.credentials, str(newcomer.share), "3", newcomer.sandbox.conversations[0].id, "n")
    code, said = newcomer.answer(*answers, words=("--overwrite",))
    assert code == 0, said
    assert yaml.safe_load(newcomer.config.read_text("utf-8"))["folders"]


def test_a_place_that_cannot_be_is_found_out_first(newcomer: Newcomer) -> None:
    """Nobody answers ten questions for nothing."""
    newcomer.config.parent.write_text("no directory")
    code, said = newcomer.answer(*newcomer.credentials)
    assert (code, "cannot write files in" in said, "Client ID" in said) == (1, True, False)


def test_a_secret_goes_to_no_strangers_in_clear_text(newcomer: Newcomer) -> None:
    """The address of a stand-in on another machine must be https; that is said before anything is asked."""
    code, said = newcomer.answer(*newcomer.credentials, words=("--sandbox", "http://example.com"))
    assert (code, "clear text" in said, "Client Secret" in said) == (1, True, False)


@pytest.mark.parametrize(
    ("given", "interrupted"), [*((given, True) for given in range(6)), (1, False), (5, False)]
)
def test_the_end_at_any_point_leaves_no_file(newcomer: Newcomer, given: int, *, interrupted: bool) -> None:
    """Whether the answers end or a ^C comes, after any question: one sentence, exit 1, and no file."""
    answers = [*newcomer.credentials, str(newcomer.share), "3", newcomer.sandbox.conversations[0].id]
    questions = [
        "Client ID",
        "Client Secret",
        "The folder to watch",
        "Choose [1]",
        "Conversation ID",
        "Send a small",
    ]
    talk = newcomer.begin()
    talk.answer(*answers[:given])
    talk.until(questions[given])
    if interrupted:
        talk.interrupt()
        assert talk.process.returncode == 1
    assert talk.end() == 1
    assert ENDED in talk.render()
    assert "Traceback" not in talk.render()
    assert newcomer.left() == []


def test_either_all_files_are_written_or_none(tmp_path: Path) -> None:
    """What fails on the second leaves nothing of the first; what was there before stays."""
    first, second = tmp_path / "first", tmp_path / "absent" / "second"
    with pytest.raises(FileNotFoundError):
        write_all({first: "new", second: "new"}, {})
    assert os.listdir(tmp_path) == []
    second = tmp_path / "second"
    second.mkdir()
    with pytest.raises(IsADirectoryError):
        write_all({first: "new", second: "new"}, {})
    assert os.listdir(tmp_path) == ["second"]


@pytest.fixture
def installed(newcomer: Newcomer, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run `init`, in this process, where the systemd unit looks: a file of the test's; the user is given."""

    def run(user: str, service: Path = newcomer.config) -> Result:
        monkeypatch.setattr(init, "SERVICE", service)
        monkeypatch.setattr(init, "SERVICE_USER", user)
        answers = [*newcomer.credentials, str(newcomer.share), "3", newcomer.sandbox.conversations[0].id, "n"]
        words = ["init", "-c", str(newcomer.config), "--sandbox", newcomer.sandbox.url]
        return CliRunner().invoke(cli, words, input="\n".join([*answers, ""]), env={"LC_ALL": ENGLISH})

    return run


@pytest.mark.shows_secret("click's runner shows what is typed, as a terminal would")
def test_a_services_secret_is_handed_over_by_systemd(
    newcomer: Newcomer, installed: Callable[[str], Result]
) -> None:
    """The config names no secret; what to type gives it to `check`, and the config to the service's user."""
    done = installed("nobody-at-all")
    assert done.exit_code == 0, done.output
    secret = newcomer.config.parent / "client_secret"
    assert "client_secret_file" not in yaml.safe_load(newcomer.config.read_text("utf-8"))["dingtalk"]
    assert secret.read_text() == newcomer.sandbox.client_secret + "\n"
    assert f"DINGWATCH_CLIENT_SECRET=$(cat {secret}) dingwatch check" in done.output
    assert f"chown nobody-at-all: {newcomer.config}" in done.output
    assert "systemctl enable --now dingwatch" in done.output


@pytest.mark.shows_secret("click's runner shows what is typed, as a terminal would")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_services_config_is_its_users(newcomer: Newcomer, installed: Callable[[str], Result]) -> None:
    """The service reads it by itself; the secret stays root's."""
    done = installed("nobody")
    assert (done.exit_code, "chown" in done.output) == (0, False), done.output
    assert newcomer.config.owner() == "nobody"
    assert stat.S_IMODE(newcomer.config.stat().st_mode) == 0o600
    assert (newcomer.config.parent / "client_secret").owner() == "root"
    assert stat.S_IMODE(newcomer.config.parent.stat().st_mode) & 0o111 == 0o111


def test_a_secret_in_the_environment_is_one_too_many(newcomer: Newcomer) -> None:
    """With the file there would be two, which the config refuses: what to type begins with that."""
    newcomer.environ["DINGWATCH_CLIENT_SECRET"] = "of another app"
    group = newcomer.sandbox.conversations[0].id
    code, said = newcomer.answer(*newcomer.credentials, str(newcomer.share), "3", group, "n")
    assert (code, "unset DINGWATCH_CLIENT_SECRET" in said) == (0, True), said


# --- On a terminal ---------------------------------------------------------------------------------


def test_a_terminal_does_not_show_the_secret(newcomer: Newcomer) -> None:
    """What is typed is seen, but for the secret."""
    own, theirs = pty.openpty()
    command = [sys.executable, "-m", "dingwatch", "init", "-c", str(newcomer.config)]
    process = subprocess.Popen(
        [*command, "--sandbox", newcomer.sandbox.url],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        env={**os.environ, "LC_ALL": ENGLISH},
    )
    os.close(theirs)
    seen = ""

    def until(words: str) -> None:
        nonlocal seen
        while words not in seen:
            seen += os.read(own, 4096).decode("utf-8", "replace")

    try:
        until("Client ID (AppKey): ")
        os.write(own, f"{newcomer.sandbox.client_id}\n".encode())
        until("Client Secret (AppSecret): ")
        os.write(own, f"{newcomer.sandbox.client_secret}\n".encode())
        until("The folder to watch")
    finally:
        process.kill()
        process.wait()
        os.close(own)
    assert newcomer.sandbox.client_id in seen
    assert newcomer.sandbox.client_secret not in seen


# --- The config's text -----------------------------------------------------------------------------


def choices(language: Language = Language.EN, secret_file: Path | None = None) -> Choices:
    """Return what somebody chose."""
    return Choices(language, "dingabc", secret_file, None, None, "/srv/share/“财务” \\ '1'", "cidA==")


@pytest.mark.parametrize("language", Language)
def test_the_config_names_every_key(tmp_path: Path, language: Language) -> None:
    """With its default if there is one, so that taking each `#` away changes nothing; or with the choice."""
    text = config_text(choices(language, tmp_path / "client_secret"))
    plain = yaml.safe_load(text)["folders"]
    assert plain == [{"path": "/srv/share/“财务” \\ '1'", "conversation_id": "cidA=="}]
    everything = re.sub(r"(?m)^( *)#(?=\w|  +\w)(?!.*: …$)", r"\1", text)
    tree = yaml.safe_load(everything)
    for name, shape in SECTIONS.items():
        if name == "bundle":
            continue  # the file shows it as `null`
        section = {"": tree, "folders[]": tree["folders"][0]}.get(name) or tree[name]
        assert list(section) == [key for key in shape.model_fields if f"#{key}: …\n" not in text]
    loaded = []
    for number, written in enumerate((text, everything)):
        path = tmp_path / f"{number}.yaml"
        path.write_text(written, encoding="utf-8")
        path.chmod(0o600)
        loaded.append(load(path, environ=os.environ, secret_needed=False))
    assert loaded[0] == loaded[1]


def test_every_comment_is_of_a_key() -> None:
    """A key that was renamed takes its comment along."""
    keys = [f"{name.removesuffix('[]')}_{key}" for name in SECTIONS for key in SECTIONS[name].model_fields]
    assert Keys.__members__.keys() <= {key.lstrip("_").upper() for key in keys}


def test_the_services_config_holds_no_secret(tmp_path: Path) -> None:
    """The systemd unit hands it over, and two places would be an error."""
    assert find_problems(choices(), os.environ) == ()
    path = tmp_path / "config.yaml"
    path.write_text(config_text(choices()), encoding="utf-8")
    (tmp_path / "client_secret").write_text("of-the-credential")
    environ = {**os.environ, "CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert load(path, environ=environ).dingtalk.client_secret == "of-the-credential"


@pytest.mark.shows_secret("click's runner shows what is typed, as a terminal would")
def test_an_instance_has_files_of_its_own(
    newcomer: Newcomer, installed: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A config beside the service's is that of `dingwatch@NAME`, with a secret and a state of its own."""
    monkeypatch.setattr(init, "SERVICE_STATE", tmp_path / "states")
    name = newcomer.config.stem
    done = installed("nobody-at-all", service=newcomer.config.with_name("the-service.yaml"))
    assert done.exit_code == 0, done.output
    secret = newcomer.config.with_name(f"{name}.client_secret")
    assert secret.read_text("utf-8") == f"{newcomer.sandbox.client_secret}\n"
    written = yaml.safe_load(newcomer.config.read_text("utf-8"))
    assert written["state_dir"] == str(tmp_path / "states" / name)
    assert "client_secret_file" not in written["dingtalk"]
    assert f"=$(cat {secret}) dingwatch check -c {newcomer.config}" in done.output
    assert f"systemctl enable --now dingwatch@{name}" in done.output
    template = (Path(__file__).parents[2] / "systemd" / "dingwatch@.service").read_text("utf-8")
    assert "StateDirectory=dingwatch/%i" in template
    assert "LoadCredential=client_secret:/etc/dingwatch/%i.client_secret" in template


@pytest.mark.skipif(os.geteuid() != 0, reason="only root sets the system's service up")
def test_where_the_config_goes(tmp_path: Path) -> None:
    """`-c`, then the environment, then the place that the unit looks at."""
    given, named = tmp_path / "a.yaml", tmp_path / "b.yaml"
    environ = {"DINGWATCH_CONFIG": str(named)}
    assert choose_target(Session(given, Language.EN), environ).config == given
    assert choose_target(Session(None, Language.EN), environ).config == named
    target = choose_target(Session(None, Language.EN), {})
    assert (target.config, target.service) == (SERVICE, True)
    unit = (Path(__file__).parents[2] / "systemd" / "dingwatch.service").read_text("utf-8")
    assert f"--config {target.config}" in unit
    assert f"LoadCredential=client_secret:{target.secret}" in unit
