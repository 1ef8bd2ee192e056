"""SEM images with the words of their vendors, as the microscopes write them (by published examples of each)."""

from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

ZEISS = (
    "0\r\n0\r\n0\r\n{screen_m:.6e}\r\n1.000507e+004\r\n6\r\n5.000000e+003\r\n2.370000e+000\r\n293\r\n"
    "DP_NEWFILAMENT\r\nNew Filament = No\r\nDP_TILT_CORRECTION\r\nTilt Corrn. = {correction}\r\n"
    "DP_DETECTOR_TYPE\r\nDetector = SE2\r\nDP_IMAGE_STORE\r\nStore resolution = {across} * {down}\r\n"
    "AP_MAG\r\nMag =  10.00 K X\r\nAP_WD\r\nWD =  4.1 mm\r\nAP_ACTUALKV\r\nEHT Target =  5.00 kV\r\n"
    "AP_STAGE_AT_T\r\nStage at T =  {tilt} °\r\n{size}AP_TIME\r\nTime :10:11:12\r\nSV_FILE_NAME\r\nFile Name = a.tif\r\n"
)
JEOL = (
    "$CM_FORMAT 256\r\n$CM_VERSION 0.31\r\n$CM_TITLE yeast\r\n$CM_INSTRUMENT 6510\r\n$CM_ACCEL_VOLT 15.00\r\n"
    "$CM_MAG 3000\r\n$CM_SIGNAL SEI\r\n$CM_FULL_SIZE {across} {down}\r\n$$SM_MICRON_BAR {bar_px}\r\n"
    "$$SM_MICRON_MARKER {marker}\r\n$CM_STAGE_POS 2.044 0.704 10.2 {angles} 0\r\n$$SM_WD 10\r\n$$SM_SCAN_ROTATION 0.00\r\n"
)
HITACHI = (
    "[SemImageFile]\r\nInstructName=SU8020\r\nSerialNumber=1\r\nSampleName=yeast\r\nFormat=tif\r\nImageName=a.tif\r\n"
    "Date=2020/02/03\r\nTime=10:11:12\r\nDataSize={across}x{down}\r\nPixelSize={side}\r\nSignalName=SE(U)\r\n"
    "AcceleratingVoltage=5000 Volt\r\nDecelerationVoltage=0 Volt\r\nMagnification=4000\r\nWorkingDistance=8100 um\r\n"
    "MicronMarker=10000\r\nStagePositionX=57000000\r\nStagePositionY=35000000\r\nStagePositionR=0\r\n"
    "StagePositionZ=8000000\r\nStagePositionT={tilt}\r\n"
)
TESCAN = (
    "[MAIN]\r\nAccFrames=1\r\nAccType=\r\nDate=2020-02-03\r\nDevice=MIRA3 LMH\r\nImageStripSize={strip}\r\n"
    "Magnification=5000.0\r\nNote=100% yeast\r\nPixelSizeX={side_m:.6e}\r\nPixelSizeY={side_m:.6e}\r\nSignature=\r\n"
    "[SEM]\r\nChamberPressure=0.001\r\nDetector=SE\r\nDetector0=SE\r\nDwellTime=3.2e-06\r\nHV=10000.0\r\nScanRotation=0\r\n"
    "StageRotation=30.0\r\nStageTilt={tilt}\r\nStageX=0.001\r\nWD=0.00512\r\n"
)


def zeiss_text(
    side_nm: float, shape: tuple[int, int], *, tilt: float = 0.0, correction: str = "Off", old: bool = False
) -> str:
    """SmartSEM's text; an old version knows the pixel size on the screen (1,024 pixels wide) only."""
    size = "" if old else f"AP_IMAGE_PIXEL_SIZE\r\nImage Pixel Size =  {side_nm:.4g} nm\r\n"
    screen = side_nm * 1e-9 * shape[1] / 1024
    return ZEISS.format(screen_m=screen, correction=correction, across=shape[1], down=shape[0], tilt=tilt, size=size)


def write_tagged(path: Path, pixels: NDArray[Any], code: int, text: str) -> Path:
    """A TIFF with a vendor's text in a private tag."""
    content = text.encode("cp1252") + b"\0"
    tifffile.imwrite(
        path, pixels, photometric="minisblack", metadata=None, extratags=[(code, 2, len(content), content, True)]
    )
    return path


def write_plain(path: Path, pixels: NDArray[Any]) -> Path:
    """A TIFF without any tag of a vendor."""
    tifffile.imwrite(path, pixels, photometric="minisblack", metadata=None)
    return path


def field(shape: tuple[int, int] = (240, 320)) -> NDArray[np.uint8]:
    """Any picture without marks."""
    from em2cryo_assets_tests.formats.drawn import blobs

    return blobs(shape=shape)
