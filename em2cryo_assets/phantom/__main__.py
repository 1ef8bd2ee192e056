"""``python -m em2cryo_assets.phantom --out FOLDER``: write the simulated demo study.

Belongs here: the command line of the phantom. Does not belong here: anything it does.
"""

import argparse
from pathlib import Path

from em2cryo_assets.formats.errors import InputError
from em2cryo_assets.phantom.study import DEMO_SEED, write_study


def main() -> None:
    """Parse arguments and write the study."""
    parser = argparse.ArgumentParser(prog="python -m em2cryo_assets.phantom", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="study folder; its inbox is written")
    parser.add_argument("--seed", type=int, default=DEMO_SEED)
    arguments = parser.parse_args()
    try:
        paths = write_study(arguments.out, seed=arguments.seed)
    except InputError as error:
        parser.error(str(error))
    print(f"{len(paths)} simulated raw files in {arguments.out / 'inbox'}")


if __name__ == "__main__":
    main()
