import random
import unicodedata
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pathspec import GitIgnoreSpec

from dingwatch import filters
from dingwatch.filters import BUILT_IN_EXCLUDES, Filter, FilterRules, LastScan, compile_rules


def excluding(*patterns: str) -> Filter:
    """Return the filter of a folder with these exclude patterns."""
    return filters.path_filter((), patterns, recursive=True)


def accepted(chosen: Filter, names: Sequence[str]) -> list[str]:
    """Return the names that a filter lets through."""
    return [name for name in names if chosen.accepts(name.encode("utf-8", "surrogateescape"))]


@pytest.mark.parametrize(
    "name",
    [".hidden", "~$报告.docx", "a~", "A.TMP", "x.crdownload", "Thumbs.DB", "@eaDir/x.jpg", "sub/.git/config",
     "#recycle/a.pdf", "$RECYCLE.BIN/a.pdf", "System Volume Information/x", "__macosx/a"],
)  # fmt: skip
def test_built_in_excludes_hold_in_any_case_and_at_any_depth(name: str) -> None:
    """Temporary, hidden and system files are never sent."""
    assert not filters.path_filter((), (), recursive=True).accepts(name.encode())


@pytest.mark.parametrize(
    "name", ["报告 2024.pdf", "a.b", "sub dir/中文/x.docx", "template.doc", "partial.pdf"]
)
def test_ordinary_files_pass(name: str) -> None:
    """What only resembles a built-in pattern is sent."""
    assert filters.path_filter((), (), recursive=True).accepts(name.encode())


def test_a_negated_pattern_takes_a_built_in_one_out() -> None:
    """`!*.tmp` lets temporary files pass in any case, and nothing else."""
    chosen = filters.path_filter((), ("!*.tmp",), recursive=True)
    assert chosen.accepts(b"a.tmp")
    assert chosen.accepts(b"A.TMP")
    assert not chosen.accepts(b"a.part")


def test_include_narrows_and_exclude_wins() -> None:
    """A file must match `include`, and must not match `exclude`."""
    chosen = filters.path_filter(("*.pdf",), ("draft*",), recursive=True)
    assert chosen.accepts(b"sub/a.pdf")
    assert not chosen.accepts(b"a.docx")
    assert not chosen.accepts(b"draft-1.pdf")


def test_a_flat_folder_takes_nothing_from_below() -> None:
    """With `recursive: false` only files right beneath the root count."""
    flat = filters.path_filter((), (), recursive=False)
    assert flat.accepts(b"a.pdf")
    assert not flat.accepts(b"sub/a.pdf")
    assert flat.prunes(b"sub")


def test_names_that_are_no_utf8_pass_a_filter() -> None:
    """GBK bytes are matched, not refused."""
    assert filters.path_filter(("*.txt",), (), recursive=True).accepts("报告.txt".encode("gbk"))


# --- Case ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*.pdf", ["SCAN1.PDF", "a.Pdf", "财务/A.pDF"]),
        ("*.[pd]*", ["A.PDF", "a.docx", "A.DOCX"]),
        ("[a-f]*.txt", ["B.TXT", "b.Txt"]),
        ("[!a-f]*.txt", ["G.TXT"]),
        (r"\!urgent*", ["!URGENT.pdf"]),
        (r"\#draft", ["#DRAFT"]),
        (r"a\*b", ["A*B"]),
        ("/drafts/", ["Drafts/a.pdf", "DRAFTS/b/c.pdf"]),
        ("a/**/b", ["A/B", "a/X/y/B"]),
        ("**/archiv/*.log", ["x/ARCHIV/a.LOG"]),
        ("école*", ["ÉCOLE.pdf", "E\u0301cole.pdf", "e\u0301cole.pdf"]),
        ("e\u0301cole*", ["ÉCOLE.pdf"]),
        ("straße*", ["STRAẞE.pdf"]),
        ("istanbul*", ["İSTANBUL.pdf", "ISTANBUL.pdf"]),
        ("ｓｃａｎ*", ["ＳＣＡＮ１.pdf"]),
        ("отчёт*", ["ОТЧЁТ.doc"]),
        ("ὀδυσσεύς*", ["ὈΔΥΣΣΕΎΣ.txt"]),
        ("*.tmp/x", ["A.TMP/X"]),
    ],
)  # fmt: skip
def test_users_patterns_match_in_any_case(pattern: str, names: list[str]) -> None:
    """Both lists tell no case apart: brackets, escapes, anchors and letters beyond ASCII included."""
    assert accepted(excluding(pattern), names) == []
    assert accepted(filters.path_filter((pattern,), ("!*.tmp",), recursive=True), names) == names


@pytest.mark.parametrize(
    ("pattern", "name"),
    [("[!a]x", "AX"), ("[!a]x", "ax"), ("[B-F]", "g"), ("[0-9]", "a"), ("s?n", "SCAN"), ("/a/b", "x/A/B"),
     ("strasse", "straße"), ("*.pdf", "pdf"), ("[a-z]", "[")],
)  # fmt: skip
def test_a_pattern_matches_no_more_than_its_letters(pattern: str, name: str) -> None:
    """A negated bracket excludes both cases of its letters; nothing else is widened."""
    assert excluding(pattern).accepts(name.encode())


def test_a_negated_pattern_matches_in_any_case() -> None:
    """`!keep.bak` takes KEEP.BAK back in, and a later pattern wins over an earlier one."""
    chosen = excluding("*.bak", "!keep.bak", "KEEP.bak.x")
    assert accepted(chosen, ["KEEP.BAK", "a.BAK", "keep.BAK.X"]) == ["KEEP.BAK"]


SEGMENTS = st.lists(
    st.sampled_from(
        [*"aBé", "Ж", "ａ", "文", ".", "-", " ", "*", "?", r"\*", r"\!", r"\[", "[aB]", "[!Éb]", "[a-c]"]
    ),
    min_size=1,
    max_size=4,
).map("".join)
PATTERNS = st.builds(
    lambda mark, start, middle, end: mark + start + "/".join(middle) + end,
    st.sampled_from(["", "", "!"]),
    st.sampled_from(["", "/", "**/"]),
    st.lists(SEGMENTS, min_size=1, max_size=3),
    st.sampled_from(["", "", "/", "/**"]),
).filter(lambda pattern: pattern.strip("! "))  # gitignore has no pattern of blanks alone
BUILT_IN = filters.path_filter((), ("!.*",), recursive=True)
PATHS = (
    st.lists(st.text("aAbBcCéÉжЖａＡ文.-*![ ", min_size=1, max_size=4), min_size=1, max_size=3)
    .map("/".join)
    .filter(lambda path: accepted(BUILT_IN, [path]))  # a.!bc is a download that BitComet has not finished
)


@given(st.lists(PATTERNS, min_size=1, max_size=4), st.lists(PATHS, min_size=1, max_size=20))
def test_any_case_is_gitignore_on_lower_case(patterns: list[str], paths: list[str]) -> None:
    """Patterns match as gitignore's would if pattern and path were written in small letters."""
    reference = GitIgnoreSpec.from_lines([pattern.lower() for pattern in patterns])
    assert accepted(filters.path_filter(patterns, ("!.*",), recursive=True), paths) == [
        path for path in paths if reference.match_file(path.lower())
    ]


@given(
    st.text("abcdefghijklmnopqrstuvwxyzäéñøßæžжψаბ中日ａｂ", min_size=1), st.randoms(use_true_random=False)
)
def test_a_plain_name_matches_each_of_its_spellings(name: str, rng: random.Random) -> None:
    """A name in any mix of small and capital letters, composed or not, is the same to a pattern."""
    mixed = "".join(c.upper() if len(c.upper()) == 1 and rng.random() < 0.5 else c for c in name)
    spelt = unicodedata.normalize(rng.choice(["NFC", "NFD"]), mixed)
    assert not excluding(name).accepts(spelt.encode())


# --- Excluded directories ------------------------------------------------------------------------


def test_nothing_comes_back_from_an_excluded_directory() -> None:
    """As in git: a scan never enters the directory, so no event sends from it either."""
    inside = ["drafts/final.pdf", "drafts/a.pdf", "Drafts/sub/final.pdf"]
    assert accepted(excluding("drafts/", "!drafts/final.pdf"), inside) == []
    assert accepted(excluding("/drafts/*", "!final.pdf"), inside) == ["drafts/final.pdf"]


@pytest.mark.parametrize(
    ("path", "pattern"),
    [("Thumbs.DB", "Thumbs.db"), ("a/x.TMP", "*.tmp"), ("#recycle/a", "#recycle"), ("a/B.bak", "*.BAK"),
     ("drafts/final.pdf", "drafts/"), ("x.pdf", None), ("a.td.cfg", "*.td.cfg")],
)  # fmt: skip
def test_the_pattern_that_excludes_a_path_is_named(path: str, pattern: str | None) -> None:
    """`why` shows the pattern as it is written in the list or the config."""
    assert excluding("*.BAK", "drafts/", "!final.pdf").excluding(path.encode()) == pattern


# --- What programs leave behind ------------------------------------------------------------------

LEFT_BEHIND = {
    "tags and streams of Windows": (
        "foo.pdf:Zone.Identifier", "foo.pdf\uf03aZone.Identifier", "foo.pdf:Zone.Identifier:$DATA",
        "Thumbs.db:encryptable", "foo.pdf:AFP_AfpInfo", "foo.pdf:AFP_Resource",
    ),
    "locks": (
        "plan.dwl", "plan.DWL2", "~$齿轮.SLDPRT", "db.ldb", "客户.laccdb", "~册~1x2y.idlk", "片.prlock",
        "#emacs.txt#", ".~lock.a.odt#", "a.swo", "模型.rhl",
    ),
    "while a program saves": (
        "plan_1_1_0001.sv$", "a.ac$", "图.zs$", "atmp1234", "atmpA0f3", "a.$$$", "~WRD0001.tmp",
        "ppt1A2B.TMP", "render.blend@", "App.kt___jb_tmp___", ".~报告.docx",
        "报告.pdf.sb-1a2b3c4d-Ab9xYz/报告.pdf", "(A Document Being Saved By TextEdit 2)/a.txt",
    ),
    "unfinished downloads": (
        "movie.mkv.xltd", "movie.mkv.xltd.cfg", "movie.td", "movie.td.cfg", "书.pdf.baiduyun.p.downloading",
        "书.pdf.baiduyun.uploading.cfg", "iso.!qB", "a.!ut", "a.!BT", "l.!bc", "a.bc!", "m.jc!",
        "a.opdownload", "n.unfinished", "a.iso.aria2", "a.mp4.part-Frag12", "a.mp4.ytdl", "001.part.met",
        "a.dtapart", "a.fdmdownload", "Unconfirmed 1.crdownload", "a.filepart",
    ),
    "synchronisation": (
        "t.ffs_tmp", "sync.ffs_db", "sync.ffs_lock", "z.synctmp", "a.!sync", "_gsdata_/x", "DfsrPrivate/x",
        "~syncthing~a.tmp",
    ),
    "recycle bins and snapshots": (
        "@Recycle/x.txt", "#recycle/x", ".recycle/x", "$RECYCLE.BIN/x", "RECYCLER/x.txt", "Recycled/x",
        "trashbox/x", "Network Recycle Bin 1/x", "Network Trash Folder/x", ".Trash-1000/files/x",
        "@Recently-Snapshot/x.txt", "#snapshot/x", "~snapshot/x", ".snapshot/x", ".zfs/snapshot/x",
        "@GMT-2026.11.29-12.00.00/x", "OneNote_RecycleBin/x",
    ),
    "indexes of a NAS": (
        "@eaDir/a/SYNOPHOTO_THUMB_M.jpg", "a.jpg@SynoEAStream", "a.jpg@SynoResource", "@tmp/x.txt",
        "@sharebin/x", ".@__thumb/x", "@__thumb/x",
    ),
    "systems": (
        "ehthumbs.db", "Thumbs.db", "FOUND.000/x.txt", "System Volume Information/x", "lost+found/x",
        "Temporary Items/x.txt", ".DS_Store", "._a.pdf", "Icon\r", "Icon\uf00d", ":2eDS_Store", "__MACOSX/x",
        ".nfs00000000000001", ".fuse_hidden0000001",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", LEFT_BEHIND)
def test_what_programs_leave_behind_is_not_sent(kind: str) -> None:
    """Neither at the top of a folder nor beneath, and in any case."""
    names = LEFT_BEHIND[kind]
    assert (
        accepted(excluding(), [*names, *(f"a/财务/{name}" for name in names), *map(str.upper, names)]) == []
    )


@pytest.mark.parametrize(
    "name",
    ["合同.bak", "yarn.lock", "a.lck", "a.old", "a.orig", "a.log", "Icons/a.png", "Icon", "Icon2",
     "@财务/a.pdf", "#1 报告#2.pdf", "recycle/a.pdf", "snapshot.png", "FOUND.pdf", "tmp/a.pdf", "atmp.txt",
     "atmosphere.pdf", "plan.dwg", "db.mdb", "a.torrent", "downloading.pdf", "td.pdf", "a.cfg",
     "Zone.Identifier.docx",
     "a$.pdf", "2026:11.pdf", "sync/a.pdf", "A1B2C3D0"],
)  # fmt: skip
def test_what_people_may_mean_is_sent(name: str) -> None:
    """Backups, and names that only resemble what programs leave behind, are files like others."""
    assert accepted(excluding(), [name]) == [name]


def test_each_built_in_pattern_can_be_taken_out() -> None:
    """`!pattern` removes the pattern from the list in any case, and no other."""
    for pattern in BUILT_IN_EXCLUDES:
        chosen = excluding(f"!{pattern.swapcase()}")
        assert set(BUILT_IN_EXCLUDES) - set(chosen.built_in) == {pattern}
        assert chosen.patterns == ()


def test_without_a_pattern_its_names_are_sent() -> None:
    """What was taken out is sent, unless another pattern of the list covers it."""
    chosen = excluding("!*.dwl", "!.*", r"!\#recycle")
    names = ["a.DWL", ".env", "#recycle/a.pdf", "a.dwl2", ".DS_Store", ".a.tmp", ".~lock.a#"]
    assert accepted(chosen, names) == ["a.DWL", ".env", "#recycle/a.pdf"]


def test_all_built_in_patterns_can_be_taken_out() -> None:
    """An empty list excludes nothing."""
    chosen = excluding(*(f"!{pattern}" for pattern in BUILT_IN_EXCLUDES))
    assert accepted(chosen, [".x", "a.tmp", "x"]) == [".x", "a.tmp", "x"]


# --- Filters that change -------------------------------------------------------------------------


def test_rules_survive_the_ledger() -> None:
    """What is read back is what was written, with names that are not ASCII."""
    rules = FilterRules(("*.pdf", "报告*"), ("!*.tmp",), recursive=False)
    assert FilterRules.load(rules.dump()) == rules


def test_the_rules_of_0_1_are_kept() -> None:
    """A ledger of 0.1 is understood as 0.1 understood it: users' patterns by case, its own list without."""
    old = compile_rules(
        FilterRules(("*.pdf", "plan.*", "*.tmp"), ("*.bak", "!*.TMP"), recursive=True, version=1)
    )
    names = [
        "a.pdf",
        "A.PDF",
        "plan.dwl",
        "plan.bak",
        "plan.BAK",
        "a.tmp",
        ".pdf",
        "THUMBS.DB",
        "e\u0301.pdf",
    ]
    assert accepted(old, names) == ["a.pdf", "plan.dwl", "plan.BAK", "a.tmp", "e\u0301.pdf"]


@pytest.mark.parametrize(
    ("before", "now", "widened"),
    [
        (FilterRules(("*.pdf",), (), recursive=True, version=1), FilterRules(("*.pdf",), (), recursive=True),
         ["A.PDF"]),
        (FilterRules(("*.pdf",), (), recursive=True), FilterRules(("*.pdf", "*.txt"), (), recursive=True),
         ["b.txt", "sub/d.txt"]),
        (FilterRules((), ("sub/",), recursive=True), FilterRules((), (), recursive=True),
         ["sub/c.pdf", "sub/d.txt"]),
        (FilterRules((), (), recursive=False), FilterRules((), (), recursive=True),
         ["sub/c.pdf", "sub/d.txt"]),
        (FilterRules((), (), recursive=True), FilterRules((), ("!*.tmp",), recursive=True), ["e.tmp"]),
        (FilterRules((), (), recursive=True), FilterRules(("*.pdf",), (), recursive=True), []),
    ],
)  # fmt: skip
def test_only_what_a_filter_left_out_is_old(
    before: FilterRules, now: FilterRules, widened: list[str]
) -> None:
    """Of what the new filter lets in, that is old which the former left out at its last scan."""
    names = accepted(compile_rules(now), ["a.pdf", "A.PDF", "b.txt", "sub/c.pdf", "sub/d.txt", "e.tmp"])
    last = LastScan(compile_rules(before), 1000.0)
    assert [name for name in names if last.left_out(name.encode(), 999_999_999_999)] == widened
    assert [name for name in names if last.left_out(name.encode(), 1_000_000_000_000)] == []


def test_all_that_0_1_left_out_is_old() -> None:
    """The ledger of 0.1 does not say when its last scan was."""
    last = LastScan(compile_rules(FilterRules(("*.pdf",), (), recursive=True, version=1)), None)
    assert last.left_out(b"SCAN1.PDF", 2**62)
    assert not last.left_out(b"scan1.pdf", 0)
