import re

import numpy as np
import pytest

from em2cryo_assets.fusion.budget import check_budget, memory_gb
from em2cryo_assets.fusion.plan import fused_grid


def test_a_usual_cell_is_within_the_usual_budget(cell):
    check_budget(cell, 40.0, megavoxels=1100, memory_limit_gb=3.0)
    assert memory_gb(1024**3) < 3.0


@pytest.mark.parametrize(
    "budget", [{"megavoxels": 5, "memory_limit_gb": 3.0}, {"megavoxels": 1100, "memory_limit_gb": 0.8}]
)
def test_what_exceeds_a_budget_is_refused_with_a_voxel_that_fits(cell, budget):
    with pytest.raises(ValueError, match="fused_megavoxels") as refused:
        check_budget(cell, 8.0, **budget)
    voxel_nm = float(re.search(r"fused_voxel_nm = (\d+(?:\.\d+)?)\.$", str(refused.value)).group(1))
    assert voxel_nm > 8.0
    check_budget(cell, voxel_nm, **budget)
    assert np.prod(fused_grid(cell, 0.9 * voxel_nm).shape) > np.prod(fused_grid(cell, voxel_nm).shape)
