"""Weights survive the file, and nothing else is read as weights."""

from pathlib import Path

import pytest

from em2cryo_assets.learning.unet import parameters_of, unet
from em2cryo_assets.learning.weights import load_weights, read_tensors, save_weights


def _net(seed: int, widths=(8, 8, 8, 16)):
    import torch

    torch.manual_seed(seed)
    return unet(1, 2, widths).eval()


def test_a_network_says_the_same_after_the_file(tmp_path: Path) -> None:
    import torch

    net, other = _net(1), _net(2)
    path = tmp_path / "deep" / "net.safetensors"
    save_weights(path, net, {"seed": 1, "maps": ["a", "b"]})
    assert load_weights(path, other) == {"seed": 1, "maps": ["a", "b"]}
    x = torch.randn(1, 1, 32, 32)
    with torch.no_grad():
        assert torch.allclose(net(x), other(x), atol=0.02)
    assert {t.dtype for t in read_tensors(path)[0].values()} == {torch.float16}
    assert not other.training


def test_full_precision_is_exact(tmp_path: Path) -> None:
    import torch

    net, other = _net(1), _net(2)
    save_weights(tmp_path / "net", net, {}, half=False)
    load_weights(tmp_path / "net", other)
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), other.parameters(), strict=True))


def test_another_network_another_file_and_none_are_told_apart(tmp_path: Path) -> None:
    save_weights(tmp_path / "net", _net(1), {})
    with pytest.raises(ValueError, match="another network"):
        load_weights(tmp_path / "net", _net(1, (8, 8, 16, 16)))
    (tmp_path / "pickle").write_bytes(b"\x80\x04\x95 not a weight file")
    with pytest.raises(ValueError, match="not a weight file"):
        load_weights(tmp_path / "pickle", _net(1))
    with pytest.raises(FileNotFoundError, match="missing"):
        load_weights(tmp_path / "missing", _net(1))


def test_the_default_network_is_small_and_uses_every_weight() -> None:
    import torch

    net = unet(2, 6)
    assert 0.7e6 < parameters_of(net) < 1.2e6
    out = net(torch.randn(2, 2, 48, 64))
    assert out.shape == (2, 6, 48, 64)
    out.square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


def test_a_pixel_comes_out_where_it_went_in() -> None:
    """Shuffling pixels at both doors must not move them: the response is centred on the stimulus."""
    import torch

    net = _net(0)
    x = torch.zeros(1, 1, 64, 64)
    bright = x.clone()
    bright[0, 0, 33, 30] = 20.0
    with torch.no_grad():
        change = (net(bright) - net(x)).abs().sum(dim=1)[0]
    y, x_ = divmod(int(change.argmax()), 64)
    assert abs(y - 33) <= 3
    assert abs(x_ - 30) <= 3
