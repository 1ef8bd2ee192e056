"""The report's own words, in English and Korean.

Belongs here: names of characteristics, verdicts, labels and sources, and the question; the standard text on
method and limits is read from `text.toml`. Does not belong here: anything that a study decides, such as
the sentence of a verdict.
"""

import tomllib
from importlib.resources import files
from types import MappingProxyType
from typing import Final, NamedTuple

from em2cryo_assets.report.data import TextBlock
from em2cryo_assets.vocabulary import ORGANELLES, VERDICT_NAMES

__all__ = [
    "ATLAS_COLUMNS",
    "ATLAS_WORDS",
    "CHARACTERISTICS",
    "DISTANCES",
    "LABEL_WORDS",
    "LIMITS",
    "LOGARITHMS",
    "MARK",
    "METHODS",
    "QUESTION",
    "RATIOS",
    "SOURCE_WORDS",
    "VERDICTS",
    "Bilingual",
    "characteristic_name",
]


class Bilingual(NamedTuple):
    """One expression in both languages."""

    en: str
    ko: str


MARK: Final = Bilingual("SIMULATED", "모의 데이터")

QUESTION: Final = Bilingual(
    "In which characteristics does a 3-D cell built from SEM and TEM images match the frozen-hydrated cell "
    "that cryo-ET sees?",
    "SEM과 TEM 영상으로 만든 3차원 세포는 cryo-ET가 보는 동결 수화 세포와 어떤 특성에서 일치하는가?",
)

VERDICTS: Final = MappingProxyType({name: Bilingual(name, korean) for name, korean in VERDICT_NAMES.items()})
"""Every verdict in the order of the tally."""

CHARACTERISTICS: Final = MappingProxyType(
    {
        "log_volume": Bilingual("Cell volume (log)", "세포 부피(로그)"),
        "sphericity": Bilingual("Sphericity", "구형도"),
        "axis_ratio": Bilingual("Elongation (axis ratio)", "신장도(축비)"),
        "axial_asymmetry": Bilingual("Axial asymmetry η", "축 비대칭 η"),
        "mirror_asymmetry": Bilingual("Mirror asymmetry M", "거울 비대칭 M"),
        "log_wall_radius": Bilingual("Wall radius (log)", "세포벽 곡률 반지름(로그)"),
        "outline_axis_ratio": Bilingual("Outline axis ratio (cuts)", "윤곽 축비(단면)"),
        "silhouette_axis_ratio": Bilingual("Outline axis ratio (whole cells)", "윤곽 축비(세포 전체)"),
        "wall_thickness": Bilingual("Wall thickness", "세포벽 두께"),
        "fraction_nucleus": Bilingual("Nucleus fraction", "핵 부피 분율"),
        "fraction_vacuole": Bilingual("Vacuole fraction", "액포 부피 분율"),
        "fraction_mitochondrion": Bilingual("Mitochondria fraction", "미토콘드리아 부피 분율"),
        "fraction_lipid_droplet": Bilingual("Lipid droplet fraction", "지질 방울 부피 분율"),
        "contrast_order": Bilingual("Order of contrast", "명암 순서"),
        "depth_profile": Bilingual("Density with depth", "깊이에 따른 밀도"),
        "density_distribution": Bilingual("Density within labels", "영역별 밀도 분포"),
        "power_spectrum": Bilingual("Texture (power spectrum)", "질감(파워 스펙트럼)"),
        "autocorrelation_length": Bilingual("Autocorrelation length", "자기상관 길이"),
    }
)

DISTANCES: Final = frozenset({"depth_profile", "density_distribution", "power_spectrum", "autocorrelation_length"})
"""Characteristics judged by the excess of a distance: only the upper side of the margin counts."""

RATIOS: Final = frozenset({"wall_thickness", *(f"fraction_{name}" for name in ORGANELLES)})
"""Characteristics whose difference and margin are logarithms of a ratio, whatever the unit of the estimates."""

LOGARITHMS: Final = frozenset({"log_volume", "log_wall_radius"})
"""Characteristics whose estimates are logarithms of a size."""

LABEL_WORDS: Final = MappingProxyType(
    {
        "outside": Bilingual("outside", "세포 밖"),
        "wall": Bilingual("wall", "세포벽"),
        "membrane": Bilingual("membrane", "세포막"),
        "cytoplasm": Bilingual("cytoplasm", "세포질"),
        "nucleus": Bilingual("nucleus", "핵"),
        "vacuole": Bilingual("vacuole", "액포"),
        "mitochondrion": Bilingual("mitochondrion", "미토콘드리아"),
        "lipid_droplet": Bilingual("lipid droplet", "지질 방울"),
    }
)

ATLAS_WORDS: Final = MappingProxyType(
    {
        "fractions": Bilingual("Volume fractions of the cell", "세포의 부피 분율"),
        "depth": Bilingual("What lies at which depth", "깊이별 구조"),
        "wall": Bilingual("Wall thickness", "세포벽 두께"),
        "meta": Bilingual("About the atlas", "아틀라스 정보"),
    }
)

ATLAS_COLUMNS: Final = MappingProxyType(
    {
        "label": "part of the cell",
        "v_v": "volume fraction",
        "low": "low (90 %)",
        "high": "high (90 %)",
        "s_v_per_um": "surface per volume, 1/µm",
        "thickness_bias": "bias by thickness",
        "n_sections": "sections",
        "n_units": "cells",
        "n_blocks": "blocks",
        "n_needed": "cells needed for ±20 %",
        "mean_nm": "mean, nm",
        "sd_nm": "SD between cells, nm",
        "median_nm": "median, nm",
        "compression": "knife's compression undone",
        "s_bin": "bin of depth",
        "p": "share",
        "density_mean": "mean density",
        "density_sd": "SD of density",
        "n_px": "pixels",
    }
)
"""Headings of the atlas's columns; others are shown by their own names."""

SOURCE_WORDS: Final = MappingProxyType(
    {
        "none": Bilingual("nothing", "없음"),
        "sem_shape": Bilingual("SEM shape", "SEM 형태"),
        "tem_atlas": Bilingual("TEM atlas", "TEM 아틀라스"),
        "prior": Bilingual("literature prior", "문헌 사전값"),
        "simulation": Bilingual("seeded simulation", "난수 시뮬레이션"),
    }
)

_TEXT: Final = tomllib.loads((files("em2cryo_assets.report") / "text.toml").read_text(encoding="utf-8"))

METHODS: Final = tuple(TextBlock(**block) for block in _TEXT["method"])
"""What was done, for a reader who was not there; shown where the study gives no text of its own."""

LIMITS: Final = tuple(TextBlock(**block) for block in _TEXT["limit"])
"""What must not be concluded; shown where the study gives no text of its own."""


def characteristic_name(characteristic: str) -> Bilingual:
    """Name a characteristic in words, an unknown one by its own name.

    Parameters
    ----------
    characteristic : str
        As in the verdict table.

    Returns
    -------
    Bilingual
    """
    known = CHARACTERISTICS.get(characteristic)
    plain = characteristic.replace("_", " ")
    return known or Bilingual(plain[:1].upper() + plain[1:], "")
