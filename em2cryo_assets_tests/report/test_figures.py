import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from em2cryo_assets.geometry.mesh import Mesh
from em2cryo_assets.report.entries import ArcCircle
from em2cryo_assets.report.figures import length_words, nice_length_nm, picture, still_of_mesh

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = '"><script>alert(1)</script>&'


def nm_a_unit(svg: str, pixel_nm: float, columns: int) -> float:
    image = ElementTree.fromstring(svg).find(f"{SVG}image")
    return columns * pixel_nm / float(image.get("width"))


def bar(svg: str) -> tuple[float, str]:
    tree = ElementTree.fromstring(svg)
    rectangle = next(one for one in tree.iter(f"{SVG}rect") if one.get("class") == "scale-bar")
    return float(rectangle.get("width")), next(one.text for one in tree.iter(f"{SVG}text"))


@given(st.floats(1.0, 1e7))
def test_a_scale_bar_is_a_round_number_and_fits(width_nm):
    length = nice_length_nm(width_nm)
    assert width_nm / 7.6 < length <= width_nm / 3 * 1.001
    assert re.fullmatch("[125]0*", f"{length / 10.0 ** np.floor(np.log10(length)):.0f}")


@given(st.integers(20, 300), st.integers(20, 300), st.floats(0.5, 200), st.sampled_from([1.0, 1.7, 3.0]))
def test_the_bar_is_as_long_as_it_says_at_any_scale(rows, columns, pixel_nm, wider):
    row = columns * pixel_nm * wider
    svg = picture(np.zeros((rows, columns), np.uint8), pixel_nm, alt="x", simulated=False, row_width_nm=row)
    length, words = bar(svg)
    value, unit = words.split()
    said_nm = float(value) * {"nm": 1, "µm": 1000}[unit]
    assert length * nm_a_unit(svg, pixel_nm, columns) == pytest.approx(said_nm, rel=2e-3)
    assert nm_a_unit(svg, pixel_nm, columns) == pytest.approx(row / 400, rel=2e-3)


def test_lengths_are_said_in_the_unit_a_person_would_use():
    assert [length_words(200.0), length_words(1000.0), length_words(20000.0)] == ["200 nm", "1 µm", "20 µm"]


@pytest.mark.parametrize("simulated", [True, False])
def test_the_mark_is_on_simulated_pictures_only(simulated):
    svg = picture(np.zeros((9, 9), np.uint8), 8.0, alt="x", simulated=simulated)
    assert ("SIMULATED" in svg and "모의" in svg) is simulated


def test_words_from_outside_stay_words():
    svg = picture(np.zeros((9, 9), np.uint8), 8.0, alt=HOSTILE, simulated=False)
    tree = ElementTree.fromstring(svg)
    assert tree.find(f"{SVG}title").text == HOSTILE
    assert not list(tree.iter(f"{SVG}script"))


def test_outline_and_arc_lie_where_they_were_measured():
    square = np.array([[10, 20], [10, 60], [50, 60], [50, 20]], float)
    arc = ArcCircle((30.0, 40.0), 160.0, usable=False)
    svg = picture(np.zeros((80, 100), np.uint8), 8.0, alt="x", simulated=False, outlines_px=[square], arc=arc)
    tree = ElementTree.fromstring(svg)
    points = np.array([p.split(",") for p in tree.find(f"{SVG}polygon").get("points").split()], float)
    assert np.allclose(points / 4 - 0.5, square[:, ::-1], atol=0.03)
    circle = tree.find(f"{SVG}circle")
    assert float(circle.get("r")) == pytest.approx(160 / 8 * 4)
    assert circle.get("stroke-dasharray")


def test_the_still_has_the_silhouette_of_the_body(made_up):
    mesh = made_up.body(0)
    direction = mesh.vertices_nm / np.linalg.norm(mesh.vertices_nm, axis=1, keepdims=True)
    ball = Mesh(direction * 1500.0, mesh.faces)
    pixels, pixel_nm = still_of_mesh(ball)
    area = (pixels > 14).sum() * pixel_nm**2
    assert area == pytest.approx(np.pi * 1500.0**2, rel=0.02)
    inner = (pixels[108:132, 108:132] > 14).mean()
    assert inner == 1.0  # no hole
    assert np.array_equal(pixels, still_of_mesh(ball)[0])
