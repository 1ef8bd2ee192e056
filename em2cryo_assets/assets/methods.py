"""The paragraph on methods, from the artifacts that a study's report rests on.

Belongs here: the facts it needs, found in the store. Does not belong here: its sentences (`compare.methods_text`).
"""

from collections.abc import Callable
from importlib.metadata import version

from em2cryo_assets.assets.lineage import STAGES
from em2cryo_assets.assets.records import read_record
from em2cryo_assets.compare.methods_text import MethodsFacts, methods_paragraph
from em2cryo_assets.compare.sentences import Sentence
from em2cryo_assets.resources.study import Settings
from em2cryo_assets.store.publish import Artifact
from em2cryo_assets.store.tables import read_table

__all__ = ["Found", "methods"]

Found = Callable[[str], dict[str, Artifact]]
"""Artifacts of an asset by key, the empty key for one without partitions: `Work.all` is one."""


def methods(settings: Settings, found: Found, *, simulated: bool) -> Sentence:
    """Write the paragraph of a study.

    Parameters
    ----------
    settings : Settings
        Of the study.
    found : callable
        Gives the artifacts of an asset; ``verdicts`` must be among them.
    simulated : bool
        Whether the study's files are simulated.
    """
    meshes = [read_record(artifact) for artifact in found("cell_mesh").values()]
    shown = (artifact for name in STAGES for artifact in found(name).values())
    calibration = found("verdict_calibration").get("")
    facts = MethodsFacts(
        version=version("em2cryo-assets"),
        simulated=simulated,
        seed=settings.seed,
        segmenter=settings.segmenter,
        surfaces=sorted({record["method"] for record in meshes}),
        imposed=sorted({text for record in meshes for text in record["imposed"]}),
        pairs=len(found("comparison")),
        pairs_per_tomogram=settings.pairs_per_tomogram,
        calibration_studies=0 if calibration is None else int(read_record(calibration)["studies"]),
        assumed=sum(bool(artifact.provenance.fallbacks) for artifact in shown),
    )
    return methods_paragraph(read_table(found("verdicts")[""].path / "verdicts.parquet"), facts)
