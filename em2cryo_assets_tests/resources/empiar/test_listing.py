"""Index pages are walked, and hostile ones lead nowhere."""

import random

import pytest

from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.resources.empiar import listing
from em2cryo_assets.resources.empiar.client import EmpiarClient
from em2cryo_assets.resources.empiar.listing import children_of, walk
from em2cryo_assets_tests.resources.empiar.server import Empiar, serving

PAGE = "https://ftp.ebi.ac.uk/empiar/world_availability/10227/data/"
NAME = "EMPIAR-10227"


def children(*links: str) -> list[tuple[str, bool]]:
    return list(children_of(PAGE, "".join(f'<a href="{link}">x</a>' for link in links)))


def test_files_and_folders_directly_inside_are_found_once() -> None:
    inside = f"{PAGE.removeprefix('https://ftp.ebi.ac.uk')}c.mrc"
    found = children("a.mrc", "b/", "a.mrc", "./d.rec", inside, f"{PAGE}e/", "with%20space.mrc", "%C3%A9.rec")
    assert found == [
        ("a.mrc", False), ("b", True), ("d.rec", False), ("c.mrc", False), ("e", True), ("with space.mrc", False),
        ("é.rec", False),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "link",
    [
        "../", "..", ".", "./", "/", "", "../../etc/passwd", "/etc/passwd", "b/../../c.mrc", "b/c.mrc", "a/..",
        "%2e%2e/", "%2e%2e%2fetc%2fpasswd", "..%2f..%2fx.mrc", "a%2fb.mrc", "%252e%252e%252fx.mrc", "a%00.mrc", "a%0a.mrc",
        "..%5c..%5cx.mrc", "a\\b.mrc", "?C=N;O=D", "a.mrc?x=1", "#top", "https://evil.example/a.mrc",
        "//evil.example/a.mrc",
        "javascript:alert(1)", "file:///etc/passwd", "mailto:a@b.c", "http://[::1", "https://ftp.ebi.ac.uk@evil.example/a.mrc",
        "ftp://ftp.ebi.ac.uk/empiar/world_availability/10227/data/a.mrc",
    ],
)  # fmt: skip
def test_links_that_lead_elsewhere_are_left_alone(link: str) -> None:
    assert children(link, "ok.mrc") == [("ok.mrc", False)]


def test_no_page_of_noise_gives_a_path_that_leads_out() -> None:
    chance = random.Random(7)
    parts = ["..", "%2e", "%2F", "/", "\\", "a", ".mrc", "<a href='", "'>", "\x00", "?", "#", ":", "//", "%", "é", "\n"]
    for _ in range(3000):
        page = "".join(chance.choice(parts) for _ in range(chance.randrange(30)))
        for name, _ in children_of(PAGE, f"<a href='{page}'>{page}"):
            assert name not in ("", ".", "..")
            assert not set(name) & set("/\\\x00\n")


def test_a_tree_is_walked_without_the_folders_that_are_skipped(empiar: Empiar, client: EmpiarClient) -> None:
    for path in ("data/a.mrc", "data/x/b.rec", "data/x/y z/c.rec", "data/movies/1.tif", "readme.txt"):
        empiar.put(NAME, path, b"x")
    found = client.files(NAME, lambda folder: "movies" if folder.endswith("movies") else None)
    assert found.files == ("data/a.mrc", "data/x/b.rec", "data/x/y z/c.rec", "readme.txt")
    assert found.skipped == (("data/movies", "movies"),)
    assert not any("movies" in path for path in empiar.paths())


def test_folders_without_end_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    found = walk(PAGE, lambda url: '<a href="a.mrc">a</a><a href="deeper/">d</a>', lambda folder: None)
    assert len(found.files) == listing.MOST_DEPTH + 1
    assert "folders deep" in found.skipped[0][1]
    monkeypatch.setattr(listing, "MOST_PAGES", 100)
    with pytest.raises(InputError, match="data: it has more than 100 folders"):
        walk(PAGE, lambda url: "".join(f'<a href="{n}/">x</a>' for n in range(10)), lambda folder: None)
    monkeypatch.setattr(listing, "MOST_FILES", 50)
    with pytest.raises(InputError, match="50 files"):
        walk(PAGE, lambda url: "<a href='d/'></a>" + "".join(f"<a href='{n}'>" for n in range(60)), lambda folder: None)


def test_an_index_that_is_redirected_to_another_host_is_not_followed(empiar: Empiar, client: EmpiarClient) -> None:
    from em2cryo_assets_tests.resources.empiar.server import Fault

    empiar.put(NAME, "data/a.mrc", b"x")
    with serving() as elsewhere:
        empiar.fault = lambda method, path: Fault("redirect", status=302, location=f"{elsewhere.url}/")
        with pytest.raises(InputError, match="not the archive"):
            client.files(NAME, lambda folder: None)
        assert elsewhere.asked == []
