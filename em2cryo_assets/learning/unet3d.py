"""A U-Net for slabs: thin along z, wide along y and x.

Belongs here: the architecture. Does not belong here: what goes in and what comes out means, nor any training.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["unet3d"]


def unet3d(channels_in: int, channels_out: int, widths: tuple[int, int, int, int] = (24, 48, 64, 80)) -> "nn.Module":
    """Build a network that maps (n, channels_in, z, y, x) to (n, channels_out, z, y, x).

    As `unet.unet`, it works at half the resolution in the plane; along z, where a slab has some ten voxels, nothing is
    left out. Of two convolutions in a row the first sees three planes and the second one.

    Parameters
    ----------
    channels_in, channels_out : int
        Of the volume and of the maps (logits, no activation).
    widths : tuple of int
        Channels at 1/2, 1/4, 1/8 and 1/16 of the resolution, multiples of 8; the default has 0.84 million weights.

    Returns
    -------
    torch.nn.Module
        Sides along y and x must be multiples of `unet.STRIDE`; z is free. Its field of view is some 200 voxels across
        and 15 planes deep.
    """
    import torch
    from torch import nn

    def block(entering: int, leaving: int) -> nn.Sequential:
        layers: list[nn.Module] = []
        for width, planes in ((entering, 3), (leaving, 1)):
            layers += [
                nn.Conv3d(width, leaving, (planes, 3, 3), padding=(planes // 2, 1, 1), bias=False),
                nn.GroupNorm(8, leaving),
                nn.SiLU(),
            ]
        return nn.Sequential(*layers)

    class UNet3d(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.down = nn.ModuleList(block(i, o) for i, o in zip((4 * channels_in, *widths), widths, strict=False))
            self.up = nn.ModuleList(block(i + o, o) for i, o in zip(widths[1:], widths, strict=False))
            self.head = nn.Conv3d(widths[0], 4 * channels_out, 1)

        def forward(self, volume: "torch.Tensor") -> "torch.Tensor":
            # Shuffling works on images: planes ride along as images of a batch.
            n, _, depth, high, wide = volume.shape
            planes = volume.transpose(1, 2).reshape(n * depth, channels_in, high, wide)
            x = nn.functional.pixel_unshuffle(planes, 2).reshape(n, depth, 4 * channels_in, high // 2, wide // 2)
            x = x.transpose(1, 2)
            kept = []
            for level, down in enumerate(self.down):
                x = down(x)
                if level < len(self.down) - 1:
                    kept.append(x)
                    x = nn.functional.avg_pool3d(x, (1, 2, 2))
            for skip, up in zip(reversed(kept), reversed(self.up), strict=True):
                x = nn.functional.interpolate(x, scale_factor=(1.0, 2.0, 2.0), mode="nearest")
                x = up(torch.cat([x, skip], dim=1))
            out = self.head(x).transpose(1, 2).reshape(n * depth, 4 * channels_out, high // 2, wide // 2)
            maps = nn.functional.pixel_shuffle(out, 2).reshape(n, depth, channels_out, high, wide)
            return maps.transpose(1, 2)

    return UNet3d()
