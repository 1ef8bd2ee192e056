"""Headers are read from first bytes only, and whole files told from others."""

import gzip
import zlib
from pathlib import Path

import pytest

from em2cryo_assets.cryoet.mrc_header import read_mrc
from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.resources.empiar.client import EmpiarClient
from em2cryo_assets.resources.empiar.header import (
    HEADER_BYTES,
    PEEK_GZIP_BYTES,
    VolumeHeader,
    check_whole,
    parse_header,
)
from em2cryo_assets_tests.resources.empiar.server import Empiar, Fault, gz, mrc_bytes

NAME = "EMPIAR-10227"
DEMO = Path(__file__).parents[3] / "data" / "demo" / "inbox" / "tomogram"


@pytest.mark.parametrize("name", ["lamella-02.mrc", "lamella-01.mrc.gz", "whole-cell-01.mrc.gz"])
def test_it_agrees_with_the_reader_of_whole_files(name: str) -> None:
    content = (DEMO / name).read_bytes()
    header = parse_header(name, content[: PEEK_GZIP_BYTES if name.endswith("gz") else HEADER_BYTES])
    whole = read_mrc(DEMO / name)
    assert header.shape == whole.array.shape
    assert header.voxel_nm == pytest.approx(whole.voxel_nm)
    assert not header.images
    check_whole(DEMO / name, name)


@pytest.mark.parametrize("mode", [0, 1, 2, 6, 12])
def test_the_announced_size_is_that_of_the_file(mode: int) -> None:
    content = mrc_bytes(mode=mode, exttyp=b"CCP4")
    assert parse_header("a.mrc", content).whole_bytes == len(content)


def test_an_unknown_voxel_is_none_and_big_endian_is_read() -> None:
    assert parse_header("a.mrc", mrc_bytes(voxel_a=1.0)).voxel_nm is None
    assert parse_header("a.mrc", mrc_bytes(voxel_a=0.0)).voxel_nm is None
    swapped = bytearray(mrc_bytes())
    for start in (*range(0, 96, 4),):
        swapped[start : start + 4] = swapped[start : start + 4][::-1]
    assert parse_header("a.mrc", bytes(swapped)).shape == (6, 10, 12)


def test_stacks_of_images_are_known() -> None:
    assert parse_header("a.mrc", mrc_bytes(ispg=0, mz=1)).images
    assert parse_header("a.mrc", mrc_bytes(exttyp=b"SERI")).images
    assert not parse_header("a.mrc", mrc_bytes(ispg=0)).images


@pytest.mark.parametrize(
    ("start", "said"),
    [
        (b"", "0 bytes, not 1024"),
        (b"x" * 500, "500 bytes"),
        (b"\xff" * 1024, "no MRC header"),
        (b"<html>" + b" " * 1024, "no MRC header"),
        (mrc_bytes(mode=4), "mode 4 is no density"),
        (b"\0" * 1024, "no MRC header"),
        (mrc_bytes()[:92] + b"\xff\xff\xff\x7f" + mrc_bytes()[96:], "no volume has"),
    ],
)
def test_what_is_no_volume_is_told(start: bytes, said: str) -> None:
    with pytest.raises(InputError, match=said):
        parse_header("a.mrc", start)


def test_what_is_no_gzip_is_told_and_a_bomb_inflates_no_further() -> None:
    with pytest.raises(InputError, match="no gzip file"):
        parse_header("a.mrc.gz", mrc_bytes())
    with pytest.raises(InputError, match="100 bytes, not 1024"):
        parse_header("a.mrc.gz", gz(mrc_bytes()[:100]))
    bomb = zlib.compressobj(wbits=31)
    start = bomb.compress(mrc_bytes()[:1024]) + bomb.compress(b"\0" * 10**7) + bomb.flush()
    assert parse_header("a.mrc.gz", start).shape == (6, 10, 12)


def test_only_the_first_bytes_are_asked_for(empiar: Empiar, client: EmpiarClient) -> None:
    empiar.put(NAME, "data/a.mrc", mrc_bytes((60, 50, 40)))
    empiar.put(NAME, "data/b.mrc.gz", gz(mrc_bytes((60, 50, 40))))
    sent: list[int] = []
    empiar.sent = lambda path, count: sent.append(count)
    for path in ("data/a.mrc", "data/b.mrc.gz"):
        version, header = client.header(NAME, path)
        assert isinstance(header, VolumeHeader)
        assert header.shape == (60, 50, 40)
        assert version.size == len(empiar.files[f"10227/{path}"].content)
    assert sent == [HEADER_BYTES, PEEK_GZIP_BYTES]


def test_a_server_without_ranges_is_left_after_the_header(empiar: Empiar, client: EmpiarClient) -> None:
    content = mrc_bytes((300, 100, 100))
    empiar.put(NAME, "data/a.mrc", content)
    empiar.ranges = False
    version, header = client.header(NAME, "data/a.mrc")
    assert isinstance(header, VolumeHeader)
    assert version.size == len(content)
    empiar.fault = lambda method, path: Fault("no_length")
    with pytest.raises(InputError, match="did not say how long"):
        client.header(NAME, "data/a.mrc")


@pytest.mark.parametrize("cut", [1024, 2000, -1])
def test_a_cut_file_is_not_whole(cut: int, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(mrc_bytes()[:cut])
    with pytest.raises(InputError, match=r"a\.mrc: its header announces 3,904 bytes"):
        check_whole(tmp_path / "a", "a.mrc")
    (tmp_path / "a").write_bytes(gz(mrc_bytes()[:cut]))
    with pytest.raises(InputError, match="its header announces 3,904 bytes"):
        check_whole(tmp_path / "a", "a.mrc.gz")


def test_a_damaged_gzip_is_not_whole(tmp_path: Path) -> None:
    whole = gz(mrc_bytes())
    for damaged in (whole[:-5], whole[:-8] + b"\0\0\0\0" + whole[-4:], whole[:2000]):
        (tmp_path / "a").write_bytes(damaged)
        with pytest.raises(InputError, match="gzip stream is damaged"):
            check_whole(tmp_path / "a", "a.mrc.gz")
    (tmp_path / "a").write_bytes(gzip.compress(mrc_bytes()))
    check_whole(tmp_path / "a", "a.mrc.gz")
