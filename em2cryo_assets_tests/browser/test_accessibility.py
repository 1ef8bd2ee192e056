"""The report by axe-core: nothing that would keep a reader with a screen reader or weak eyes out."""

import pytest

pytestmark = pytest.mark.browser


def grave(page) -> list[str]:
    """Serious and critical violations: the rule, where, and what axe says of it."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    found = axe.Axe().run(page).response
    assert len(found["passes"]) > 20  # it looked
    return [
        f"{rule['id']} at {node['target']}: {node['failureSummary']}"
        for rule in found["violations"]
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_section_opened_or_closed_has_a_serious_violation(open_report, scheme):
    opened = open_report("full", color_scheme=scheme)
    page = opened.page
    page.wait_for_selector("#viewer[data-shown]")
    sections = {one.get_attribute("id") for one in page.locator("main > section").all()}
    assert sections >= {"cells", "tomograms", "pairs", "atlas", "method", "calibration", "left-out", "provenance"}
    assert grave(page) == []
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    assert page.locator("table").count() == page.locator("table:visible").count() > 8
    for channel, cell in zip(("labels", "source", "uncertainty"), page.locator("[data-channels]").all(), strict=True):
        cell.locator(f'[data-channel="{channel}"]').click()
    assert grave(page) == []


@pytest.mark.parametrize("study", ["empty", "no-sections"])
def test_what_is_missing_is_said_accessibly(open_report, study):
    assert grave(open_report(study).page) == []


def test_a_narrow_page_has_no_serious_violation(open_report):
    opened = open_report("full", viewport={"width": 390, "height": 800})
    opened.page.wait_for_selector("#viewer[data-shown]")
    assert grave(opened.page) == []


def test_a_violation_would_be_seen(open_report):
    page = open_report("empty").page
    page.evaluate("document.body.append(document.createElement('button'))")
    assert any("button-name" in one for one in grave(page))
