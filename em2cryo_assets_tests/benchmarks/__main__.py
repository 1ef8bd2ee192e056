"""``python -m em2cryo_assets_tests.benchmarks [NAME …]``: all benchmarks, or those named, a JSON line a figure."""

import importlib
import sys

NAMES = (
    "ground", "ingest", "phantom", "cryo", "realism", "realism_tem_cryo", "masks",
    "sections", "tomogram_labels", "tomograms", "compare", "atlas", "fusion", "report", "scale",
)  # fmt: skip


def main(names: list[str]) -> int:
    """Run benchmarks by name."""
    unknown = sorted(set(names) - set(NAMES))
    if unknown:
        print(f"no benchmark is called {', '.join(unknown)}; there are {', '.join(NAMES)}", file=sys.stderr)
        return 2
    missed = 0
    for name in names or NAMES:
        for figure in importlib.import_module(f"em2cryo_assets_tests.benchmarks.{name}").figures():
            print(figure.line(), flush=True)
            missed += not figure.ok
    print(f"{missed} figures missed their target", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
