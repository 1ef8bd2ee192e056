"""Pictures with a scale bar: pixels, and what is drawn on them, as one SVG file.

Belongs here: scale bars, outlines, circles, the mark of simulation, the still picture of a mesh. Does not
belong here: choosing colours of pixels (`raster`), plots of numbers (`charts`).
"""

import base64
from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import grey_closing

from em2cryo_assets.geometry.mesh import Mesh
from em2cryo_assets.report.entries import ArcCircle
from em2cryo_assets.report.raster import png
from em2cryo_assets.report.words import MARK

__all__ = ["length_words", "nice_length_nm", "picture", "still_of_mesh"]

_BACKGROUND = 14  # grey of the empty part of a still
_WIDTH = 400.0  # drawing units across the widest picture of a row, so that lettering is equal everywhere


def nice_length_nm(width_nm: float) -> float:
    """Length of a scale bar: the largest 1, 2 or 5 times a power of ten not above a third of the width.

    Parameters
    ----------
    width_nm : float
        Width of the picture, nm.

    Returns
    -------
    float
        nm.
    """
    third = width_nm / 3
    decade = 10.0 ** np.floor(np.log10(third))
    return float(max(step * decade for step in (1, 2, 5) if step * decade <= third * (1 + 1e-9)))


def length_words(length_nm: float) -> str:
    """Write a length in nm below a micrometre, else in µm.

    Parameters
    ----------
    length_nm : float
        nm.

    Returns
    -------
    str
    """
    return f"{length_nm:g} nm" if length_nm < 1000 else f"{length_nm / 1000:g} µm"


def picture(
    pixels: NDArray[np.uint8],
    pixel_nm: float,
    *,
    alt: str,
    simulated: bool,
    outlines_px: Sequence[NDArray[np.floating]] = (),
    arc: ArcCircle | None = None,
    row_width_nm: float | None = None,
    crisp: bool = False,
    bar_on_top: bool = False,
) -> str:
    """Draw pixels with their scale bar as an SVG document that needs no other file.

    Parameters
    ----------
    pixels : numpy.ndarray, uint8, shape (y, x) or (y, x, 3)
        What was imaged.
    pixel_nm : float
        Pixel size, nm.
    alt : str
        Title of the document.
    simulated : bool
        True writes the mark of simulation into the picture.
    outlines_px : sequence of numpy.ndarray, shape (N, 2)
        Closed polygons (y, x), pixels.
    arc : ArcCircle, optional
        A fitted circle.
    row_width_nm : float, optional
        Width of the widest picture of the row it is compared in, nm, so that all have one scale and one bar.
    crisp : bool
        True keeps the edges of pixels (labels).
    bar_on_top : bool
        True leaves the lower edge to what the microscope wrote there.

    Returns
    -------
    str
        SVG text.
    """
    rows, columns = pixels.shape[:2]
    widest_nm = row_width_nm or columns * pixel_nm
    unit = _WIDTH / (widest_nm / pixel_nm)  # drawing units a pixel
    width, height = columns * unit, rows * unit
    code = base64.b64encode(png(pixels)).decode("ascii")
    rendering = ' image-rendering="pixelated"' if crisp else ""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.2f} {height:.2f}" '
        f'width="{width:.0f}" height="{height:.0f}" role="img">',
        f"<title>{escape(alt)}</title>",
        "<style>text{font-family:system-ui,'Noto Sans CJK KR',sans-serif;fill:#fff;paint-order:stroke;"
        "stroke:#000;stroke-width:3.5px;stroke-linejoin:round}</style>",
        f'<image width="{width:.2f}" height="{height:.2f}" preserveAspectRatio="none"{rendering} '
        f'href="data:image/png;base64,{code}"/>',
    ]
    for polygon in outlines_px:
        points = " ".join(f"{(x + 0.5) * unit:.1f},{(y + 0.5) * unit:.1f}" for y, x in np.asarray(polygon))
        parts.append(
            f'<polygon points="{points}" fill="none" stroke="#000" stroke-opacity=".55" stroke-width="5"/>'
            f'<polygon points="{points}" fill="none" stroke="#ffc20a" stroke-width="2.2"/>'
        )
    if arc is not None:
        parts.append(_circle(arc, pixel_nm, unit))
    parts.append(_scale_bar(widest_nm, width, 46.0 if bar_on_top else height))
    if simulated:
        parts.append(
            f'<text x="{width - 9:.1f}" y="22" text-anchor="end" font-size="16" font-weight="700" '
            f'letter-spacing=".6">{MARK.en} · {MARK.ko}</text>'
        )
    return "".join(parts) + "</svg>\n"


def _circle(arc: ArcCircle, pixel_nm: float, unit: float) -> str:
    y, x = arc.center_px
    shape = f'cx="{(x + 0.5) * unit:.1f}" cy="{(y + 0.5) * unit:.1f}" r="{arc.radius_nm / pixel_nm * unit:.1f}"'
    dash = "" if arc.usable else ' stroke-dasharray="9 7"'
    return (
        f'<circle {shape} fill="none" stroke="#000" stroke-opacity=".5" stroke-width="5"{dash}/>'
        f'<circle {shape} fill="none" stroke="#ffc20a" stroke-width="2.2"{dash}/>'
    )


def _scale_bar(widest_nm: float, width: float, height: float) -> str:
    length_nm = nice_length_nm(widest_nm)
    length = length_nm / widest_nm * _WIDTH
    if length > width - 20:  # a narrow picture in a row with a wide one: the same scale, a shorter bar
        length_nm = nice_length_nm(widest_nm * width / _WIDTH)
        length = length_nm / widest_nm * _WIDTH
    x, y = 12.0, height - 17
    return (
        f'<rect x="{x}" y="{y:.1f}" width="{length:.2f}" height="6" fill="#fff" stroke="#000" '
        f'stroke-width="1.2" class="scale-bar"/>'
        f'<text x="{x}" y="{y - 7:.1f}" font-size="19" font-weight="600">{length_words(length_nm)}</text>'
    )


def still_of_mesh(mesh: Mesh, *, size_px: int = 240, points: int = 250_000) -> tuple[NDArray[np.uint8], float]:
    """Render a still of a mesh, seen as the SEM saw it, without a graphics library.

    The surface is sampled evenly, every pixel keeps the sample nearest to the viewer. The shading is
    that of secondary electrons: brighter where the surface turns away (yield grows as a power of 1/cos θ).

    Parameters
    ----------
    mesh : Mesh
        z points toward the viewer.
    size_px : int
        Width and height.
    points : int
        Number of samples.

    Returns
    -------
    pixels : numpy.ndarray, uint8, shape (size_px, size_px)
    pixel_nm : float
        Size of a pixel, nm.
    """
    corners = mesh.vertices_nm[mesh.faces]
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.linalg.norm(cross, axis=1)
    centre = (mesh.vertices_nm.min(axis=0) + mesh.vertices_nm.max(axis=0)) / 2
    pixel_nm = float(np.ptp(mesh.vertices_nm[:, 1:], axis=0).max()) * 1.12 / size_px
    out = np.full((size_px, size_px), _BACKGROUND, np.uint8)
    if length.sum() <= 0 or pixel_nm <= 0:
        return out, max(pixel_nm, 1.0)
    rng = np.random.default_rng(0)  # samples only; the picture is the same every time
    face = np.searchsorted(np.cumsum(length) / length.sum(), (np.arange(points) + 0.5) / points).clip(
        0, len(length) - 1
    )
    u, v = rng.random((2, points))
    fold = u + v > 1
    u[fold], v[fold] = 1 - u[fold], 1 - v[fold]
    a, b, c = (corners[face, i] - centre for i in range(3))
    position = a + u[:, None] * (b - a) + v[:, None] * (c - a)
    # Normals of vertices, blended, so that facets do not show.
    smooth = np.zeros_like(mesh.vertices_nm)
    for corner in range(3):
        np.add.at(smooth, mesh.faces[:, corner], cross)
    normal = np.sum([w[:, None] * smooth[mesh.faces[face, i]] for i, w in enumerate((1 - u - v, u, v))], axis=0)
    normal = normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    front = np.flatnonzero(normal[:, 0] > 0)
    front = front[np.argsort(position[front, 0], kind="stable")]  # the nearest is written last
    normal = normal[front]
    shade = 70 + 38 * np.power(1 / (normal[:, 0] + 0.12), 0.7) - 34 * (0.6 * normal[:, 1] + 0.5 * normal[:, 2])
    row, column = (np.floor(position[front, 1:] / pixel_nm).astype(int) + size_px // 2).T
    out[row, column] = np.clip(shade, 30, 255).astype(np.uint8)
    # A few pixels that no sample hit, between pixels that were.
    return np.where(out == _BACKGROUND, grey_closing(out, size=(3, 3)), out), pixel_nm
