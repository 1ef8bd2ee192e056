"""Files as microscopes' programs write them, byte for byte by their public descriptions.

DM3 and DM4: tags of groups and of arrays, big-endian structure around little-endian data. SER: header, one dimension,
offsets, an image each. Velox: HDF5 with the metadata as JSON in a column of bytes. Berkeley: HDF5 with dim vectors.
"""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_DM_TYPES = {"int16": (1, 2), "float32": (2, 6), "uint8": (6, 10), "uint16": (10, 4), "complex64": (3, 6)}
"""Data type of the image (in DM's numbers) and encoding of its elements in the tag."""


class _Dm:
    def __init__(self, version: int) -> None:
        self.version, self.long = version, ">i" if version == 3 else ">q"

    def number(self, value: int) -> bytes:
        return struct.pack(self.long, value)

    def data(self, name: str, info: list[int], content: bytes) -> bytes:
        body = b"%%%%" + self.number(len(info)) + b"".join(self.number(i) for i in info) + content
        size = b"" if self.version == 3 else struct.pack(">q", len(body))
        return struct.pack(">bh", 21, len(name)) + name.encode() + size + body

    def group(self, name: str, tags: list[bytes]) -> bytes:
        body = b"".join(tags)
        size = b"" if self.version == 3 else struct.pack(">q", len(body) + 8)
        return struct.pack(">bh", 20, len(name)) + name.encode() + b"\0\0" + size + self.number(len(tags)) + body

    def float(self, name: str, value: float) -> bytes:
        return self.data(name, [6], struct.pack("<f", value))

    def ulong(self, name: str, value: int) -> bytes:
        return self.data(name, [5], struct.pack("<I", value))

    def text(self, name: str, value: str) -> bytes:
        return self.data(name, [20, 4, len(value)], value.encode("utf-16-le"))

    def image(self, pixels: NDArray[Any], side: float, unit: str, name: str, size: int | None = None) -> bytes:
        kind, encoding = _DM_TYPES[pixels.dtype.name]
        shape = pixels.shape[::-1]
        dimension = [self.float("Origin", 0.0), self.float("Scale", side), self.text("Units", unit)]
        brightness = [self.float("Origin", 0.0), self.float("Scale", 1.0), self.text("Units", "")]
        dimensions = self.group("Dimension", [self.group("", dimension) for _ in shape])
        calibrations = self.group("Calibrations", [self.group("Brightness", brightness), dimensions])
        elements = pixels.view("f4") if pixels.dtype.kind == "c" else pixels
        content = self.data("Data", [20, encoding, elements.size if size is None else size], pixels.tobytes())
        sides = [self.ulong("", n if size is None else size) for n in shape]
        image = [calibrations, content, self.ulong("DataType", kind), self.group("Dimensions", sides)]
        image.append(self.ulong("PixelDepth", pixels.dtype.itemsize))
        microscope = [self.float("Voltage", 120e3), self.float("Indicated Magnification", 5000.0)]
        microscope += [self.text("Microscope", "A microscope"), self.float("Stage Alpha", 12.5)]
        tags = self.group("ImageTags", [self.group("Microscope Info", microscope)])
        return self.group("", [self.group("ImageData", image), tags, self.text("Name", name)])


def write_dm(
    path: Path,
    pixels: NDArray[Any] | list[NDArray[Any]],
    side: float = 2.5,
    unit: str = "nm",
    *,
    thumbnail: bool = True,
    claimed: int | None = None,
) -> Path:
    """DM3 or DM4 by the ending; with the thumbnail that DigitalMicrograph puts first."""
    dm = _Dm(int(path.suffix[-1]))
    images = pixels if isinstance(pixels, list) else [pixels]
    listed = [dm.image(image, side, unit, f"image {i}", claimed) for i, image in enumerate(images, 1)]
    tags = []
    if thumbnail:
        listed.insert(0, dm.image(np.zeros((4, 4), np.uint8), 1.0, "", "thumbnail"))
        tags = [dm.group("Thumbnails", [dm.group("", [dm.ulong("ImageIndex", 0)])])]
    body = dm.number(len(tags) + 1) + dm.group("ImageList", listed) + b"".join(tags)
    head = struct.pack(">i", dm.version) + dm.number(len(body) + 2) + struct.pack(">i", 1)
    path.write_bytes(head + b"\0\0" + body + b"\0" * 8)
    return path


def write_ser(path: Path, pixels: NDArray[Any], side_m: float, *, claimed: int | None = None) -> Path:
    """TIA's SER of version 0x0210: one image, or a series of them along the first axis."""
    images = pixels[None] if pixels.ndim == 2 else pixels
    kind = {"uint8": 1, "uint16": 2, "int16": 5, "int32": 6, "float32": 7}[pixels.dtype.name]
    count, (down, across) = len(images), images.shape[1:]
    text, unit = b"Number", b""
    dimension = struct.pack("<IddI", count, 0.0, 1.0, 0) + struct.pack("<I", len(text)) + text
    dimension += struct.pack("<I", len(unit)) + unit
    table = 30 + len(dimension)
    head = struct.pack("<HHHIIII", 0x4949, 0x0197, 0x0210, 0x4122, 0x4152, count, count)
    head += struct.pack("<II", table, 1) + dimension
    size = 50 + images[0].nbytes
    first = table + 8 * count
    starts = [first + i * (size + 8) for i in range(count)]
    body = struct.pack(f"<{2 * count}I", *starts, *(start + size for start in starts))
    for image in images:
        body += struct.pack("<ddIddI", 0.0, side_m, 0, 0.0, side_m, 0)
        body += struct.pack("<HII", kind, across if claimed is None else claimed, down if claimed is None else claimed)
        body += image[::-1].tobytes()  # rows from the bottom, as TIA counts them
        body += struct.pack("<HHI", 0x4152, 0, 1_000_000_000)
    path.write_bytes(head + body)
    return path


def write_emi(path: Path, *, mode: str = "TEM uP SA Zoom Image", kv: float = 200.0, extra: str = "") -> Path:
    """The XML that TIA keeps amid the bytes of an EMI file."""
    labels = [("High tension", kv, "kV"), ("Stage A", -3.5, "deg"), ("Magnification", 29000, "x")]
    data = "".join(
        f"<Data><Label>{name}</Label><Value>{value}</Value><Unit>{unit}</Unit></Data>" for name, value, unit in labels
    )
    data += f"<Data><Label>Mode</Label><Value>{mode}</Value><Unit></Unit></Data>"
    xml = (
        "<ObjectInfo><AcquireDate>Tue Mar 01 10:00:00 2022</AcquireDate><AcquireInfo><CameraNamePath>CCD"
        "</CameraNamePath></AcquireInfo>"
        f"<ExperimentalDescription><Root>{data}</Root></ExperimentalDescription></ObjectInfo>"
    )
    path.write_bytes(b"JJ\x01\x02" * 8 + extra.encode() + xml.encode() + b"\0" * 16)
    return path


def write_velox(path: Path, frames: dict[str, NDArray[Any]], side_m: float = 3e-9, unit: str = "m") -> Path:
    """Velox's EMD: detector name to (y, x) image or (frames, y, x) series."""
    import h5py

    with h5py.File(path, "w") as file:
        version = json.dumps({"format": "Velox", "version": "10"})
        file.create_dataset("Version", data=np.array([version.encode()], dtype="S64"))
        for number, (name, pixels) in enumerate(frames.items()):
            stack = pixels[None] if pixels.ndim == 2 else pixels
            side = {"width": str(side_m), "height": str(side_m)}
            content = {
                "BinaryResult": {
                    "PixelSize": side,
                    "Offset": {"x": "0", "y": "0"},
                    "PixelUnitX": unit,
                    "Detector": name,
                },
                "Detectors": {"Detector-0": {"DetectorName": name, "ExposureTime": "1"}},
                "Acquisition": {"AcquisitionStartDatetime": {"DateTime": "1600000000"}},
                "Optics": {"AccelerationVoltage": "300000"},
                "Stage": {"AlphaTilt": "0.1"},
                "Instrument": {"InstrumentClass": "Talos"},
                "Scan": {"FrameTime": "1"},
                "CustomProperties": {},
            }
            content["BinaryResult"]["DetectorIndex"] = "0"
            text = np.frombuffer(json.dumps(content).encode().ljust(60_000, b"\0"), np.uint8)
            key = f"{number:032x}"
            group = file.create_group(f"Data/Image/{key}")
            chunks = (*stack.shape[1:], 1)
            group.create_dataset("Data", data=np.moveaxis(stack, 0, -1), chunks=chunks, compression="gzip")
            group.create_dataset("Metadata", data=np.repeat(text[:, None], len(stack), axis=1))
            operation = json.dumps({"dataPath": f"/Data/Image/{key}", "cameraName": name})
            file.create_dataset(
                f"Operations/CameraInputOperation/{key}", data=np.array([operation.encode()], dtype="S200")
            )
    return path


def write_berkeley(path: Path, pixels: NDArray[Any], side: float, unit: str) -> Path:
    """Berkeley's EMD 0.2: data with a vector of positions for each axis."""
    import h5py

    with h5py.File(path, "w") as file:
        file.attrs["version_major"], file.attrs["version_minor"] = 0, 2
        group = file.create_group("data/image")
        group.attrs["emd_group_type"] = 1
        group.create_dataset("data", data=pixels)
        for number, (n, name) in enumerate(zip(pixels.shape, "zyx"[-pixels.ndim :], strict=True), 1):
            positions = group.create_dataset(f"dim{number}", data=np.arange(n) * side)
            positions.attrs["name"], positions.attrs["units"] = name, unit
    return path
