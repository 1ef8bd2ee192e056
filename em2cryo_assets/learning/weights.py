"""Weight files: tensors with a few lines of text, in the safetensors format, which cannot run code when it is read.

Belongs here: reading and writing. Does not belong here: what the tensors are for.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["load_weights", "read_tensors", "save_weights", "write_tensors"]

_TEXT = "em2cryo"
"""Key of the one metadata entry; its value is JSON, because safetensors stores text only."""


def write_tensors(path: Path, tensors: "Mapping[str, torch.Tensor]", about: Mapping[str, Any]) -> None:
    """Write tensors to a file that appears whole or not at all.

    Parameters
    ----------
    path : Path
        Of the file; its folder is made.
    tensors : mapping of str to torch.Tensor
        Any types and shapes.
    about : mapping
        What JSON can hold.
    """
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.part")
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    save_file(plain, partial, metadata={_TEXT: json.dumps(dict(about), sort_keys=True)})
    partial.replace(path)


def read_tensors(path: Path) -> "tuple[dict[str, torch.Tensor], dict[str, Any]]":
    """Read what `write_tensors` wrote.

    Parameters
    ----------
    path : Path
        Of the file.

    Returns
    -------
    tuple of dict
        The tensors on the processor, and what was written about them.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no safetensors file, or one without the text that this project adds.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise FileNotFoundError(f"There are no weights at {path}.")
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {})[_TEXT])
            return {name: file.get_tensor(name) for name in file.keys()}, about  # noqa: SIM118 (it is no mapping)
    except (SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is not a weight file of this project: {error}.") from error


def save_weights(path: Path, net: "nn.Module", about: Mapping[str, Any], *, half: bool = True) -> None:
    """Write a network's weights, in half precision unless told otherwise, with what is known about them.

    Parameters
    ----------
    path : Path
        Of the file.
    net : torch.nn.Module
        The network.
    about : mapping
        What JSON can hold.
    half : bool
        Half precision moves a map's value by some 1e-3 and halves the file.
    """
    import torch

    state = net.state_dict()
    write_tensors(
        path, {k: v.to(torch.float16) if half and v.is_floating_point() else v for k, v in state.items()}, about
    )


def load_weights(path: Path, net: "nn.Module") -> dict[str, Any]:
    """Fill a network with the weights of a file and set it to inference.

    Parameters
    ----------
    path : Path
        Of the file.
    net : torch.nn.Module
        Of the architecture that was saved; changed in place.

    Returns
    -------
    dict
        What is known about the weights.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no weight file, or one of another architecture.
    """
    tensors, about = read_tensors(path)
    state = net.state_dict()
    wrong = sorted(set(tensors) ^ set(state)) or sorted(k for k in state if state[k].shape != tensors[k].shape)
    if wrong:
        raise ValueError(f"The weights in {path} are of another network; they differ in {', '.join(wrong[:4])}.")
    net.load_state_dict({k: v.to(state[k].dtype) for k, v in tensors.items()})
    net.eval()
    return about
