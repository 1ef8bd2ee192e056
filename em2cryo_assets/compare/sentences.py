"""One plain sentence for each verdict, in English and Korean.

Belongs here: the words. Does not belong here: deciding (`verdicts`), or the report's own words.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

__all__ = ["CAUSES", "CONTROLS", "Sentence", "control_name", "remedy", "sentence"]


class Sentence(NamedTuple):
    """The same in both languages."""

    en: str
    ko: str


_SHARE_OF: Final = {
    "nucleus": Sentence("nucleus", "핵"),
    "vacuole": Sentence("vacuole", "액포"),
    "mitochondrion": Sentence("mitochondria", "미토콘드리아"),
    "lipid_droplet": Sentence("lipid droplets", "지질 방울"),
}

CONTROLS: Final[Mapping[str, Sentence]] = MappingProxyType(
    {
        "sphere": Sentence("sphere of the same volume", "부피가 같은 구"),
        "random_ellipsoid": Sentence("random ellipsoid of the same volume", "부피가 같은 임의의 타원체"),
        "half_volume": Sentence("cell of half the volume", "부피가 절반인 세포"),
        "twice_volume": Sentence("cell of twice the volume", "부피가 두 배인 세포"),
        "thickness_ignored": Sentence("wall read without the section's thickness", "절편 두께를 무시하고 잰 세포벽"),
        "homogeneous": Sentence("homogeneous interior", "내부가 균일한 모델"),
        "label_permuted": Sentence("organelles exchanged", "소기관을 서로 바꾼 모델"),
        "phase_randomised": Sentence("interior with random phases", "내부 위상을 무작위로 바꾼 모델"),
        **{
            f"share_of_{key}": Sentence(f"share of the {word.en} in its place", f"{word.ko}의 분율을 대신 넣은 모델")
            for key, word in _SHARE_OF.items()
        },
    }
)

_NEVER: Final = Sentence("more of the same will not help.", "같은 자료를 더 모아도 도움이 되지 않습니다.")

CAUSES: Final[Mapping[str, Sentence]] = MappingProxyType(
    {
        "no_sem": Sentence("no SEM cells were imaged", "SEM으로 촬영한 세포가 없기"),
        "no_tem": Sentence("no TEM sections with a cell were imaged", "세포가 보이는 TEM 절편이 없기"),
        "no_cryo": Sentence("no frozen-hydrated cells were imaged", "동결 수화 세포를 촬영한 자료가 없기"),
        "not_in_slab": Sentence(
            "the frozen-hydrated volumes do not contain it", "동결 수화 볼륨에 이 특성이 담겨 있지 않기"
        ),
        "imposed": Sentence(
            "the surface estimator assumes it instead of measuring it",
            "표면 추정법이 이를 재지 않고 가정하기",
        ),
        "drying": Sentence(
            "drying changed the size of the SEM cells by an unknown factor",
            "건조로 SEM 세포의 크기가 알 수 없는 비율로 변했기",
        ),
        "unmeasured_model": Sentence("it could not be measured on the model's side", "모델 쪽에서 이를 잴 수 없었기"),
        "unmeasured_reference": Sentence(
            "it could not be measured in the frozen-hydrated volumes", "동결 수화 볼륨에서 이를 잴 수 없었기"
        ),
        "measurement_sd": Sentence(
            "a single measurement is less certain than half of the tolerance",
            "한 번의 측정 오차가 허용 범위의 절반보다 크기",
        ),
        "modality": Sentence(
            "stained resin and vitreous ice show different things",
            "염색한 수지와 유리질 얼음이 보여 주는 것이 서로 다르기",
        ),
    }
)
"""Why the images cannot show a characteristic. The Korean ends where 때문에 follows."""

_REMEDIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "no_sem": "SEM fields with fully visible cells",
        "no_tem": "TEM sections of the same strain, fields chosen at random",
        "no_cryo": "tomograms, whole-cell volumes or overviews of frozen-hydrated cells",
        "not_in_slab": "a reference modality that holds it",
        "imposed": "a surface from more views (tilts of 0 and 45 degrees, or four BSE segments)",
        "drying": "live-cell diameters of the strain from light microscopy (live_cell_diameter_um)",
        "unmeasured_model": "images in which it can be measured; the reason says what stood in the way",
        "unmeasured_reference": "volumes in which it can be measured; the reason says what stood in the way",
        "measurement_sd": "a more certain measurement of each cell; a greater number does not make up for it",
        "modality": "nothing: it is a difference of the modalities, not of the cells",
    }
)


def remedy(cause: str) -> str:
    """Say what would make a characteristic assessable, without a full stop."""
    return _REMEDIES[cause]


def control_name(control: str) -> Sentence:
    """Name a control in words."""
    return CONTROLS.get(control, Sentence(control.replace("_", " "), control.replace("_", " ")))


def sentence(kind: str, *, cause: str = "", control: str = "", needed: int | None = None) -> Sentence:
    """Say a verdict.

    Parameters
    ----------
    kind : str
        "captured", "approximated", "missed", "missed_distance", "not_assessable", "fake_like",
        "too_few", "undecided", "fake_passed", "fake_passed_twice" or "no_fake".
    cause : str
        Key of `CAUSES`, for "not_assessable".
    control : str
        Key of `CONTROLS`: the hardest valid fake.
    needed : int, optional
        Independent samples that would decide; None where no number would.

    Returns
    -------
    Sentence

    Raises
    ------
    KeyError
        If the kind or cause is unknown.
    """
    fake = control_name(control)
    if kind == "not_assessable":
        why = CAUSES[cause]
        return Sentence(
            f"These images cannot show it, because {why.en}; {_NEVER.en}",
            f"{why.ko} 때문에 이 영상들로는 볼 수 없으며, {_NEVER.ko}",
        )
    if kind in ("too_few", "undecided") and needed is not None:
        opening = {
            "too_few": Sentence("Too few samples", "표본이 너무 적습니다"),
            "undecided": Sentence(
                "The difference lies too close to the tolerance to be told",
                "차이가 허용 범위에 가까워 판단할 수 없습니다",
            ),
        }[kind]
        return Sentence(f"{opening.en}; about {needed} are needed.", f"{opening.ko}. 약 {needed}개가 필요합니다.")
    return {
        "captured": Sentence(
            f"The difference is smaller than the tolerance fixed beforehand, and a fake ({fake.en}) failed this test.",
            f"차이가 미리 정한 허용 범위보다 작고, 가짜({fake.ko})는 이 시험을 통과하지 못했습니다.",
        ),
        "approximated": Sentence(
            "The difference is smaller than twice the tolerance fixed beforehand, "
            f"and a fake ({fake.en}) failed this test.",
            f"차이가 미리 정한 허용 범위의 두 배보다 작고, 가짜({fake.ko})는 이 시험을 통과하지 못했습니다.",
        ),
        "missed": Sentence(
            "The model differs from the frozen cells by more than the tolerance fixed beforehand.",
            "모델과 동결 세포의 차이가 미리 정한 허용 범위를 벗어납니다.",
        ),
        "missed_distance": Sentence(
            "The model lies further from the frozen cells than they lie from each other, "
            "by more than the tolerance fixed beforehand.",
            "모델과 동결 세포의 차이가 동결 세포들끼리의 차이보다 미리 정한 허용 범위 이상으로 큽니다.",
        ),
        "fake_like": Sentence(
            f"With this number of samples even real cells cannot be told from a fake ({fake.en}).",
            f"이 표본 수로는 실제 세포조차 가짜({fake.ko})와 구별할 수 없습니다.",
        ),
        "fake_passed": Sentence(
            f"The model lies within the tolerance, but so does a fake ({fake.en}): the test shows nothing here.",
            f"모델이 허용 범위 안에 있지만 가짜({fake.ko})도 마찬가지여서, 이 시험으로는 알 수 없습니다.",
        ),
        "fake_passed_twice": Sentence(
            f"The model lies within twice the tolerance, but so does a fake ({fake.en}): the test shows nothing here.",
            f"모델이 허용 범위의 두 배 안에 있지만 가짜({fake.ko})도 마찬가지여서, 이 시험으로는 알 수 없습니다.",
        ),
        "no_fake": Sentence(
            "The difference is small, but no fake is known against which the test could be tried.",
            "차이는 작지만, 시험을 확인해 볼 가짜가 없어 판정할 수 없습니다.",
        ),
        "too_few": Sentence(
            "Too few samples, and no practicable number would be enough.",
            "표본이 너무 적으며, 현실적인 표본 수로는 충분하지 않습니다.",
        ),
        "undecided": Sentence(
            "The difference lies too close to the tolerance to be told, "
            "and no practicable number of samples would tell.",
            "차이가 허용 범위에 너무 가까워, 현실적인 표본 수로는 판단할 수 없습니다.",
        ),
    }[kind]
