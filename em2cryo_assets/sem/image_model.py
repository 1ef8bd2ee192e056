"""What an SEM's detectors see of a surface: one differentiable model for simulating and for fitting.

    I = Poisson_D{ G_σ * [ g·((1+e)/(n_z+e))^n · (1+k·n·l) · (1-o·A) · (1+τ) + h·E ] + b }^γ

Belongs here: brightness from normals and heights, secondary and backscattered electrons, and the noise.
Does not belong here: surfaces (`sem.surface`, `phantom.relief`), what a specimen does by itself, such as
charging (`phantom.charging`); it comes in as the gain and the texture of each pixel.
"""

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

__all__ = [
    "HELD_OUT_EXPONENT", "RANGES", "SemParameters", "backscattered", "counted", "draw_parameters", "occlusion",
    "secondary_electrons",
]  # fmt: skip

RANGES: Final = MappingProxyType(
    {
        "exponent": (0.7, 1.3), "floor": (0.03, 0.15), "side": (0.0, 0.5), "light_azimuth_deg": (0.0, 360.0),
        "light_elevation_deg": (15.0, 60.0), "occlusion": (0.0, 0.4), "texture": (0.0, 0.25), "edge": (0.0, 0.3),
        "edge_width": (0.05, 0.2), "gain": (0.2, 0.5), "offset": (0.0, 0.05), "spot_px": (0.4, 1.2),
        "defocus_px_per_um": (0.0, 0.3), "dose": (20.0, 300.0), "gamma": (0.8, 1.25),
    }
)  # fmt: skip
"""What training draws from, uniformly; azimuth of the light, gain, offset, spot and defocus are assumed."""

HELD_OUT_EXPONENT: Final = (1.4, 1.7)
"""Yield exponents that are never trained on, to test generalisation."""

_AZIMUTHS = 8
_HORIZON_NM = (90.0, 200.0, 400.0, 800.0, 1500.0, 2800.0, 5000.0)
_DARK = 1e-6
_BLURS = 3
_BLOCK_ROWS = 64


@dataclass(frozen=True)
class SemParameters:
    """Constants of the image model; each may be a float or a torch scalar that wants its gradient.

    Parameters
    ----------
    exponent : float
        n of the secondary yield δ = δ₀·secⁿθ: about 0.8 for heavy elements, 1.2 for light ones (Reimer 1998).
    floor : float
        e, keeps the yield finite where the beam grazes the surface.
    side : float
        k, share by which a detector at one side brightens what faces it.
    light_azimuth_deg, light_elevation_deg : float
        Where that detector stands: from +x towards +y, and above the plane of the picture.
    occlusion : float
        o, share of the electrons lost where the whole sky is hidden.
    texture : float
        Standard deviation of τ, the correlated roughness; scales the texture handed in.
    edge, edge_width : float
        h and λ/2R of E = exp(-2R·n_z/λ): electrons that leave through the far side of a rim thinner than
        the range λ of the backscattered electrons, for a sphere of radius R.
    gain, offset : float
        g and b, signal of a flat surface and of the dark; 1 is white.
    spot_px : float
        σ of the beam, pixels.
    defocus_px_per_um : float
        Blur gained per µm below the highest 2 % of the field, pixels.
    dose : float
        D, electrons counted a pixel at signal 1.
    gamma : float
        γ, exponent of the display.
    """

    exponent: float = 0.95
    floor: float = 0.10
    side: float = 0.2
    light_azimuth_deg: float = 225.0
    light_elevation_deg: float = 30.0
    occlusion: float = 0.4
    texture: float = 0.05
    edge: float = 0.05
    edge_width: float = 0.1
    gain: float = 0.35
    offset: float = 0.01
    spot_px: float = 0.8
    defocus_px_per_um: float = 0.15
    dose: float = 150.0
    gamma: float = 1.0


def draw_parameters(rng: np.random.Generator, *, held_out: bool = False) -> SemParameters:
    """One microscope session at random.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness; its state advances.
    held_out : bool
        Draw the yield exponent from `HELD_OUT_EXPONENT`.

    Returns
    -------
    SemParameters
        Uniform within `RANGES`.
    """
    values = {field.name: float(rng.uniform(*RANGES[field.name])) for field in fields(SemParameters)}
    drawn = SemParameters(**values)
    return replace(drawn, exponent=float(rng.uniform(*HELD_OUT_EXPONENT))) if held_out else drawn


def _shifted(image: "torch.Tensor", dy: int, dx: int) -> "torch.Tensor":
    """What lies (dy, dx) pixels on, the border continued."""
    import torch

    y = torch.clamp(torch.arange(image.shape[0]) + dy, 0, image.shape[0] - 1)
    x = torch.clamp(torch.arange(image.shape[1]) + dx, 0, image.shape[1] - 1)
    return image.index_select(0, y).index_select(1, x)


def _blurred(image: "torch.Tensor", sigma: Any) -> "torch.Tensor":
    """Gaussian blur, differentiable in the image and in sigma; sums of shifted pictures, in fixed order."""
    import torch

    sigma = torch.as_tensor(sigma, dtype=image.dtype)
    reach = max(1, math.ceil(3.0 * float(sigma.detach())))
    offsets = torch.arange(-reach, reach + 1, dtype=image.dtype)
    weights = torch.exp(-0.5 * (offsets / torch.clamp(sigma, min=1e-3)) ** 2)
    weights = weights / weights.sum()
    for axis in (0, 1):
        n = image.shape[axis]
        padded = torch.cat(
            [image.narrow(axis, 0, 1)] * reach + [image] + [image.narrow(axis, n - 1, 1)] * reach, dim=axis
        )
        total = weights[reach] * image
        for k in range(1, reach + 1):
            pair = padded.narrow(axis, reach - k, n) + padded.narrow(axis, reach + k, n)
            total = total + weights[reach + k] * pair
        image = total
    return image


def _pooled(height: "torch.Tensor", factor: int) -> "torch.Tensor":
    """Mean over blocks, brought back to the size of the picture by linear interpolation."""
    import torch

    if factor <= 1:
        return height
    pooled = torch.nn.functional.avg_pool2d(height[None, None], factor, ceil_mode=True, count_include_pad=False)
    size = (pooled.shape[2] * factor, pooled.shape[3] * factor)
    full = torch.nn.functional.interpolate(pooled, size=size, mode="bilinear", align_corners=False)
    return full[0, 0, : height.shape[0], : height.shape[1]]


def _horizon(height: "torch.Tensor", pixel_size_nm: float, azimuths: list[float]) -> "torch.Tensor":
    """Tangent of the horizon's elevation at each azimuth (from +x towards +y), >= 0, shape (a, y, x)."""
    import torch

    tangents = [torch.zeros_like(height) for _ in azimuths]
    for reach_nm in _HORIZON_NM:
        reach = reach_nm / pixel_size_nm
        if reach < 0.75:
            continue
        around = _pooled(height, round(0.4 * reach))
        for i, azimuth in enumerate(azimuths):
            dy, dx = round(reach * math.sin(azimuth)), round(reach * math.cos(azimuth))
            way = max(math.hypot(dy, dx), 1.0) * pixel_size_nm
            tangents[i] = torch.maximum(tangents[i], (_shifted(around, dy, dx) - height) / way)
    return torch.stack(tangents)


def occlusion(height_nm: "torch.Tensor", pixel_size_nm: float) -> "torch.Tensor":
    """Share of the sky that the surroundings hide, A.

    The mean of sin² of the horizon's elevation over eight azimuths: what a horizontal patch loses of an
    evenly bright sky (Dozier and Frew 1990). Looks 5 µm far; heights are averaged the more the farther off
    they are.

    Parameters
    ----------
    height_nm : torch.Tensor, shape (y, x)
        Height of the surface.
    pixel_size_nm : float
        Pixel side.

    Returns
    -------
    torch.Tensor, shape (y, x)
        0 in the open, towards 1 in a crevice; differentiable in the heights (almost everywhere).
    """
    # Turned by an angle that no row or column lies in, lest far cells cast shadows along them.
    azimuths = [2.0 * math.pi * (i + 0.25) / _AZIMUTHS for i in range(_AZIMUTHS)]
    square = _horizon(height_nm, pixel_size_nm, azimuths) ** 2
    return (square / (1.0 + square)).mean(dim=0)


def _checked(normals: "torch.Tensor", height_nm: "torch.Tensor", pixel_size_nm: float) -> None:
    if normals.ndim != 3 or normals.shape[0] != 3 or normals.shape[1:] != height_nm.shape:
        raise ValueError(f"Normals are {tuple(normals.shape)}, heights {tuple(height_nm.shape)}; (3, y, x) and (y, x).")
    if not pixel_size_nm > 0:
        raise ValueError(f"The pixel size is {pixel_size_nm} nm; it must be positive.")


def _direction(azimuth_deg: Any, elevation_deg: Any, dtype: "torch.dtype") -> tuple["torch.Tensor", ...]:
    """Unit vector (z, y, x) towards a detector."""
    import torch

    azimuth = torch.deg2rad(torch.as_tensor(azimuth_deg, dtype=dtype))
    elevation = torch.deg2rad(torch.as_tensor(elevation_deg, dtype=dtype))
    flat = torch.cos(elevation)
    return torch.sin(elevation), flat * torch.sin(azimuth), flat * torch.cos(azimuth)


def secondary_electrons(
    normals: "torch.Tensor",
    height_nm: "torch.Tensor",
    pixel_size_nm: float,
    parameters: SemParameters,
    *,
    gain: "torch.Tensor | None" = None,
    texture: "torch.Tensor | None" = None,
    hidden: "torch.Tensor | None" = None,
) -> "torch.Tensor":
    """Noise-free secondary-electron image of a surface; the formula of the module without its counts.

    Parameters
    ----------
    normals : torch.Tensor, shape (3, y, x)
        Outward unit normals (z, y, x), z towards the beam.
    height_nm : torch.Tensor, shape (y, x)
        Height of the surface.
    pixel_size_nm : float
        Pixel side.
    parameters : SemParameters
        Differentiable where its fields are tensors.
    gain : torch.Tensor, shape (y, x), optional
        Factor on everything that leaves the surface: charging, coating, depth. 1 where missing.
    texture : torch.Tensor, shape (y, x), optional
        Roughness of mean 0 and standard deviation 1. None where missing.
    hidden : torch.Tensor, shape (y, x), optional
        A, where the caller knows better than `occlusion`.

    Returns
    -------
    torch.Tensor, shape (y, x)
        Signal, 1 is white; differentiable in normals, heights and parameters.

    Raises
    ------
    ValueError
        If shapes disagree or the pixel size is not positive.
    """
    import torch

    _checked(normals, height_nm, pixel_size_nm)
    p = parameters
    up = torch.clamp(normals[0], 0.0, 1.0)
    light = _direction(p.light_azimuth_deg, p.light_elevation_deg, normals.dtype)
    facing = normals[0] * light[0] + normals[1] * light[1] + normals[2] * light[2]
    signal = p.gain * ((1.0 + p.floor) / (up + p.floor)) ** p.exponent * (1.0 + p.side * facing)
    signal = signal * (1.0 - p.occlusion * (occlusion(height_nm, pixel_size_nm) if hidden is None else hidden))
    if texture is not None:
        signal = signal * (1.0 + p.texture * texture)
    signal = signal + p.edge * torch.exp(-up / p.edge_width)
    if gain is not None:
        signal = signal * gain
    signal = _focused(signal, height_nm, p) + p.offset
    return torch.clamp(signal, min=_DARK) ** p.gamma


def _focused(signal: "torch.Tensor", height_nm: "torch.Tensor", p: SemParameters) -> "torch.Tensor":
    """Blur of the beam, wider where the surface lies deep: between pictures of three widths, by depth."""
    import torch

    sharp = _blurred(signal, p.spot_px)
    if isinstance(p.defocus_px_per_um, float | int) and not p.defocus_px_per_um:
        return sharp
    focus = torch.quantile(height_nm.detach()[::4, ::4].flatten().to(torch.float64), 0.98).to(height_nm.dtype)
    # Defocus is that of the surroundings: a contour must not cut a blurred cell off.
    depth_um = torch.clamp(focus - _pooled(height_nm, 4), min=0.0) / 1000.0
    extra = p.defocus_px_per_um * depth_um
    pictures, sigma = [sharp], 0.8
    for _ in range(_BLURS - 1):
        pictures.append(_blurred(pictures[-1], sigma))
        sigma *= 1.9
    # Widths beyond the spot: 0, 0.8 and √(0.8² + 1.52²) = 1.7 pixels.
    widths = (0.0, 0.8, 1.7)
    out = pictures[0]
    for k in range(1, _BLURS):
        share = torch.clamp((extra - widths[k - 1]) / (widths[k] - widths[k - 1]), 0.0, 1.0)
        out = out + share * (pictures[k] - pictures[k - 1])
    return out


def backscattered(
    normals: "torch.Tensor",
    height_nm: "torch.Tensor",
    pixel_size_nm: float,
    quadrant: int,
    *,
    elevation_deg: float = 45.0,
    softness: float = 0.15,
    gain: float = 0.5,
) -> "torch.Tensor":
    """Noise-free image of one of four backscattered-electron detectors, q_i = g·max(n·l_i, 0)·V_i.

    Backscattered electrons fly straight: a quadrant sees what faces it and what no higher ground hides
    (Czepkowski and Słówko 1996).

    Parameters
    ----------
    normals : torch.Tensor, shape (3, y, x)
        Outward unit normals (z, y, x), z towards the beam.
    height_nm : torch.Tensor, shape (y, x)
        Height of the surface.
    pixel_size_nm : float
        Pixel side.
    quadrant : int
        0 to 3: the detector at +x, +y, -x, -y of the picture.
    elevation_deg : float
        Of the detector above the plane of the picture.
    softness : float
        Width of the shadow's border, as the tangent of an angle: detectors are extended.
    gain : float
        Signal of a surface that faces the detector; 1 is white.

    Returns
    -------
    torch.Tensor, shape (y, x)
        Signal, differentiable in normals and heights (almost everywhere).

    Raises
    ------
    ValueError
        If shapes disagree, the pixel size is not positive or there is no such quadrant.
    """
    import torch

    _checked(normals, height_nm, pixel_size_nm)
    if quadrant not in range(4):
        raise ValueError(f"There are quadrants 0 to 3, not {quadrant}.")
    azimuth = 0.5 * math.pi * quadrant
    z, y, x = _direction(math.degrees(azimuth), elevation_deg, normals.dtype)
    facing = torch.clamp(normals[0] * z + normals[1] * y + normals[2] * x, min=0.0)
    horizon = _horizon(height_nm, pixel_size_nm, [azimuth])[0]
    # 1 in the open to within 1e-3, a half where the horizon reaches the detector.
    visible = torch.sigmoid((math.tan(math.radians(elevation_deg)) - horizon) / softness)
    return gain * facing * visible


def counted(
    image: "torch.Tensor | NDArray[np.floating]", parameters: SemParameters, rng: np.random.Generator
) -> NDArray[np.float64]:
    """The image as counted: shot noise of the dose, before the display's gamma. Not differentiable.

    Parameters
    ----------
    image : torch.Tensor or numpy.ndarray, shape (y, x)
        Noise-free image.
    parameters : SemParameters
        Dose and gamma.
    rng : numpy.random.Generator
        Source of randomness; every 64 rows are counted with a generator spawned from it, so that blocks can
        be counted at the same time and the result depends on no number of processors.

    Returns
    -------
    numpy.ndarray, float64, shape (y, x)
        Same scale as `image`.
    """
    from em2cryo_assets.phantom.counting import poisson_counts

    plain = np.asarray(image.detach() if hasattr(image, "detach") else image, dtype=np.float64)
    dose, gamma = float(parameters.dose), float(parameters.gamma)
    signal = np.maximum(plain, 0.0) ** (1.0 / gamma)
    blocks = [slice(start, start + _BLOCK_ROWS) for start in range(0, signal.shape[0], _BLOCK_ROWS)]
    with ThreadPoolExecutor(2) as pool:
        counts = list(pool.map(poisson_counts, [signal[b] * dose for b in blocks], rng.spawn(len(blocks))))
    return (np.concatenate(counts) / dose) ** gamma
