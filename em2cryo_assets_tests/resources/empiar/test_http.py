"""Patience, politeness, and the hosts that may be spoken to."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.resources.archives.http import Http, MissingError
from em2cryo_assets.resources.archives.server import ArchiveError
from em2cryo_assets.resources.empiar.archive import Archive, archive_at
from em2cryo_assets.resources.empiar.client import EmpiarClient
from em2cryo_assets_tests.resources.empiar.server import ENTRY, Empiar, Fault, entry_json, serving

NAME = "EMPIAR-10227"


@pytest.fixture(autouse=True)
def one_entry(empiar: Empiar) -> None:
    empiar.entries[NAME] = entry_json()


def first(*faults: Fault) -> Callable[[str, str], Fault | None]:
    """The first answers go wrong, the others do not."""
    left = list(faults)
    return lambda method, path: left.pop(0) if left else None


def test_it_asks_again_after_what_may_pass(empiar: Empiar, client: EmpiarClient) -> None:
    empiar.fault = first(*(Fault("status", status=n) for n in (429, 500, 502, 503)), Fault("reset"))
    assert client.entry(NAME).title == "Tomograms of yeast"
    assert len(empiar.asked) == 6


def test_waits_grow_and_differ(empiar: Empiar, waits: list[float]) -> None:
    empiar.fault = lambda method, path: Fault("status", status=503)
    archive = empiar.archive(backoff_s=1.0, attempts=6, longest_wait_s=6.0)
    client = EmpiarClient(archive, http=Http(archive, sleep=waits.append))
    with client, pytest.raises(ArchiveError, match=r"it answered 503, 6 times in a row\. Remedy: try again later"):
        client.entry(NAME)
    assert len(waits) == 5
    for number, wait in enumerate(waits):
        assert min(6.0, 0.5 * 2**number) <= wait <= min(6.0, 2**number)


def test_the_time_that_the_server_names_is_kept(empiar: Empiar, client: EmpiarClient, waits: list[float]) -> None:
    late = format_datetime(datetime.now(UTC) + timedelta(hours=3), usegmt=True)
    early = format_datetime(datetime.now(UTC) - timedelta(hours=3), usegmt=True)
    said = ("7", early, "soon")
    empiar.fault = first(*(Fault("status", status=429, retry_after=one) for one in said))
    client.entry(NAME)
    assert waits[:2] == [7.0, 0.0]
    assert waits[2] <= 0.01
    empiar.fault = first(Fault("status", status=503, retry_after=late))
    with pytest.raises(ArchiveError, match="wants to be asked again in 10"):
        client.entry(NAME)
    assert len(waits) == 3


def test_it_does_not_ask_again_after_what_will_not_pass(empiar: Empiar, client: EmpiarClient) -> None:
    with pytest.raises(MissingError, match="EMPIAR-99999: the archive has no such entry"):
        client.entry("EMPIAR-99999")
    empiar.fault = lambda method, path: Fault("status", status=403)
    with pytest.raises(InputError, match="it answered 403"):
        client.entry(NAME)
    assert len(empiar.asked) == 2


def test_a_cut_or_silent_answer_is_asked_for_again(empiar: Empiar, client_of: Callable[..., EmpiarClient]) -> None:
    empiar.fault = first(Fault("truncate", at=10), Fault("stall", at=5))
    assert client_of(timeout_s=0.3, attempts=1000).entry(NAME).status == "REL"


def test_requests_keep_their_distance(
    empiar: Empiar, waits: list[float], client_of: Callable[..., EmpiarClient]
) -> None:
    client = client_of(interval_s=1000.0)
    client.entry(NAME)
    client.entry(NAME)
    assert len(waits) == 1
    assert 900 < waits[0] <= 1000


def test_nothing_is_waited_for_past_the_deadline(empiar: Empiar, waits: list[float]) -> None:
    empiar.fault = lambda method, path: Fault("status", status=503, retry_after="100")
    archive = empiar.archive(attempts=1000)
    for deadline_s, said in ((50, "503"), (0, "time there is")):
        client = EmpiarClient(archive, http=Http(archive, deadline_s=deadline_s, sleep=waits.append))
        with client, pytest.raises(ArchiveError, match=said):
            client.entry(NAME)
    assert waits == []
    assert len(empiar.asked) == 1


def test_a_silence_ends_with_the_deadline(empiar: Empiar) -> None:
    empiar.fault = lambda method, path: Fault("stall", at=5)
    archive = empiar.archive(timeout_s=100_000.0, attempts=1000)
    with EmpiarClient(archive, deadline_s=0.5) as client, pytest.raises(ArchiveError):
        client.entry(NAME)


def test_redirects_stay_with_the_archive(empiar: Empiar, client: EmpiarClient) -> None:
    empiar.entries["EMPIAR-10228"] = {}
    empiar.fault = first(Fault("redirect", status=301, location=f"{ENTRY}{NAME}/?moved"))
    assert client.entry(NAME).status == "REL"
    with serving() as elsewhere:
        for place in (
            f"{elsewhere.url}/",
            "https://example.org/",
            "//example.org/a",
            "ftp://127.0.0.1/",
            "file:///etc",
        ):
            empiar.fault = first(Fault("redirect", status=302, location=place))
            with pytest.raises(InputError, match="which is not the archive"):
                client.entry(NAME)
        assert elsewhere.asked == []
    empiar.fault = lambda method, path: Fault("redirect", status=302, location=path)
    with pytest.raises(InputError, match="again and again"):
        client.entry(NAME)


def test_a_name_and_password_in_front_of_a_host_deceive_nobody(empiar: Empiar, client: EmpiarClient) -> None:
    empiar.fault = first(Fault("redirect", status=302, location=f"http://127.0.0.1@example.org{ENTRY}"))
    with pytest.raises(InputError, match="not the archive"):
        client.entry(NAME)


def test_an_endless_answer_is_refused(empiar: Empiar, client: EmpiarClient) -> None:
    empiar.entries[NAME] = entry_json("x" * 10_000)
    with pytest.raises(InputError, match="the answer is longer than"):
        client.http.read(client.archive.entry_url(NAME), most=5_000)


def test_what_is_no_json_is_told(empiar: Empiar, client: EmpiarClient) -> None:
    empiar.pages["10227/"] = "<html>maintenance"
    with pytest.raises(InputError, match="10227: the archive answered something that is no JSON"):
        client._json(client.archive.folder_url(NAME))
    empiar.pages["10227/"] = "[" * 100_000
    with pytest.raises(InputError, match="no JSON"):
        client._json(client.archive.folder_url(NAME))


def test_many_entries_at_once(empiar: Empiar, client: EmpiarClient) -> None:
    for number in (10001, 10300, 10600):
        empiar.entries[f"EMPIAR-{number}"] = entry_json(f"Entry {number}")
    entries, problems = client.block(10001, 10500)
    assert (sorted(entries), problems) == (["EMPIAR-10001", NAME, "EMPIAR-10300"], [])
    entries, problems = client.entries(["EMPIAR-10600", NAME, "EMPIAR-10999"])
    assert (sorted(entries), problems) == ([NAME, "EMPIAR-10600"], [])


def test_the_real_archive_is_the_default_and_a_mirror_is_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EM2CRYO_EMPIAR_URL", raising=False)
    real = archive_at()
    assert real == Archive()
    assert real.entry_url(NAME) == f"https://www.ebi.ac.uk/empiar/api/entry/{NAME}/"
    assert real.folder_url(NAME) == "https://ftp.ebi.ac.uk/empiar/world_availability/10227/"
    assert real.search_url("yeast tomo", 0, 10).startswith("https://www.ebi.ac.uk/ebisearch/ws/rest/empiar?query=yeast")
    monkeypatch.setenv("EM2CRYO_EMPIAR_URL", "http://mirror.lab:8080/")
    assert archive_at().folder_url(NAME) == "http://mirror.lab:8080/empiar/world_availability/10227/"
    assert ("http", "mirror.lab", 8080) in archive_at().origins
    assert ("https", "ftp.ebi.ac.uk", 443) in archive_at().origins
    assert ("http", "ftp.ebi.ac.uk", 80) not in archive_at().origins
    with pytest.raises(InputError, match=r"EM2CRYO_EMPIAR_URL: 'mirror' is no address\. Remedy: write it like https"):
        archive_at("mirror")
    with pytest.raises(InputError, match="no accession"):
        real.entry_url("EMPIAR-10227/../../x")


def test_search_pages(empiar: Empiar, client: EmpiarClient) -> None:
    empiar.hits = [f"EMPIAR-{n}" for n in range(10100, 10105)]
    page = client.search("yeast", 2, 2)
    assert (page.hits, page.ids) == (5, ("EMPIAR-10102", "EMPIAR-10103"))
    empiar.hits = ["../../etc"]
    with pytest.raises(InputError, match="no accession"):
        client.search("yeast", 0)


def test_a_changed_search_is_told_by_field(
    empiar: Empiar, client: EmpiarClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_json", lambda url: json.loads('{"hits": 3}'))
    with pytest.raises(InputError, match="lacks 'hitCount' or"):
        client.search("yeast", 0)
