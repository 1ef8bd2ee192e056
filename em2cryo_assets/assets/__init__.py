"""The lineage, one file a column; `lineage.STAGES` is its table of contents."""

from em2cryo_assets.assets.calibration import verdict_calibration
from em2cryo_assets.assets.cell_views import cell_view
from em2cryo_assets.assets.comparison import comparison, comparison_table, tomogram_features, verdicts
from em2cryo_assets.assets.learned import section_model, sem_mask_model, tomogram_model
from em2cryo_assets.assets.limits import limitations
from em2cryo_assets.assets.masks import cell_masks, section_labels, tomogram_labels
from em2cryo_assets.assets.meshes import cell_mesh, cell_surface
from em2cryo_assets.assets.models import phantom_cells, simulated_study
from em2cryo_assets.assets.raw import sem_field, tem_section, tomogram
from em2cryo_assets.assets.report_page import report
from em2cryo_assets.assets.virtual_tem import virtual_tem
from em2cryo_assets.assets.volumes import cell_features, fused_volume, interior_atlas

__all__ = ["ASSETS"]

ASSETS = [
    phantom_cells,
    simulated_study,
    sem_mask_model,
    section_model,
    tomogram_model,
    sem_field,
    tem_section,
    tomogram,
    cell_masks,
    cell_view,
    section_labels,
    tomogram_labels,
    cell_surface,
    cell_mesh,
    interior_atlas,
    fused_volume,
    cell_features,
    tomogram_features,
    comparison,
    virtual_tem,
    comparison_table,
    verdicts,
    verdict_calibration,
    limitations,
    report,
]
