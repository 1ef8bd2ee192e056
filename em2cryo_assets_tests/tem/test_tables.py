"""An atlas of nothing is as declared, like any other: a study without a usable section must not stop at its types."""

import pytest

from em2cryo_assets.compare.tables import MEASUREMENTS
from em2cryo_assets.tem.atlas import build_atlas
from em2cryo_assets.tem.tables import ATLAS_TABLES


@pytest.mark.parametrize("name", [*ATLAS_TABLES, "measurements"])
def test_an_empty_atlas_is_as_declared(name: str) -> None:
    schema = ATLAS_TABLES.get(name, MEASUREMENTS)
    schema.validate(build_atlas({}, {}, 0).tables[name], lazy=True)
