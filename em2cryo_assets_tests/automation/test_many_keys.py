"""A study in which everything is made asks for nothing, and for new tomograms only when these arrive."""

from pathlib import Path

import dagster as dg
import pytest

from em2cryo_assets.automation.plan import make_plan
from em2cryo_assets.automation.sensors import inbox_sensor
from em2cryo_assets.definitions import defs
from em2cryo_assets.resources.dagster_home import open_instance
from em2cryo_assets.resources.study import StudyResource
from em2cryo_assets_tests.benchmarks.large_study import furnish, put_tomograms

pytestmark = pytest.mark.filterwarnings("ignore::dagster.BetaWarning")  # of Dagster's evaluator, about itself


def test_nothing_is_asked_for_until_tomograms_arrive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = furnish(tmp_path / "study", cells=3, tomograms=4)
    monkeypatch.setenv("EM2CRYO_DATA", str(study.root))
    with open_instance(study.dagster_home) as instance:
        plan = make_plan(study, instance)
        assert {step.state for step in plan} == {"current"}
        assert sum(step.asset == "comparison" for step in plan) == 12
        before = dg.evaluate_automation_conditions(defs=defs, instance=instance)
        again = dg.evaluate_automation_conditions(defs=defs, instance=instance, cursor=before.cursor)
        assert again.total_requested == 0

        def tick() -> dg.SensorResult | dg.SkipReason:
            with dg.build_sensor_context(instance=instance, resources={"study": StudyResource()}) as context:
                result = inbox_sensor(context)
            assert isinstance(result, dg.SensorResult | dg.SkipReason)
            return result

        assert isinstance(tick(), dg.SkipReason)
        put_tomograms(study, ["new-1", "new-2"])
        asked = tick()
        assert isinstance(asked, dg.SensorResult)
        assert [request.partition_key for request in asked.run_requests or []] == ["new-1", "new-2"]
        assert {request.job_name for request in asked.run_requests or []} == {"read_tomogram"}
