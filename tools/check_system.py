"""Check what pip cannot install, before anything is installed, and print the line to type.

Runs with any Python 3, so that an old one gets a sentence and not a traceback.
"""

import ctypes.util
import sys

LIBRARIES = {
    "usb-1.0": "libusb-1.0-0",
    "GL": "libgl1",
    "EGL": "libegl1",
    "X11": "libx11-6",
    "gomp": "libgomp1",
}
"""What open3d links to, and Debian's package for it."""


def main():
    """Exit with a sentence if something is missing."""
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        found = ".".join(map(str, sys.version_info[:3]))
        sys.exit("EM2Cryo needs Python 3.11 to 3.13 and this is " + found + "; try: make PYTHON=python3.12 demo")
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        sys.exit("Python's venv module is missing; type: sudo apt-get install -y python3-venv")
    if not sys.platform.startswith("linux"):
        return
    missing = [package for library, package in LIBRARIES.items() if ctypes.util.find_library(library) is None]
    if missing:
        sys.exit("System libraries are missing; type: sudo apt-get install -y " + " ".join(missing))


if __name__ == "__main__":
    main()
