"""Folders with a `*` in their path: one for each directory, for whom the table says."""

import shutil
from pathlib import Path

import pytest

from dingwatch.sandbox import Sandbox
from tests.integration.conftest import Machine
from tests.support import eventually


@pytest.fixture
def departments(machine: Machine, share: Path) -> Path:
    """Return a share with a directory for each department, of which 财务 is in the table."""
    (share / "财务" / "发送").mkdir(parents=True)
    (share / "人事" / "发送").mkdir(parents=True)
    (share / "财务" / "发送" / "old.txt").write_text("old", encoding="utf-8")
    (share / "人事" / "发送" / "before.txt").write_text("before", encoding="utf-8")
    machine.settings["folders"] = [
        {
            **machine.settings["folders"][0],
            "path": str(share / "*" / "发送"),
            "recipients": "people.csv",
            "rescan": "300ms",
        }
    ]
    del machine.settings["folders"][0]["conversation_id"]
    machine.write()
    return share


def add_rows(machine: Machine, *rows: str) -> None:
    """Add rows to the table."""
    with (machine.path.parent / "people.csv").open("a", encoding="utf-8") as table:
        table.writelines(f"{row}\n" for row in rows)


def paths_by_state(machine: Machine, state: str) -> set[str]:
    """Return what is in a state, as folder/path."""
    lines = machine.history("--state", state, "--limit", "100")
    return {f"{line['folder']}/{line['path']}" for line in lines}


def test_what_the_table_does_not_have_is_listed(
    machine: Machine, departments: Path, sandbox: Sandbox
) -> None:
    """`check` and `status` name it, and a row without a directory."""
    add_rows(machine, f"财务,{sandbox.conversations[0].id}", "法务,cidX")
    checked = machine.do("check", "--offline").stdout
    assert f"{departments}/人事 is not in the table" in checked
    assert "names the directory 法务" in checked
    assert [one["name"] for one in machine.status()["folders"]] == ["财务"]
    assert machine.status()["unlisted"] == [f"{departments}/人事"]
    assert f"1 directory is not in the table of recipients, and not watched: {departments}/人事" in (
        machine.do("status").stdout
    )


def test_a_directory_that_came_while_the_service_was_down(
    machine: Machine, departments: Path, sandbox: Sandbox
) -> None:
    """What is newer than the last look is sent; what lay where a row was missing is old."""
    group = sandbox.conversations[0].id
    add_rows(machine, f"财务,{group}", f"新,{group}")
    service = machine.start()
    (departments / "财务" / "发送" / "new.txt").write_text("new", encoding="utf-8")
    eventually(lambda: paths_by_state(machine, "sent") == {"财务/new.txt"})
    machine.stop(service)
    add_rows(machine, f"人事,{group}")
    (departments / "人事" / "发送" / "late.txt").write_text("late", encoding="utf-8")
    (departments / "新" / "发送").mkdir(parents=True)
    (departments / "新" / "发送" / "first.txt").write_text("first", encoding="utf-8")
    machine.start()
    eventually(lambda: "新/first.txt" in paths_by_state(machine, "sent"))
    assert paths_by_state(machine, "sent") == {"财务/new.txt", "新/first.txt"}
    assert paths_by_state(machine, "baseline") == {"财务/old.txt", "人事/before.txt", "人事/late.txt"}


def test_a_directory_that_comes_while_the_service_runs(
    machine: Machine, departments: Path, sandbox: Sandbox
) -> None:
    """It is watched within one `rescan`, and so is one that gets its row; each is named in one line."""
    group = sandbox.conversations[0].id
    add_rows(machine, f"财务,{group}", f"新,{group}")
    service = machine.start()
    (departments / "新" / "发送").mkdir(parents=True)
    (departments / "新" / "发送" / "first.txt").write_text("first", encoding="utf-8")
    eventually(lambda: "新/first.txt" in paths_by_state(machine, "sent"))
    add_rows(machine, f"人事,{group}")
    eventually(lambda: "人事/before.txt" in paths_by_state(machine, "baseline"))
    (departments / "人事" / "发送" / "after.txt").write_text("after", encoding="utf-8")
    eventually(lambda: "人事/after.txt" in paths_by_state(machine, "sent"))
    assert {one["name"] for one in machine.status()["folders"]} == {"财务", "人事", "新"}
    assert machine.status()["unlisted"] == []
    service.terminate()
    _, log = service.communicate()
    assert paths_by_state(machine, "sent") == {"新/first.txt", "人事/after.txt"}
    assert [log.count(f"folder {name}: a new directory") for name in ("财务", "新", "人事")] == [0, 1, 1]


def test_an_edited_table_with_a_mistake_changes_nothing(
    machine: Machine, departments: Path, sandbox: Sandbox
) -> None:
    """The former one stays in force, the mistake is logged once, and the corrected one is taken."""
    group = sandbox.conversations[0].id
    add_rows(machine, f"财务,{group}")
    service = machine.start()
    add_rows(machine, "人事")
    (departments / "新" / "发送").mkdir(parents=True)
    eventually(lambda: len(machine.status()["unlisted"]) == 2)
    (departments / "财务" / "发送" / "new.txt").write_text("new", encoding="utf-8")
    eventually(lambda: "new.txt" in [one.file_name for one in sandbox.messages(group)])
    table = machine.path.parent / "people.csv"
    table.write_text(f"财务,{group}\n人事,{group}\n新,{group}\n", encoding="utf-8")
    eventually(lambda: machine.status()["unlisted"] == [])
    service.terminate()
    _, log = service.communicate()
    assert log.count("line 2: nobody gets the files of 人事") == 1


def test_a_directory_that_is_removed_is_left_and_one_on_a_lost_share_is_not(
    machine: Machine, departments: Path, sandbox: Sandbox
) -> None:
    """An empty parent is a share that is not mounted: its folders are down, not gone."""
    add_rows(machine, *(f"{name},{sandbox.conversations[0].id}" for name in ("财务", "人事")))
    machine.start()
    assert len(machine.status()["folders"]) == 2
    shutil.rmtree(departments / "人事")
    eventually(lambda: [one["name"] for one in machine.status()["folders"]] == ["财务"])
    departments.rename(departments.with_name("elsewhere"))
    departments.mkdir()
    eventually(lambda: machine.status()["folders"][0]["watch"] == "down")
    departments.rmdir()
    departments.with_name("elsewhere").rename(departments)
    eventually(lambda: machine.status()["folders"][0]["watch"] == "inotify")
    assert [one["name"] for one in machine.status()["folders"]] == ["财务"]
