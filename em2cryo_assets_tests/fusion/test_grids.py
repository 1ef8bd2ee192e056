import numpy as np

from em2cryo_assets.fusion.grids import box_grid, interpolated


def test_box_lies_inside_its_grid_and_in_the_middle():
    low, high = np.array([-100.0, 3.0, 50.0]), np.array([210.0, 90.0, 777.0])
    grid = box_grid(low, high, 25.0, 60.0)
    for axis in range(3):
        positions = grid.axis_nm(axis)
        assert positions[0] <= low[axis] - 60.0 + 25.0
        assert positions[-1] >= high[axis] + 60.0 - 25.0
        assert np.isclose(positions.mean(), (low[axis] + high[axis]) / 2)


def test_linear_fields_are_reproduced_in_any_block():
    low, high = np.zeros(3), np.array([300.0, 400.0, 500.0])
    coarse, fine = box_grid(low, high, 80.0, 160.0), box_grid(low, high, 30.0, 0.0)

    def field(grid, start, stop):
        z, y, x = np.meshgrid(*(grid.axis_nm(i, start[i], stop[i]) for i in range(3)), indexing="ij")
        return (0.3 * z - 2.0 * y + 0.7 * x + 5).astype(np.float32)

    values = field(coarse, (0, 0, 0), coarse.shape)
    start, stop = (1, 2, 3), (7, 9, 12)
    assert np.allclose(interpolated(values, coarse, fine, start, stop), field(fine, start, stop), atol=1e-3)
