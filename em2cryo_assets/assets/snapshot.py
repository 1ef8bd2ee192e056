"""What a study holds at one moment, and which exact inputs a key has.

Belongs here: live keys, current digests, and the one function that lists the inputs of a key;
the assets read what it lists and the plan compares with it, so that they cannot disagree.
Does not belong here: deciding what to run (`automation.plan`), computing or reading arrays.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from em2cryo_assets.assets.lineage import STAGES, Stage
from em2cryo_assets.compare.pairs import plan_pairs
from em2cryo_assets.partitions import pair_key, split_pair_key
from em2cryo_assets.resources.inbox import Kind, RawFile
from em2cryo_assets.resources.study import Study
from em2cryo_assets.store.provenance import InputRef
from em2cryo_assets.store.publish import Artifact

__all__ = ["Snapshot", "UpstreamMissingError"]


class UpstreamMissingError(LookupError):
    """An input of a key has not been made yet, or did not pass a blocking check."""


@dataclass
class Snapshot:
    """Live keys and current artifacts; each is looked up once.

    Parameters
    ----------
    study : Study
        The study.
    live : mapping of str to list of str
        Live keys of ``fields``, ``cells``, ``sections`` and ``tomograms``.
    """

    study: Study
    live: Mapping[str, list[str]]
    _artifacts: dict[tuple[str, str | None], Artifact | None] = field(default_factory=dict)
    _pairs: list[str] | None = None
    _raw: dict[str, dict[str, RawFile]] = field(default_factory=dict)

    def artifact(self, asset: str, key: str | None) -> Artifact | None:
        """Return the current artifact, or None."""
        place = (asset, key)
        if place not in self._artifacts:
            self._artifacts[place] = self.study.store.current(asset, key)
        return self._artifacts[place]

    def usable(self, asset: str, key: str | None) -> Artifact | None:
        """Return the current artifact unless a blocking check failed on it."""
        artifact = self.artifact(asset, key)
        return None if artifact is None or "blocked" in artifact.provenance.parameters else artifact

    def keys(self, key_set: str) -> list[str]:
        """Live keys of a set; for ``pairs`` those that the study compares."""
        return self._planned_pairs() if key_set == "pairs" else list(self.live[key_set])

    def _planned_pairs(self) -> list[str]:
        if self._pairs is None:
            cells = [key for key in self.live["cells"] if self._says("cell_features", key, "comparable")]
            tomograms = [key for key in self.live["tomograms"] if self._says("tomogram_features", key, "pairable")]
            settings = self.study.settings
            chosen = plan_pairs(cells, tomograms, per_tomogram=settings.pairs_per_tomogram, seed=settings.seed)
            self._pairs = [pair_key(cell, tomogram) for cell, tomogram in chosen]
        return self._pairs

    def _says(self, asset: str, key: str, fact: str) -> bool:
        artifact = self.usable(asset, key)
        return artifact is not None and bool(artifact.provenance.parameters.get(fact))

    def inputs(self, stage: Stage, key: str | None) -> list[InputRef]:
        """Every input of a key with its exact version.

        Raises
        ------
        UpstreamMissingError
            If an input that the stage cannot do without has never been made.
        """
        refs = [self.study.settings.ref(stage.name, stage.settings)] if stage.settings else []
        for upstream in stage.upstream:
            if upstream.via in ("raw", "labels"):
                refs += self._from_inbox(upstream.asset, upstream.via, key)  # type: ignore[arg-type]
            else:
                refs += self._from_store(upstream.asset, upstream.via, key)
        return refs

    def _from_store(self, asset: str, via: str, key: str | None) -> list[InputRef]:
        if via == "every":
            key_set = "cells" if asset == "cell_view" else STAGES[asset].key_set
            assert key_set is not None
            keys: list[str | None] = [*self.keys(key_set)]
        elif via == "single":
            keys = [None]
        elif via == "same":
            keys = [key]
        else:
            assert key is not None
            keys = [split_pair_key(key)[0 if via == "cell" else 1]]
        artifacts = [self.usable(asset, one) for one in keys]
        if via not in ("every", "single") and artifacts[0] is None:
            blocked = self.artifact(asset, keys[0])
            if blocked is not None:
                why = blocked.provenance.parameters["blocked"]
                raise UpstreamMissingError(f"{asset} of {keys[0]} did not pass its check: {why}")
            raise UpstreamMissingError(f"{asset} of {keys[0]} has not been made.")
        return [InputRef(asset, one.key, one.digest) for one in artifacts if one is not None]

    def _from_inbox(self, kind: Kind, via: str, key: str | None) -> list[InputRef]:
        assert key is not None
        inbox = self.study.inbox
        if kind not in self._raw:
            self._raw[kind] = inbox.files(kind)
        raw = self._raw[kind].get(key)
        if via == "labels":
            digest = None if raw is None else inbox.labels_digest(raw)
            return [] if digest is None else [InputRef("human_labels", key, digest)]
        # A vanished file has no version; the stage itself says so, and the key is about to be retired.
        return [InputRef("inbox", key, "gone" if raw is None else inbox.digest(raw))]
