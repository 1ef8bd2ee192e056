"""Three opinions on a voxel size, and the words that tell of a denoiser."""

from pathlib import Path

import numpy as np
import pytest

from em2cryo_assets.cryoet.denoised import denoised_word
from em2cryo_assets.cryoet.mdoc import read_mdoc
from em2cryo_assets.cryoet.mrc import open_tomogram
from em2cryo_assets.formats.companions import beside
from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.formats.sidecar import Sidecar
from em2cryo_assets.phantom.raw_files import write_mrc

VOLUME = np.random.default_rng(0).integers(-100, 100, size=(6, 10, 12)).astype(np.int8)


def volume(folder: Path, voxel_nm: float = 2.16, name: str = "TS_01.rec", label: str = "made") -> Path:
    return write_mrc(folder / name, VOLUME, voxel_nm=voxel_nm, label=label)


def mdoc(
    folder: Path, name: str = "TS_01.mrc.mdoc", *, angstrom: object = 5.4, image: str = "ImageSize = 48 40"
) -> Path:
    path = folder / name
    path.write_text(
        f"PixelSpacing = {angstrom}\r\nImageFile = TS_01.mrc\r\n{image}\r\n\r\n[ZValue = 0]\r\nTiltAngle = 0\r\n"
    )
    return path


@pytest.mark.parametrize("name", ["TS_01.rec.mdoc", "TS_01.mdoc", "TS_01.mrc.mdoc", "TS_01.st.mdoc"])
def test_the_mdoc_of_the_volume_or_of_its_stack_is_found(tmp_path: Path, name: str) -> None:
    mdoc(tmp_path, "TS_02.mdoc")
    assert beside(tmp_path / "TS_01.rec", ".mdoc") is None
    assert beside(tmp_path / "TS_01.rec", ".mdoc") is None
    path = mdoc(tmp_path, name)
    assert beside(tmp_path / "TS_01.rec", ".mdoc") == path


def test_three_opinions_that_agree_say_nothing(tmp_path: Path) -> None:
    """21.6 angstrom are the 5.4 of the images, binned four times."""
    mdoc(tmp_path)
    tomogram = open_tomogram(volume(tmp_path), Sidecar(voxel_size_nm=2.16))
    assert (tomogram.voxel_source, tomogram.warnings) == ("MRC header", [])
    assert tomogram.voxel_nm == pytest.approx((2.16,) * 3)


def test_each_opinion_that_differs_is_told_and_the_header_is_kept(tmp_path: Path) -> None:
    mdoc(tmp_path, angstrom=5.0)
    tomogram = open_tomogram(volume(tmp_path), Sidecar(voxel_size_nm=2.2))
    assert tomogram.voxel_nm == pytest.approx((2.16,) * 3)
    assert len(tomogram.warnings) == 2
    assert "sidecar gives voxels of 2.2" in tomogram.warnings[0]
    assert "mdoc beside it gives pixels of" in tomogram.warnings[1]


def test_the_sidecar_comes_before_the_mdoc(tmp_path: Path) -> None:
    mdoc(tmp_path, angstrom=5.0)
    tomogram = open_tomogram(volume(tmp_path, 0.1), Sidecar(voxel_size_nm=2.16))
    assert (tomogram.voxel_nm, tomogram.voxel_source) == ((2.16,) * 3, "sidecar")
    assert "no multiple" in tomogram.warnings[0]


@pytest.mark.parametrize(
    ("image", "side", "said"),
    [
        ("ImageSize = 48 40", 2.16, "binned 4 times: the images are 48 pixels wide, the volume 12"),
        ("ImageSize = 40 24", 1.08, "binned 2 times"),
        ("ImageSize = 12 10", 0.54, "unbinned"),
        ("ImageSize = 50 41", 0.54, "whether the volume was binned is not known"),
        ("", 0.54, "whether the volume was binned is not known"),
    ],
)
def test_a_mdoc_alone_gives_the_voxel_by_the_width_of_its_images(
    tmp_path: Path, image: str, side: float, said: str
) -> None:
    mdoc(tmp_path, image=image)
    tomogram = open_tomogram(volume(tmp_path, 0.1), Sidecar())
    assert tomogram.voxel_nm == pytest.approx((side,) * 3)
    assert tomogram.voxel_source == "mdoc"
    assert any(said in line and "TS_01.mrc.mdoc" in line for line in tomogram.fallbacks)


@pytest.mark.parametrize("angstrom", ["", "0", "1", "-5.4", "5.4.4", "nan", "1e9"])
def test_a_mdoc_without_a_usable_spacing_is_no_opinion(tmp_path: Path, angstrom: str) -> None:
    assert read_mdoc(mdoc(tmp_path, angstrom=angstrom)).pixel_nm is None
    with pytest.raises(InputError, match="no voxel size"):
        open_tomogram(volume(tmp_path, 0.1), Sidecar())


def test_a_mdoc_of_noise_is_no_opinion(tmp_path: Path) -> None:
    (tmp_path / "TS_01.mdoc").write_bytes(np.random.default_rng(0).bytes(200_000))
    warnings = open_tomogram(volume(tmp_path), Sidecar()).warnings
    assert ["no SerialEM metadata" in line for line in warnings] == [True]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("TS_01_denoised.mrc", "denoised"),
        ("TS_01.rec_8.00Apx_isonet2.mrc", "isonet2"),
        ("ts-deconv.rec", "deconv"),
        ("TS_cryoCARE.mrc", "cryoCARE"),
        ("topaz_ts.mrc", "topaz"),
        ("Deconvolution by snr 1.0", "Deconvolution"),
        ("ddw_filled.mrc", "ddw"),
        ("lamella.mrc", None),
        ("undenoised.mrc", None),
        ("not-denoised.rec", None),
        ("topazolite.mrc", None),
        ("noise.mrc", None),
        ("reconstructed before denoising", None),
    ],
)
def test_words_of_denoisers(text: str, word: str | None) -> None:
    assert denoised_word(["a.mrc", text]) == word


def test_a_denoised_volume_is_flagged_by_name_or_header_but_the_sidecar_counts_more(tmp_path: Path) -> None:
    by_name = open_tomogram(volume(tmp_path, name="a_isonet.mrc"), Sidecar())
    by_label = open_tomogram(volume(tmp_path, name="b.mrc", label="topaz denoise3d"), Sidecar())
    for tomogram in (by_name, by_label):
        assert tomogram.denoised
        assert any("texture is left out" in line for line in tomogram.fallbacks)
    told = open_tomogram(tmp_path / "a_isonet.mrc", Sidecar(denoised=True))
    assert told.denoised
    assert not any("texture" in line for line in told.fallbacks)
    denied = open_tomogram(tmp_path / "a_isonet.mrc", Sidecar(denoised=False))
    assert not denied.denoised
    assert "denoised = false" in denied.warnings[0]
