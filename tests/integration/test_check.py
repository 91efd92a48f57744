"""`check` against a DingTalk that refuses: each cause has its own sentence, and says what to click."""

import os
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from email.utils import formatdate
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from dingwatch.cli.context import Session
from dingwatch.cli.online import advice
from dingwatch.dingtalk import API_CONVERSATION_SPACE, API_ROBOTS, API_TOKEN, Host
from dingwatch.model import Cause
from dingwatch.sandbox import Fault, FaultKind, Sandbox, Settings
from dingwatch.texts import Language
from tests.dingtalk.peers import CERTIFICATE
from tests.integration.conftest import Machine

TOKEN, LEGACY_TOKEN = API_TOKEN[Host.API], API_TOKEN[Host.OAPI]


def failure(machine: Machine, language: str = "en_GB.UTF-8") -> str:
    """Run `check`, and return the one failure that it finds."""
    done = machine.do("check", language=language)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stdout + done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("FAIL")]
    return line


CAUSES = {
    "wrong_key": (Fault(TOKEN, FaultKind.ERROR, code="invalidClientIdOrSecret", status=400), "client_secret"),
    "wrong_legacy_key": (Fault(LEGACY_TOKEN, FaultKind.ERROR, code=40096), "client_secret"),
    "not_published": (
        Fault(API_ROBOTS, FaultKind.ERROR, code="permession.checkFailed", status=400),
        "版本管理与发布",
    ),
    "not_published_legacy": (Fault(LEGACY_TOKEN, FaultKind.ERROR, code=50002), "版本管理与发布"),
    "scope": (Fault(API_ROBOTS, FaultKind.NO_PERMISSION), "search qyapi_chat_manage"),
    "robot_outside": (
        Fault(API_ROBOTS, FaultKind.ERROR, code="resource.not.found", status=400),
        "添加机器人",
    ),
    "ip": (Fault(TOKEN, FaultKind.IP_NOT_ALLOWED), "add 127.0.0.1"),
    "ip_legacy": (Fault(LEGACY_TOKEN, FaultKind.IP_NOT_ALLOWED), "add 127.0.0.1"),
    "page": (Fault(TOKEN, FaultKind.HTML, times=None), "a web page"),
    "disabled": (Fault(LEGACY_TOKEN, FaultKind.ERROR, code=50003), "disabled"),
}


@pytest.mark.parametrize("cause", CAUSES)
def test_each_cause_has_its_own_sentence(machine: Machine, sandbox: Sandbox, cause: str) -> None:
    """What DingTalk refuses for is told apart, each with what a person can do."""
    fault, said = CAUSES[cause]
    sandbox.inject(fault)
    assert said in failure(machine)


def test_a_missing_permission_is_named_in_chinese(machine: Machine, sandbox: Sandbox) -> None:
    """Which one, where to click, and that it must be published."""
    sandbox.inject(Fault(API_ROBOTS, FaultKind.NO_PERMISSION))
    del machine.settings["language"]
    machine.write()
    line = failure(machine, "zh_CN.UTF-8")
    assert "权限管理，搜索 qyapi_chat_manage" in line
    assert "发布新版本" in line


def groups(machine: Machine, sandbox: Sandbox, count: int) -> list[str]:
    """Map the folder to some groups; return their ids in the order in which they are checked."""
    found = sorted(one.id for one in sandbox.conversations if one.robot_inside)[:count]
    machine.set_folder(conversation_id=found)
    return found


def test_what_concerns_the_whole_app_is_asked_twice(machine: Machine, sandbox: Sandbox) -> None:
    """A refusal that a second group meets too is not asked for again: calls are billed."""
    with_operator(machine, Settings().operator_union_id)
    found = groups(machine, sandbox, 3)
    sandbox.inject(Fault(API_ROBOTS, FaultKind.NO_PERMISSION, times=None))
    done = machine.do("check")
    assert (done.returncode, sandbox.calls()[API_ROBOTS]) == (1, 2)
    lines = [line for line in done.stdout.splitlines() if line.startswith("FAIL")]
    assert [[one in line for one in found] for line in lines] == [
        [True, False, False],
        [False, True, False],
        [False, False, True],
    ]
    assert done.stdout.count("operator_union_id can use") == 3


@pytest.mark.parametrize("code", ["resource.not.found", "auth.error", "brand.new", None])
def test_the_other_groups_are_checked_all_the_same(
    machine: Machine, sandbox: Sandbox, code: str | None
) -> None:
    """Whatever DingTalk refuses for the first group, the second and third may be well."""
    _first, *others = groups(machine, sandbox, 3)
    kind = FaultKind.NO_PERMISSION if code is None else FaultKind.ERROR
    sandbox.inject(Fault(API_ROBOTS, kind, code=code, status=None if code is None else 400))
    done = machine.do("check")
    assert done.returncode == 1
    for one in others:
        assert f"ok    the robot is in conversation {one}" in done.stdout


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        (Fault(API_ROBOTS, FaultKind.NO_PERMISSION), "qyapi_chat_manage"),
        (Fault(API_ROBOTS, FaultKind.NO_PERMISSION, message="没有权限"), "qyapi_chat_manage"),
        (
            Fault(
                API_ROBOTS, FaultKind.ERROR, code="Forbidden.AccessDenied.Other", status=403, message="denied"
            ),
            "qyapi_chat_manage",
        ),
    ],
)
def test_a_missing_permission_is_named_with_its_purpose(
    machine: Machine, sandbox: Sandbox, answer: Fault, named: str
) -> None:
    """Also where DingTalk does not say which one is missing."""
    sandbox.inject(answer)
    line = failure(machine)
    assert f"search {named}" in line
    assert "only check and init need it" in line


# --- Proxies and clocks ----------------------------------------------------------------------------


class Proxy(BaseHTTPRequestHandler):
    """Passes requests on, with the date changed by so many seconds; or refuses with a status."""

    late, refusal = 0.0, 0

    def answer(self) -> None:
        """Pass one request on."""
        if self.refusal:
            self.send_error(self.refusal)
            return
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name: value for name, value in self.headers.items() if not name.startswith("Proxy-")}
        address = urlsplit(self.path)
        with closing(HTTPConnection(address.netloc, timeout=10)) as connection:
            connection.request(self.command, f"{address.path}?{address.query}", body, headers)
            came = connection.getresponse()
            content = came.read()
        self.send_response_only(came.status)
        self.send_header("Date", formatdate(time.time() - self.late, usegmt=True))
        self.send_header("Content-Type", came.headers["Content-Type"])
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_CONNECT = answer  # noqa: N815 (http.server's names)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@contextmanager
def proxy(*, tls: bool = False, **behaviour: float) -> Iterator[str]:
    """Run a proxy; yield its host and port. With `tls` it shows a certificate that nobody trusts."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Behaving", (Proxy,), behaviour))
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def through(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Have what is started from here on go through a proxy."""

    def use(address: str) -> None:
        for name in ("NO_PROXY", "no_proxy", "http_proxy"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HTTP_PROXY", f"http://somebody:his-password@{address}")

    return use


@pytest.mark.parametrize("quote", ["", '"', "'"])
def test_a_proxy_that_works_is_named_without_its_password(
    machine: Machine, through: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, quote: str
) -> None:
    """It is good to know, and no failure; quotes around it, as an env file may leave them, do not matter."""
    with proxy() as address:
        through(address)
        monkeypatch.setenv("HTTP_PROXY", f"{quote}{os.environ['HTTP_PROXY']}{quote}")
        monkeypatch.setenv("NO_PROXY", f"{quote}dingtalk.example{quote}")
        done = machine.do("check")
    assert done.returncode == 0, done.stdout
    assert f"through the proxy {address}" in done.stdout
    assert "his-password" not in done.stdout + done.stderr


@pytest.mark.parametrize(("refusal", "said"), [(407, "requires a login"), (502, "check the proxy")])
def test_a_proxy_in_the_way_is_blamed(
    machine: Machine, through: Callable[[str], None], refusal: int, said: str
) -> None:
    """One that requires a login is told apart from one that does not get through."""
    with proxy(refusal=refusal) as address:
        through(address)
        line = failure(machine)
    assert said in line
    assert address in line


def test_a_proxy_that_opens_no_tunnel_is_blamed(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """For https the login is asked for before anything of DingTalk's is seen."""
    machine.settings["dingtalk"] |= {"api_url": "https://localhost:1", "oapi_url": "https://localhost:1"}
    machine.write()
    for name in ("NO_PROXY", "no_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    with proxy(refusal=407) as address:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{address}")
        line = failure(machine)
    assert "HTTP 407" in line
    assert f"The proxy {address} requires a login" in line


def test_an_exception_in_quotes_counts(
    machine: Machine, through: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """NO_PROXY may be quoted by an env file as well."""
    through("127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", '"localhost,127.0.0.1"')
    assert machine.do("check").returncode == 0


def test_a_socks_proxy_is_told_to_be_unsupported(
    machine: Machine, through: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The addresses of DingTalk are not what is wrong."""
    through("127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", "socks5h://127.0.0.1:1")
    assert "SOCKS proxy, which dingwatch does not support" in failure(machine)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("http://[::1", "the proxy [::1 "),
        ("http://me:his/password@localhost:1", "the proxy localhost:1 "),
        ("SOCKS5://localhost:1", "SOCKS proxy, which dingwatch does not support"),
    ],
)
def test_a_mistyped_proxy_is_blamed(
    machine: Machine, through: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, written: str, said: str
) -> None:
    """Whatever the environment names as a proxy is shown, without what may be a password."""
    through("127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", written)
    line = failure(machine)
    assert said in line
    assert "his" not in line


def test_a_proxy_that_is_not_there_is_blamed(machine: Machine, through: Callable[[str], None]) -> None:
    """DingTalk itself refused nothing."""
    through("127.0.0.1:1")
    assert "the proxy 127.0.0.1:1" in failure(machine)


def test_who_decrypts_the_traffic_is_found_out(machine: Machine) -> None:
    """A certificate that no public authority gave is somebody's in between."""
    with proxy(tls=True) as address:
        url = f"https://localhost:{address.partition(':')[2]}"
        machine.settings["dingtalk"] |= {"api_url": url, "oapi_url": url}
        machine.write()
        assert "REQUESTS_CA_BUNDLE" in failure(machine)


@pytest.mark.parametrize(("late", "said"), [(1200, "ahead of"), (-1200, "behind")])
def test_a_wrong_clock_is_found(
    machine: Machine, through: Callable[[str], None], late: float, said: str
) -> None:
    """The date of DingTalk's answers tells by how much, and which way."""
    with proxy(late=late) as address:
        through(address)
        line = failure(machine)
    assert f"s {said} DingTalk's" in line
    assert "timedatectl" in line


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("certificate verify failed: certificate has expired", "clock"),
        ("certificate verify failed: certificate is not yet valid", "clock"),
        ("certificate verify failed: self-signed certificate in certificate chain", "decrypts"),
        ("certificate verify failed: unable to get local issuer certificate", "decrypts"),
        ("Hostname mismatch", "CA certificates"),
    ],
)
def test_a_certificate_tells_the_clock_from_an_interception(message: str, said: str) -> None:
    """OpenSSL's own words tell which of the two it is."""
    cause = Cause("unreachable", f"SSLCertVerificationError: {message}", "CERTIFICATE")
    assert said in advice(Session(None, Language.EN), cause, "https://api.dingtalk.com")


# --- The operator ----------------------------------------------------------------------------------


def with_operator(machine: Machine, union_id: str) -> None:
    """Have the config name an operator."""
    machine.settings["dingtalk"]["operator_union_id"] = union_id
    machine.write()


def test_the_operator_is_asked_about_for_each_conversation(machine: Machine, sandbox: Sandbox) -> None:
    """It costs one call that changes nothing; where big files do not go by drive it is not made."""
    with_operator(machine, Settings().operator_union_id)
    done = machine.do("check")
    assert (done.returncode, "operator_union_id can use" in done.stdout) == (0, True), done.stdout
    assert [space.conversation_id for space in sandbox.spaces()] == [sandbox.conversations[0].id]
    machine.set_folder(large_files="fail")
    assert machine.do("check").returncode == 0
    assert sandbox.calls()[API_CONVERSATION_SPACE] == 1


def test_an_operator_who_is_nobody_is_a_failure(machine: Machine) -> None:
    """The sentence names the key."""
    with_operator(machine, "nobody")
    assert "operator_union_id" in failure(machine)


def test_a_permission_that_only_check_needs_is_a_warning(machine: Machine, sandbox: Sandbox) -> None:
    """No delivery asks for a conversation's own space."""
    with_operator(machine, Settings().operator_union_id)
    sandbox.inject(Fault(API_CONVERSATION_SPACE, FaultKind.NO_PERMISSION))
    done = machine.do("check")
    assert (done.returncode, "ConvFile.Space.Read" in done.stdout) == (0, True), done.stdout


def put_systemctl(directory: Path, config: Path, writable: str) -> str:
    """Put a stand-in for systemctl there, which shows the hardened unit; return the search path."""
    directory.mkdir(exist_ok=True)
    program = directory / "systemctl"
    program.write_text(
        "#!/bin/sh\n"
        f"cat <<END\nId=dingwatch.service\nLoadState=loaded\nProtectSystem=strict\nProtectHome=read-only\n"
        f"ReadWritePaths={writable}\nExecStart={{ argv[]=dingwatch run --config {config} ; }}\nEND\n",
        encoding="utf-8",
    )
    program.chmod(0o755)
    return f"{directory}:{os.environ['PATH']}"


@pytest.mark.parametrize(
    ("keys", "asked"),
    [({}, False), ({"feedback": "sidecar"}, True), ({"after_send": "move"}, True)],
    ids=["only read", "sidecar", "move"],
)
def test_a_unit_that_forbids_what_the_config_wants(
    machine: Machine, share: Path, tmp_path: Path, keys: dict[str, str], *, asked: bool
) -> None:
    """The lines that the unit lacks are printed as `systemctl edit` takes them, and are enough."""
    machine.set_folder(**keys)
    path = put_systemctl(tmp_path / "bin", machine.path, "")
    done = machine.call("check", "--offline", PATH=path)
    lines = f"      [Service]\n      ReadWritePaths=-{share}\n"
    assert (done.exit_code, lines in done.stdout, "systemctl edit" in done.stdout) == (0, asked, asked)
    path = put_systemctl(tmp_path / "bin", machine.path, f"-{share}")
    assert "ReadWritePaths" not in machine.call("check", "--offline", PATH=path).stdout
    other = put_systemctl(tmp_path / "bin", tmp_path / "other.yaml", "")
    assert "ReadWritePaths" not in machine.call("check", "--offline", PATH=other).stdout
    assert "ReadWritePaths" not in machine.call("check", "--offline", PATH="/nowhere").stdout


def test_directories_to_come_may_be_written_to(machine: Machine, tmp_path: Path) -> None:
    """Of a folder with a `*`, the unit has to name what holds the directories."""
    (tmp_path / "all" / "one").mkdir(parents=True)
    machine.set_folder(path=str(tmp_path / "all" / "*"), feedback="sidecar")
    path = put_systemctl(tmp_path / "bin", machine.path, "")
    done = machine.call("check", "--offline", PATH=path)
    assert f"ReadWritePaths=-{tmp_path}/all\n" in done.stdout, done.output
