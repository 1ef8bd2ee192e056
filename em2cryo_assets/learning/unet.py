"""A U-Net that works at half the resolution of its input.

Belongs here: the architecture. Does not belong here: what goes in and what comes out means, nor any training.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["STRIDE", "channels_last", "parameters_of", "unet"]

STRIDE = 16
"""Sides of an input must be multiples of this: pixel-unshuffle by 2 and three halvings."""


def unet(channels_in: int, channels_out: int, widths: tuple[int, int, int, int] = (32, 64, 96, 160)) -> "nn.Module":
    """Build a network that maps (n, channels_in, y, x) to (n, channels_out, y, x).

    Four neighbouring pixels become four channels at the door and the maps are shuffled back at the end: a quarter of
    the multiplications, and outlines still to the pixel.

    Parameters
    ----------
    channels_in, channels_out : int
        Of the image and of the maps (logits or numbers, no activation).
    widths : tuple of int
        Channels at 1/2, 1/4, 1/8 and 1/16 of the resolution, multiples of 8; the default has 1.05 million weights.

    Returns
    -------
    torch.nn.Module
        Its field of view is some 200 pixels across, four cells at the working size.
    """
    import torch
    from torch import nn

    def block(entering: int, leaving: int) -> nn.Sequential:
        layers: list[nn.Module] = []
        for width in (entering, leaving):
            layers += [nn.Conv2d(width, leaving, 3, padding=1, bias=False), nn.GroupNorm(8, leaving), nn.SiLU()]
        return nn.Sequential(*layers)

    class UNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.down = nn.ModuleList(block(i, o) for i, o in zip((4 * channels_in, *widths), widths, strict=False))
            self.up = nn.ModuleList(block(i + o, o) for i, o in zip(widths[1:], widths, strict=False))
            self.head = nn.Conv2d(widths[0], 4 * channels_out, 1)

        def forward(self, image: "torch.Tensor") -> "torch.Tensor":
            x = nn.functional.pixel_unshuffle(image, 2)
            kept = []
            for level, down in enumerate(self.down):
                x = down(x)
                if level < len(self.down) - 1:
                    kept.append(x)
                    x = nn.functional.avg_pool2d(x, 2)
            for skip, up in zip(reversed(kept), reversed(self.up), strict=True):
                x = nn.functional.interpolate(x, scale_factor=2.0, mode="nearest")
                x = up(torch.cat([x, skip], dim=1))
            return nn.functional.pixel_shuffle(self.head(x), 2)

    return UNet()


def parameters_of(net: "nn.Module") -> int:
    """Number of trainable weights."""
    return sum(p.numel() for p in net.parameters())


def channels_last(net: "nn.Module") -> "nn.Module":
    """The network with weights laid out channel by channel, in which training takes .75 of the time; in place."""
    import torch

    for module in net.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.weight.data = module.weight.data.contiguous(memory_format=torch.channels_last)
    return net
