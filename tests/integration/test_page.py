"""The status page in headless Chromium, used as a person would."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect, sync_playwright

from dingwatch.config.values import Config, Http, TcpAddress
from dingwatch.ledger import Store, sqlite_url
from dingwatch.ledger.folder_links import add_link
from dingwatch.sandbox import Fault, FaultKind, Sandbox
from dingwatch.service.daemon import Service
from dingwatch.texts import Log
from tests.support import PATIENCE, config, eventually, folder, port_of, running, sent

CHROMIUM: Final = "/usr/bin/chromium"
TOKEN: Final = "a-token-for-the-sandbox-only"
LOOPBACK: Final = TcpAddress("127.0.0.1", 0)
REFUSED: Final = Fault("media/upload", FaultKind.ERROR, code=40048, times=1)
LOST: Final = Fault("robot/groupMessages/send", FaultKind.CUT_AFTER, times=1)
REMOVED: Final = Fault(
    "robot/groupMessages/send", FaultKind.ERROR, code="bot.stopped", status=400, times=None
)
WIDTHS: Final = (320, 360, 390, 480, 559, 560, 599, 600, 719, 720, 899, 900, 1024, 1280, 1920)
HOSTILE: Final = "<img src=x onerror=alert(1)>'\"&amp;\u202egpj.\x1b[2J.txt"

SCRIPTS: Final = Path(__file__).parent
OVERFLOW: Final = (SCRIPTS / "overflow.js").read_text(encoding="utf-8").partition("\n")[2]
"""Returns the elements that stand out of the window."""
CONTRAST: Final = (SCRIPTS / "contrast.js").read_text(encoding="utf-8").partition("\n")[2]
"""Returns how many texts there are, and those that cannot be told from their ground (WCAG 2.2, AA)."""

FOCUSED: Final = """() => {
  const one = document.activeElement, { outlineStyle, outlineWidth } = getComputedStyle(one);
  const name = one.getAttribute('aria-label') || one.textContent.trim();
  if (one.type === 'date') return 'date|solid|2'; // its fields and its button show the focus themselves
  return one === document.body ? '' : `${name}|${outlineStyle}|${parseFloat(outlineWidth)}`;
}"""
"""Returns the name of what has the focus, and how it shows; empty if nothing has it."""
SMALL: Final = """() => [
  ...document.querySelectorAll('.b, input:not([type=radio], [type=hidden]), select, .chips span')
].filter((one) => one.offsetHeight && one.offsetHeight < 44).map((one) => one.outerHTML)"""
"""Returns what is too low for a finger."""


# --- A browser, and a service to look at -----------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One headless Chromium for all tests."""
    expect.set_options(timeout=PATIENCE * 1000)
    options = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium's own refuses root
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield made
        made.close()


@dataclass
class Reader:
    """Opens pages in a browser of its own, and notes what a page must never do."""

    browser: Browser
    wrong: list[str] = field(default_factory=list)
    contexts: list[BrowserContext] = field(default_factory=list)

    def open(self, address: str, **options: Any) -> Page:  # noqa: ANN401 (the browser's)
        """Open an address in English on a desk, unless the options say otherwise."""
        size = {"width": 1280, "height": 900}
        context = self.browser.new_context(**{"locale": "en-GB", "viewport": size, **options})
        self.contexts.append(context)
        context.set_default_timeout(PATIENCE * 1000)
        page = context.new_page()
        page.on("dialog", lambda dialog: self.wrong.append(f"dialog: {dialog.message}"))
        page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        page.on("console", self._note)
        page.goto(address)
        return page

    def _note(self, message: Any) -> None:  # noqa: ANN401 (the browser's)
        # A service that was stopped on purpose cannot be reached; a refusal is shown to the person.
        expected = ("net::ERR_", "Failed to load resource", "EventSource")
        if message.type == "error" and not any(one in message.text for one in expected):
            self.wrong.append(message.text)


@pytest.fixture
def reader(browser: Browser) -> Iterator[Reader]:
    """Somebody with a browser; what breaks the Content-Security-Policy or the script fails the test."""
    made = Reader(browser)
    yield made
    for context in made.contexts:
        context.close()
    assert made.wrong == []


@pytest.fixture
def one(tmp_path: Path, share: Path, sandbox: Sandbox) -> Config:
    """One folder, and the page on a port of loopback, without a token."""
    made = config(tmp_path / "state", sandbox, folder(share, sandbox.conversations[0].id))
    return replace(made, http=Http(LOOPBACK))


@dataclass
class Site:
    """The page of a running service."""

    service: Service

    @property
    def port(self) -> int:
        """The port that the service listens on."""
        return port_of(self.service)

    @property
    def address(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{self.port}/"


@contextmanager
def serving(setting: Config) -> Iterator[Site]:
    """Run the service and its page."""
    with running(setting) as service:
        yield Site(service)


def need(page: Page, text: str) -> Locator:
    """Return an entry of what needs a person."""
    return page.locator("#needs .need").filter(has_text=text)


def row(page: Page, name: str) -> Locator:
    """Return the row of a folder."""
    return page.locator("#folders tr[data-s]").filter(has_text=name)


def result(page: Page, name: str) -> Locator:
    """Return a file among those that were found."""
    return page.locator("#results details").filter(has_text=name)


def drop(share: Path, *names: str) -> None:
    """Drop files with content of their own."""
    for name in names:
        (share / name).write_text(name, encoding="utf-8", errors="surrogateescape")


def fail(page: Page, share: Path, sandbox: Sandbox, name: str) -> None:
    """Drop a file that DingTalk refuses, and wait until the page says so."""
    sandbox.inject(replace(REFUSED))
    drop(share, name)
    expect(need(page, name)).to_be_visible()


# --- What a person does ----------------------------------------------------------------------------


def test_a_failed_file_is_found_read_and_retried(
    one: Config, share: Path, sandbox: Sandbox, reader: Reader
) -> None:
    """Somebody finds their file by a part of its name, reads why it failed, retries it, and sees it go."""
    with serving(one) as site:
        page = reader.open(site.address)
        drop(share, "Invoice 7.pdf")
        expect(result(page, "Invoice 7.pdf")).to_contain_text("sent")
        fail(page, share, sandbox, "Report Q3.xlsx")
        expect(page.get_by_role("heading", level=1)).to_contain_text("1 thing needs you")
        page.get_by_role("searchbox", name="File name").fill("port q3")
        expect(page.locator("#results .found")).to_contain_text("1 found")
        found = result(page, "Report Q3.xlsx")
        found.locator("summary").click()
        expect(found.locator(".story")).to_contain_text("40048")
        found.get_by_role("button", name="Retry").click()
        expect(result(page, "Report Q3.xlsx")).to_contain_text("sent")
        expect(page.locator("#needs")).to_be_hidden()
        expect(page.get_by_role("heading", level=1)).to_contain_text("All is well")
        eventually(sent(sandbox, 2))


def test_a_need_is_retried_where_it_stands(
    one: Config, share: Path, sandbox: Sandbox, reader: Reader
) -> None:
    """Its entry has the reason, the advice and the button, and goes away."""
    with serving(one) as site:
        page = reader.open(site.address, locale="zh-CN")
        fail(page, share, sandbox, "报销单.pdf")
        entry = need(page, "报销单.pdf")
        expect(entry).to_contain_text("未能发送")
        expect(entry).to_contain_text("40048")
        entry.get_by_role("button", name="重试：报销单.pdf").click()
        expect(page.locator(".toast")).to_have_text("已受理")
        expect(page.locator("#needs")).to_be_hidden()
        eventually(sent(sandbox, 1))


def test_what_is_equal_is_retried_at_once(one: Config, share: Path, sandbox: Sandbox, reader: Reader) -> None:
    """Files that failed for one reason are one entry, and its button retries all of them."""
    sandbox.inject(replace(REFUSED, times=3))
    with serving(one) as site:
        page = reader.open(site.address)
        drop(share, "a.txt", "b.txt", "c.txt")
        button = page.get_by_role("button", name="Retry all 3")
        expect(button).to_be_visible()
        expect(page.locator("#needs .need")).to_have_count(1)
        button.click()
        eventually(sent(sandbox, 3))
        expect(page.locator("#needs")).to_be_hidden()


def test_a_doubt_is_settled(one: Config, share: Path, sandbox: Sandbox, reader: Reader) -> None:
    """Somebody has looked into the conversation: the file is there. No second message leaves."""
    with serving(replace(one, delivery=replace(one.delivery, on_uncertain="hold"))) as site:
        page = reader.open(site.address)
        sandbox.inject(replace(LOST))
        drop(share, "a.txt")
        need(page, "a.txt").get_by_role("button", name="It arrived").click()
        expect(page.locator("#needs")).to_be_hidden()
        expect(result(page, "a.txt")).to_contain_text("sent")
    assert sent(sandbox, 1)()
    assert not sent(sandbox, 2)()


@pytest.mark.parametrize(("label", "arrived"), [("Send all", 5), ("Discard all", 1)])
def test_a_flood_is_decided_on(
    one: Config, share: Path, sandbox: Sandbox, reader: Reader, label: str, arrived: int
) -> None:
    """The button asks once more in the same place, then the flood goes, or is given up."""
    with serving(replace(one, folders=(replace(one.folders[0], hold_over=1),))) as site:
        page = reader.open(site.address)
        drop(share, "first.txt")
        eventually(sent(sandbox, 1))
        drop(share, *(f"{number}.txt" for number in range(4)))
        expect(need(page, "4 files")).to_be_visible()
        expect(page.locator("#results .state", has_text="Held back")).to_have_count(4)
        button = need(page, "4 files").get_by_role("button", name=label)
        button.click()
        expect(button).to_have_text("Sure? Press again")
        assert not sent(sandbox, 2)()
        button.click()
        expect(page.locator("#needs")).to_be_hidden()
        eventually(sent(sandbox, arrived))
        assert not sent(sandbox, arrived + 1)()


def test_a_question_is_withdrawn(one: Config, share: Path, sandbox: Sandbox, reader: Reader) -> None:
    """Who does not press again within 4 s, or presses Escape, has done nothing."""
    with serving(replace(one, folders=(replace(one.folders[0], hold_over=1),))) as site:
        page = reader.open(site.address)
        drop(share, "a.txt", "b.txt")
        button = page.get_by_role("button", name="Send all")
        expect(button).to_be_visible()
        page.clock.install()
        button.click()
        expect(button).to_have_text("Sure? Press again")
        page.clock.run_for(4000)
        expect(button).to_have_text("Send all")
        button.click()
        page.keyboard.press("Escape")
        expect(button).to_have_text("Send all")
    assert not sent(sandbox, 1)()


def test_a_folder_is_paused_and_resumed(one: Config, share: Path, sandbox: Sandbox, reader: Reader) -> None:
    """Its files wait, its row and the list of pauses say so, and they go once it is resumed."""
    with serving(one) as site:
        drop(share, "first.txt")
        eventually(sent(sandbox, 1))
        page = reader.open(site.address)
        page.get_by_role("button", name="Pause: share").click()
        expect(row(page, "share")).to_contain_text("paused")
        expect(page.locator("#pauses")).to_contain_text("by_hand")
        drop(share, "a.txt")
        expect(row(page, "share").locator("td.c").nth(1)).to_have_text("1")
        assert not sent(sandbox, 2)()
        page.locator("#pauses").get_by_role("button", name="Resume: share").click()
        eventually(sent(sandbox, 2))
        expect(page.locator("#pauses")).to_contain_text("Nothing is paused")


def test_a_pause_of_dingtalks_is_tried(one: Config, share: Path, sandbox: Sandbox, reader: Reader) -> None:
    """The robot is back in the group: "Try now" does not wait for the next try."""
    sandbox.inject(REMOVED)
    with serving(one) as site:
        page = reader.open(site.address)
        drop(share, "a.txt")
        expect(page.locator("#pauses")).to_contain_text("bot.stopped")
        sandbox.clear_faults()
        page.get_by_role("button", name="Try now").click()
        eventually(sent(sandbox, 1))
        expect(page.locator("#pauses")).to_contain_text("Nothing is paused")


def test_the_first_file(one: Config, share: Path, reader: Reader) -> None:
    """Just installed, the page says what to do; the first file turns it into the whole page by itself."""
    with serving(one) as site:
        page = reader.open(site.address)
        expect(page.get_by_role("heading", level=1)).to_contain_text("Ready: watching 1 folder")
        expect(page.locator(".first")).to_contain_text(str(share))
        expect(page.locator("#find")).to_have_count(0)
        drop(share, "hello.txt")
        expect(result(page, "hello.txt")).to_contain_text("sent")
        expect(page.locator(".first")).to_have_count(0)


def test_nothing_moves_under_the_reader(one: Config, share: Path, reader: Reader) -> None:
    """While a story is open the list waits; it is renewed once the story is closed."""
    with serving(one) as site:
        page = reader.open(site.address)
        drop(share, "a.txt")
        story = result(page, "a.txt")
        story.locator("summary").click()
        expect(story.locator(".story")).to_contain_text("sha256")
        drop(share, "b.txt")
        expect(page.locator("#numbers")).to_contain_text("2")
        expect(result(page, "b.txt")).to_have_count(0)
        story.locator("summary").click()
        page.locator("h1").click()
        expect(result(page, "b.txt")).to_have_count(1)


def test_what_is_going_on(one: Config, share: Path, sandbox: Sandbox, reader: Reader) -> None:
    """An upload is shown with its progress, a file that waits with what for, and both go by themselves."""
    with serving(one) as site:
        drop(share, "first.txt")
        eventually(sent(sandbox, 1))
        page = reader.open(site.address)
        now = page.locator("#now")
        expect(now).to_contain_text("Nothing is being uploaded")
        lock = share / "~$report.docx"
        lock.touch()
        drop(share, "report.docx")
        expect(now).to_contain_text("Open in an editor (~$report.docx lies beside it)")
        sandbox.inject(Fault("media/upload", FaultKind.SLOW, seconds=2.0))
        drop(share, "slow.pdf")
        expect(now.locator("progress")).to_have_accessible_name("slow.pdf")
        expect(now).to_contain_text("Nothing is being uploaded")
        lock.unlink()
        expect(now).to_contain_text("No file is changing")
        eventually(sent(sandbox, 3))


def test_a_folder_leads_to_its_files(one: Config, share: Path, sandbox: Sandbox, reader: Reader) -> None:
    """A click on its name finds its files, and nothing of others."""
    other = share.parent / "other"
    other.mkdir()
    with serving(replace(one, folders=(*one.folders, folder(other, sandbox.conversations[0].id)))) as site:
        drop(share, "mine.txt")
        drop(other, "theirs.txt")
        eventually(sent(sandbox, 2))
        page = reader.open(site.address)
        row(page, "share").get_by_role("link", name="share").click()
        expect(page.locator("#results .found")).to_contain_text("in share")
        expect(result(page, "mine.txt")).to_have_count(1)
        expect(result(page, "theirs.txt")).to_have_count(0)
        page.get_by_role("link", name="Clear").click()
        expect(result(page, "theirs.txt")).to_have_count(1)


# --- Many folders ----------------------------------------------------------------------------------


@pytest.fixture
def many(tmp_path: Path, sandbox: Sandbox, one: Config) -> Config:
    """Sixty folders, of which one is missing."""
    places = [tmp_path / "many" / f"folder-{number:02}" for number in range(60)]
    for place in places[1:]:
        place.mkdir(parents=True)
    to = sandbox.conversations[0].id
    return replace(one, folders=tuple(folder(place, to, watch="poll") for place in places))


def test_many_folders_are_grouped_and_found(many: Config, reader: Reader) -> None:
    """One line each by state, the well ones folded; filter, chips and order find the rest."""
    drop(Path(os.fsdecode(many.folders[1].root)), "old.txt")
    with serving(many) as site:
        page = reader.open(site.address)
        rows = page.locator("#folders tr[data-s]:visible")
        expect(page.locator("#folders tbody[data-g=needs] .group")).to_contain_text("Needs you")
        expect(rows).to_have_count(25)
        page.get_by_role("button", name="Show the other 35").click()
        expect(rows).to_have_count(60)
        page.get_by_role("searchbox", name="Filter").fill("folder-4 many")
        expect(rows).to_have_count(10)
        page.get_by_role("searchbox", name="Filter").fill("nothing like it")
        expect(page.locator("#folders .none")).to_be_visible()
        page.get_by_role("searchbox", name="Filter").fill("")
        page.get_by_role("radio", name="Needs you").check()
        expect(rows).to_have_count(1)


def test_many_folders_without_script(many: Config, reader: Reader) -> None:
    """The chips narrow by style alone, and the filter asks the server."""
    with serving(many) as site:
        page = reader.open(site.address, java_script_enabled=False)
        rows = page.locator("#folders tr[data-s]:visible")
        expect(rows).to_have_count(60)
        page.get_by_role("radio", name="Needs you").check()
        expect(rows).to_have_count(1)
        page.get_by_role("radio", name="All").check()
        page.get_by_role("searchbox", name="Filter").fill("folder-4 many")
        page.keyboard.press("Enter")
        expect(rows).to_have_count(10)


# --- States ----------------------------------------------------------------------------------------


def test_the_service_stops(one: Config, sandbox: Sandbox, share: Path, reader: Reader) -> None:
    """An open page says so, turns grey, names its age, and goes on by itself when the service is back."""
    drop(share, "old.txt")
    with serving(replace(one, folders=(replace(one.folders[0], existing="send"),))) as site:
        eventually(sent(sandbox, 1))
        page = reader.open(site.address)
        port = site.port
        expect(page.locator(".live")).to_have_text("Live")
    expect(page.locator(".live")).to_have_text("Not connected")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Not connected: this is how it was")
    expect(page.locator("#numbers")).to_have_css("filter", re.compile("grayscale"))
    with serving(replace(one, http=Http(TcpAddress("127.0.0.1", port)))):
        expect(page.locator(".live")).to_have_text("Live")
        expect(page.get_by_role("heading", level=1)).to_contain_text("All is well")
        expect(page.locator("#numbers")).to_have_css("filter", "none")


def test_the_ledger_cannot_be_used(one: Config, share: Path, sandbox: Sandbox, reader: Reader) -> None:
    """The page says so in red, with the file and what to do, and shows the log."""
    with serving(one) as site:
        drop(share, "a.txt")
        eventually(sent(sandbox, 1))
        assert one.ledger_file is not None
        moved = one.ledger_file.with_name("elsewhere")
        one.ledger_file.rename(moved)
        page = reader.open(site.address)
        expect(page.get_by_role("heading", level=1)).to_contain_text("The ledger cannot be used")
        expect(page.locator("#hero")).to_contain_text(str(one.ledger_file))
        expect(page.locator("#folders")).to_have_count(0)
        moved.rename(one.ledger_file)


def test_a_folder_is_down(one: Config, share: Path, reader: Reader) -> None:
    """It is named with what to do, and "Look again" finds it as soon as it is back."""
    slow = replace(one, folders=(replace(one.folders[0], poll_interval=0.2),))
    away = share.with_name("away")
    with serving(slow) as site:
        page = reader.open(site.address)
        expect(row(page, "share")).to_be_visible()
        share.rename(away)
        expect(page.locator("#needs .folder_down")).to_contain_text(str(share))
        expect(row(page, "share")).to_contain_text("Not watched")
        away.rename(share)
        expect(page.locator("#needs")).to_be_hidden()


# --- Who looks, and with what ----------------------------------------------------------------------


def test_without_script(one: Config, share: Path, sandbox: Sandbox, reader: Reader) -> None:
    """Forms do all of it: find, read, retry; what cannot be taken back asks on a page of its own."""
    with serving(replace(one, folders=(replace(one.folders[0], hold_over=1),))) as site:
        live = reader.open(site.address)
        fail(live, share, sandbox, "a.txt")
        page = reader.open(site.address, java_script_enabled=False)
        page.get_by_role("searchbox", name="File name").fill("a.t")
        page.get_by_role("button", name="Find", exact=True).click()
        expect(page.locator("#results .found")).to_contain_text("1 found")
        result(page, "a.txt").locator("summary").click()
        page.get_by_role("link", name=re.compile("The whole story")).click()
        expect(page.locator(".story")).to_contain_text("40048")
        page.get_by_role("button", name="Retry").click()
        expect(page).to_have_url(site.address)
        eventually(sent(sandbox, 1))
        drop(share, "b.txt", "c.txt")
        expect(need(live, "2 files")).to_be_visible()
        page.reload()
        need(page, "2 files").get_by_role("button", name="Send all").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("Held back")
        assert not sent(sandbox, 2)()
        page.get_by_role("button", name="Send all").click()
        expect(page).to_have_url(site.address)
        eventually(sent(sandbox, 3))


def test_by_keyboard_alone(one: Config, share: Path, sandbox: Sandbox, reader: Reader) -> None:
    """Every control is reached and shows that it is; / leads to the search, Enter opens and retries."""
    with serving(one) as site:
        page = reader.open(site.address)
        fail(page, share, sandbox, "a.txt")
        page.reload()
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
        expect(page.get_by_role("link", name="Skip to content")).to_be_in_viewport()
        reached = []
        for _ in range(60):
            page.keyboard.press("Tab")
            reached.append(page.evaluate(FOCUSED))
            if not reached[-1]:
                break
        names = {each.split("|")[0] for each in reached if each}
        assert {"Retry: a.txt", "Pause: share", "Find", "中文"} <= names
        assert [each for each in reached if each and not each.endswith("|solid|2")] == []
        page.keyboard.press("/")
        expect(page.get_by_role("searchbox", name="File name")).to_be_focused()
        page.keyboard.type("a.txt")
        expect(page.locator("#results .found")).to_contain_text("1 found")
        result(page, "a.txt").locator("summary").focus()
        page.keyboard.press("Enter")
        button = result(page, "a.txt").get_by_role("button", name="Retry")
        expect(button).to_be_visible()
        page.keyboard.press("Tab")
        expect(button).to_be_focused()
        page.keyboard.press("Enter")
        eventually(sent(sandbox, 1))
        expect(result(page, "a.txt")).to_contain_text("sent")


def test_hostile_names_are_text(one: Config, share: Path, sandbox: Sandbox, reader: Reader) -> None:
    """Markup in the name of a file or a folder shows as it is, and what turns text around is written out."""
    odd = share.parent / "<script>alert(2)<b>"
    odd.mkdir()
    setting = replace(one, folders=(folder(odd, sandbox.conversations[0].id),))
    with serving(setting) as site:
        page = reader.open(site.address)
        sandbox.inject(replace(REFUSED))
        drop(odd, HOSTILE)
        expect(page.locator("#needs")).to_contain_text(
            "<img src=x onerror=alert(1)>'\"&amp;\\u202egpj.\\u001b[2J.txt"
        )
        expect(page.locator("#folders")).to_contain_text("<script>alert(2)")
        result(page, "<img").locator("summary").click()
        expect(result(page, "<img").locator(".story")).to_contain_text("sha256")
        assert page.locator("main img, main script").count() == 0
        assert not set(page.content()) & set("\u202e\x1b")
        plain = reader.open(
            f"{site.address}?q=%3Cimg%20src%3Dx%3E%22%3E&f=%22%3E%3Cscript%3E", java_script_enabled=False
        )
        assert plain.locator("main img, main script").count() == 0


def test_a_phone(one: Config, share: Path, sandbox: Sandbox, reader: Reader) -> None:
    """On 390 px all is one column, what is pressed is at least 44 px high, and a file is retried."""
    with serving(one) as site:
        page = reader.open(
            site.address, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True
        )
        fail(page, share, sandbox, "a long name that does not fit a line of a phone, not by far.txt")
        assert page.evaluate(OVERFLOW) == []
        small = page.evaluate(SMALL)
        assert small == []
        expect(row(page, "share").locator(".path")).to_be_hidden()
        need(page, "a long name").get_by_role("button", name="Retry").tap()
        eventually(sent(sandbox, 1))
        expect(page.locator("#needs")).to_be_hidden()


def test_no_width_overflows(one: Config, share: Path, sandbox: Sandbox, reader: Reader) -> None:
    """From 320 to 1920 px nothing stands out of the window, however long the names are."""
    long = "供应商结算明细_2026年第三季度（含税·复核后·财务部盖章版）_x" + "w" * 90 + ".xlsx"
    other = share.parent / ("华东区冷链物流园二期" * 6)
    other.mkdir()
    setting = replace(one, folders=(*one.folders, folder(other, sandbox.conversations[0].id, hold_over=1)))
    with serving(setting) as site:
        page = reader.open(site.address, locale="zh-CN")
        fail(page, share, sandbox, long)
        drop(other, "b" * 100 + ".txt", "c.txt")
        expect(need(page, "暂缓发送")).to_be_visible()
        for address in (site.address, f"{site.address}login"):
            page.goto(address)
            for width in WIDTHS:
                page.set_viewport_size({"width": width, "height": 900})
                assert page.evaluate(OVERFLOW) == [], (address, width)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(one: Config, share: Path, sandbox: Sandbox, reader: Reader, scheme: str) -> None:
    """Every text can be told from its ground, in the light and in the dark, on a desk and on a phone."""
    with serving(replace(one, folders=(replace(one.folders[0], hold_over=2),))) as site:
        page = reader.open(site.address, color_scheme=scheme)
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert ground == {"light": "rgb(238, 241, 246)", "dark": "rgb(18, 20, 25)"}[scheme]
        check_contrast(page)
        fail(page, share, sandbox, "a.txt")
        drop(share, "b.txt", "c.txt", "d.txt")
        expect(need(page, "Held back")).to_be_visible()
        page.get_by_role("button", name="Pause: share").click()
        expect(page.locator("#pauses")).to_contain_text("by_hand")
        result(page, "a.txt").locator("summary").click()
        expect(result(page, "a.txt").locator(".story")).to_contain_text("sha256")
        need(page, "Held back").get_by_role("button", name="Discard all").click()
        for width in (390, 1280):
            page.set_viewport_size({"width": width, "height": 900})
            assert check_contrast(page) > 80
        page.goto(f"{site.address}login")
        check_contrast(page)
    page.goto("about:blank")


def check_contrast(page: Page) -> int:
    """Fail where a text is too faint; return how many texts there are."""
    count, faint = page.evaluate(CONTRAST)
    assert faint == []
    return int(count)


def test_languages(one: Config, share: Path, reader: Reader) -> None:
    """The browser's language decides; the link leads to the other one, which actions keep."""
    with serving(one) as site:
        drop(share, "a.txt")
        page = reader.open(site.address, locale="zh-CN")
        expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
        expect(page.locator(".live")).to_have_text("实时")
        page.get_by_role("link", name="English").click()
        expect(page.locator("html")).to_have_attribute("lang", "en")
        expect(result(page, "a.txt")).to_contain_text("sent")
        page.get_by_role("button", name="Pause: share").click()
        expect(row(page, "share")).to_contain_text("paused")
        plain = reader.open(f"{site.address}?lang=en", locale="zh-CN", java_script_enabled=False)
        plain.get_by_role("button", name="Resume: share").first.click()
        expect(plain.locator("html")).to_have_attribute("lang", "en")


def test_a_login(one: Config, reader: Reader) -> None:
    """Without the token nothing is shown; a wrong one is told, the right one opens the page."""
    with serving(replace(one, http=Http(LOOPBACK, TOKEN))) as site:
        page = reader.open(site.address)
        expect(page).to_have_url(f"{site.address}login")
        page.get_by_label("Token").fill("wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("this is not the token")
        page.get_by_label("Token").fill(TOKEN)
        page.keyboard.press("Enter")
        expect(page.locator(".live")).to_have_text("Live")
        assert TOKEN not in page.content()


# --- The page of one folder, for those who drop files into it --------------------------------------


def link(setting: Config, token: str) -> str:
    """Have a token open the page of the first folder, as `folder-link` does; return the page's path."""
    assert setting.ledger_file is not None
    with closing(Store.open(sqlite_url(setting.ledger_file))) as store:
        add_link(store, setting.folders[0].root, setting.folders[0].name, [1], token, time.time())
    return f"f/{token}"


def test_the_last_line_of_the_log_is_in_view(one: Config, reader: Reader) -> None:
    """Fifty lines do not fit: the newest are those that matter."""
    with serving(one) as site:
        for number in range(50):
            site.service._own_log(Log.READY, count=number)
        page = reader.open(site.address)
        page.locator("#log").scroll_into_view_if_needed()
        expect(page.locator("#log li").last).to_be_in_viewport()
        expect(page.locator("#log li").first).not_to_be_in_viewport()


def test_the_page_of_a_folder_says_what_waits_for_an_administrator(
    one: Config, share: Path, sandbox: Sandbox, reader: Reader
) -> None:
    """Files under a flood hold are no queue that gets shorter by itself."""
    with serving(replace(one, folders=(replace(one.folders[0], hold_over=1),))) as site:
        drop(share, "first.txt")
        eventually(sent(sandbox, 1))
        drop(share, "second.txt")
        page = reader.open(site.address)
        expect(need(page, "1 file")).to_be_visible()
        page.goto(site.address + link(one, "opens"))
        row = page.locator("[data-find]")
        expect(row.filter(has_text="second.txt")).to_contain_text("An administrator has to release it first")
        expect(row.filter(has_text="first.txt")).not_to_contain_text("administrator")


def test_the_page_of_a_folder(one: Config, share: Path, sandbox: Sandbox, reader: Reader) -> None:
    """Who has its link sees which files have arrived and why others have not, kept true, without a login."""
    with serving(replace(one, http=Http(LOOPBACK, TOKEN))) as site:
        page = reader.open(site.address + link(one, "opens"), viewport={"width": 390, "height": 844})
        page.clock.install()
        page.reload()
        expect(page.get_by_role("heading", level=1)).to_have_text("share")
        expect(page.locator(".hero")).to_contain_text("No file has been sent yet")
        sandbox.inject(replace(REFUSED))
        drop(share, "refused.mov")
        eventually(lambda: not sandbox.faults())
        drop(share, "Invoice 1.pdf", "Invoice 2.pdf")
        eventually(sent(sandbox, 2))
        page.clock.run_for(16000)
        expect(page.locator(".hero")).to_contain_text("1 file dropped today has not arrived yet")
        expect(page.locator("[data-find]").filter(has_text="Invoice 1.pdf")).to_contain_text("Arrived")
        expect(page.locator("[data-find]").filter(has_text="refused.mov")).to_contain_text("Not sent")
        page.get_by_role("searchbox", name="Find a file").fill("invoice 2")
        expect(page.locator("[data-find]:visible")).to_have_count(1)
        page.get_by_role("searchbox", name="Find a file").fill("nothing")
        expect(page.locator("#office > .none")).to_be_visible()
        text = page.locator("body").inner_text()
        assert not re.search(r"40048|cid6|/tmp|#\d", text.replace(one.folders[0].conversation_ids[0], ""))
        assert page.locator("main button, main a, main form[method=post]").count() == 0
        page.goto(f"{site.address}f/another")
        expect(page.get_by_role("alert")).to_be_visible()
        page.goto(site.address)
        expect(page).to_have_url(f"{site.address}login")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_of_a_folder_is_readable(
    one: Config, share: Path, sandbox: Sandbox, reader: Reader, scheme: str
) -> None:
    """In the light and in the dark, at any width, with hostile names; and it says when nothing is sent."""
    with serving(one) as site:
        sandbox.inject(replace(REFUSED))
        drop(share, HOSTILE)
        eventually(lambda: not sandbox.faults())
        drop(share, "发货单（签收联）" + "w" * 90 + ".pdf")
        eventually(sent(sandbox, 1))
        page = reader.open(site.address + link(one, "opens"), color_scheme=scheme, locale="zh-CN")
        expect(page.locator("[data-find]").first).to_contain_text("已送达")
        expect(page.locator("#office")).to_contain_text("<img src=x onerror=alert(1)>")
        check_contrast(page)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate(OVERFLOW) == [], width
        page.clock.install()
        page.reload()
        expect(page.locator("[data-find]").first).to_contain_text("已送达")
    page.clock.run_for(16000)
    expect(page.locator(".live")).to_have_text("未连接")
    expect(page.locator(".hero")).to_contain_text("暂时停止发送")
    check_contrast(page)
