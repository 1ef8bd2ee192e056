"""The report as a reader meets it: a folder on disk, a mouse, a keyboard, a printer."""

import io
import time

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.browser

CANVAS = "#viewer canvas"


def pixels(page) -> np.ndarray:
    shot = Image.open(io.BytesIO(page.locator(CANVAS).screenshot())).convert("RGB")
    return np.asarray(shot)[:300, :360].astype(int)  # where the page is scrolled, a shot can be a pixel larger


def until(page, expression: str) -> None:
    """Wait for an expression; Playwright's own wait needs eval, which the page forbids."""
    for _ in range(100):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never came true: {expression}")


def changed(before: np.ndarray, after: np.ndarray) -> float:
    """Share of pixels that differ visibly."""
    return float((np.abs(before - after).max(axis=-1) > 12).mean())


def shown(opened, key: str | None = None):
    opened.page.wait_for_selector(f'#viewer[data-shown="{key}"]' if key else "#viewer[data-shown]")
    return opened.page


def colour_near(image: np.ndarray, colour: str, within: int = 14) -> float:
    wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return float((np.abs(image - wanted).max(axis=-1) <= within).mean())


def test_the_first_screen_holds_the_question_the_cell_the_slabs_and_verdicts(open_report):
    opened = open_report("full")
    page = shown(opened)
    for place in (
        "#question",
        CANVAS,
        "#hero-cutaway",
        "#pair-before",
        "#pair-after",
        "#pair-tomogram",
        ".tally",
    ):
        box = page.locator(place).bounding_box()
        assert box["y"] >= 0, place
        assert box["y"] + box["height"] <= 900, place
    visible = [one.bounding_box() for one in page.locator("details.verdict").all()]
    assert sum(box["y"] + box["height"] <= 900 for box in visible) >= 6
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_it_is_silent_and_asks_the_network_for_nothing(open_report):
    opened = open_report("full")
    page = shown(opened)
    page.click("#cut")
    page.select_option("#cell", index=1)
    shown(opened, "field-a_c001")
    page.evaluate("document.querySelectorAll('img[loading=lazy]').forEach(i => { i.loading = 'eager'; })")
    until(page, "[...document.images].every(i => i.complete && (i.naturalWidth > 0 || i.hidden))")
    page.click('[data-set-lang="ko"]')
    page.click("#theme")
    assert opened.errors == []
    assert opened.beyond_disk == []
    assert any("cells/" in one for one in opened.requests)


def test_a_page_that_tried_to_call_out_would_be_stopped(open_report):
    page = shown(open_report("full"))
    assert page.evaluate("fetch('http://127.0.0.1:9/').then(() => 'sent', () => 'stopped')") == "stopped"


def test_the_cell_stands_still_until_turned_by_the_mouse(open_report):
    page = shown(open_report("full"))
    before = pixels(page)
    page.wait_for_timeout(300)
    assert changed(before, pixels(page)) == 0
    box = page.locator(CANVAS).bounding_box()
    x, y = box["x"] + box["width"] * 0.4, box["y"] + box["height"] * 0.4
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 90, y + 40, steps=5)
    page.mouse.up()
    assert changed(before, pixels(page)) > 0.05
    after = pixels(page)
    page.mouse.move(x, y, steps=3)
    assert changed(after, pixels(page)) == 0  # released is released


@pytest.mark.parametrize(("key", "back"), [("ArrowLeft", "ArrowRight"), ("ArrowUp", "ArrowDown"), ("+", "-")])
def test_keys_turn_and_magnify_and_the_opposite_key_undoes_it(open_report, key, back):
    page = shown(open_report("full"))
    page.focus(CANVAS)
    before = pixels(page)
    for _ in range(5):
        page.keyboard.press(key)
    assert changed(before, pixels(page)) > 0.03
    for _ in range(5):
        page.keyboard.press(back)
    assert changed(before, pixels(page)) < 0.01
    page.keyboard.press(key)
    page.keyboard.press("Home")
    assert changed(before, pixels(page)) < 0.01


def test_arrow_keys_on_the_cell_do_not_scroll_the_page_and_the_wheel_does_until_it_is_held(open_report):
    page = shown(open_report("full"))
    page.focus(CANVAS)
    page.keyboard.press("ArrowDown")
    assert page.evaluate("scrollY") == 0
    page.evaluate("document.activeElement.blur()")
    page.hover(CANVAS)
    page.mouse.wheel(0, 200)
    until(page, "scrollY > 50")


def test_the_cell_turns_by_itself_where_motion_is_welcome_and_stops_at_a_key(open_report):
    page = shown(open_report("full", reduced_motion="no-preference"))
    before = pixels(page)
    page.wait_for_timeout(700)
    assert changed(before, pixels(page)) > 0.01
    page.focus(CANVAS)
    page.keyboard.press(" ")
    assert page.get_attribute("#spin", "aria-pressed") == "false"
    before = pixels(page)
    page.wait_for_timeout(300)
    assert changed(before, pixels(page)) == 0


def test_cut_open_it_shows_its_labels_in_their_colours(open_report):
    page = shown(open_report("full"))
    whole = pixels(page)
    assert colour_near(whole, "#56b4e9") == 0
    page.select_option("#face", "labels")
    page.wait_for_timeout(250)
    cut = pixels(page)
    assert page.get_attribute("#cut", "aria-pressed") == "true"
    assert colour_near(cut, "#56b4e9") > 0.005  # nucleus
    assert colour_near(cut, "#cc79a7") > 0.005  # vacuole
    page.click("#cut")
    page.wait_for_timeout(100)
    assert changed(whole, pixels(page)) < 0.01


def test_the_3d_scale_bar_is_true(open_report):
    """The body is as wide on the screen as its vertices say, by the bar's own measure."""
    page = shown(open_report("full"))
    said = page.get_attribute("#viewer .bar", "data-length")
    bar = page.locator("#viewer .bar").bounding_box()["width"]
    nm_per_pixel = float(said.split()[0]) * {"nm": 1, "µm": 1000}[said.split()[1]] / bar
    image = pixels(page)
    body = image.min(axis=-1) > 70
    body[:, -130:] = False  # the inset
    body[:40] = False  # the mark
    body[-50:, :150] = False  # the bar
    tall_nm = np.ptp(np.flatnonzero(body.any(axis=1))) * nm_per_pixel
    assert 3400 < tall_nm < 4800  # the made-up body measures 3.7 to 4.6 µm across


def test_another_cell_brings_its_own_pictures(open_report):
    opened = open_report("full")
    page = shown(opened, "field-a_c000")
    before = pixels(page), page.get_attribute("#hero-cutaway", "src")
    page.locator('[data-show-cell="field-a_c002"]').click()
    shown(opened, "field-a_c002")
    assert changed(before[0], pixels(page)) > 0.01
    assert page.get_attribute("#hero-cutaway", "src") != before[1]
    assert page.evaluate("document.activeElement.tagName") == "CANVAS"


def test_another_pair_brings_its_three_slabs(open_report):
    page = shown(open_report("full"))
    before = [page.get_attribute(f"#pair-{step}", "src") for step in ("before", "after", "tomogram")]
    page.select_option("#pair", index=1)
    after = [page.get_attribute(f"#pair-{step}", "src") for step in ("before", "after", "tomogram")]
    assert not set(before) & set(after)


def test_the_three_slabs_have_one_scale_on_the_screen(open_report):
    page = shown(open_report("full"))
    sizes = [page.locator(f"#pair-{step}").bounding_box() for step in ("before", "after", "tomogram")]
    assert max(box["width"] for box in sizes) - min(box["width"] for box in sizes) < 1
    assert max(box["height"] for box in sizes) - min(box["height"] for box in sizes) < 1


def test_channels_of_the_fused_volume_switch_together_with_their_key(open_report):
    page = shown(open_report("full"))
    group = page.locator("[data-channels]").first
    group.locator('[data-channel="source"]').click()
    assert all("-source.svg" in image.get_attribute("src") for image in group.locator("img").all())
    assert group.locator('[data-key="source"]').is_visible()
    assert not group.locator('[data-key="density"]').is_visible()


def test_both_languages_or_one(open_report):
    page = shown(open_report("full"))
    english = page.locator(".verdict .sentence span[lang=en]").first
    korean = page.locator(".verdict .sentence span[lang=ko]").first
    assert english.is_visible()
    assert korean.is_visible()
    page.click('[data-set-lang="en"]')
    assert (english.is_visible(), korean.is_visible()) == (True, False)
    page.click('[data-set-lang="ko"]')
    assert (english.is_visible(), korean.is_visible()) == (False, True)
    assert page.get_attribute("html", "lang") == "ko"


def test_the_simulated_mark_stays_in_view_and_real_data_have_none(open_report):
    page = shown(open_report("full"))
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    box = page.locator("#simulated-mark").bounding_box()
    assert 0 <= box["y"] < 60
    assert page.locator("#viewer .burnt").count() == 1
    real = shown(open_report("real"))
    assert real.locator("#simulated-mark").count() == 0
    # The calibration always rests on simulated studies, and says so.
    assert real.inner_text("body").count("SIMULATED") == real.inner_text("#calibration").count("SIMULATED") == 1


def test_light_and_dark_keep_words_readable(open_report):
    """WCAG AA: words against their ground at 4.5 to 1, in both themes."""
    for scheme in ("light", "dark"):
        page = shown(open_report("full", color_scheme=scheme))
        for place in (
            ".sentence span",
            ".captured .word",
            ".approximated .word",
            ".missed .word",
            ".not-assessable .word",
        ):
            ratio = page.evaluate(CONTRAST, place)
            assert ratio >= 4.5, (scheme, place, ratio)
        grounds = page.evaluate("getComputedStyle(document.body).backgroundColor")
        page.click("#theme")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") != grounds


CONTRAST = """(place) => {
  const light = (colour) => {
    const parts = colour.match(/[\\d.]+/g).slice(0, 3).map((v) => v / 255)
      .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
  };
  const ink = light(getComputedStyle(document.querySelector(place)).color);
  const ground = light(getComputedStyle(document.body).backgroundColor);
  return (Math.max(ink, ground) + 0.05) / (Math.min(ink, ground) + 0.05);
}"""


def test_the_keyboard_alone_reaches_everything(open_report):
    page = shown(open_report("full"))
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.tagName"))
    assert {"CANVAS", "cell", "cut", "face", "spin", "pair", "theme", "SUMMARY"} <= reached
    page.locator("details.verdict summary").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("details.verdict dl").first.is_visible()
    assert "tolerance" in page.locator("details.verdict").first.inner_text()


def test_the_keyboard_alone_gets_from_a_verdict_to_the_raw_file(open_report, reports):
    raw = reports["full"].parent / "inbox" / "sem" / "field a.png"
    raw.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((17, 23), 90, np.uint8)).save(raw)
    page = shown(open_report("full"))

    def tab_to(there: str) -> None:
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate(f"document.activeElement.matches({there!r})"):
                return
        raise AssertionError(f"60 tabs did not reach {there}")

    tab_to("#v-sphericity > summary")
    page.keyboard.press("Enter")
    tab_to("#v-sphericity a[href^='#raw']")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")  # from the place that the link led to
    assert page.evaluate("document.activeElement.closest('#raw article') !== null")
    with page.context.expect_page() as opening:
        page.keyboard.press("Enter")
    assert opening.value.url == raw.as_uri()


def test_a_hostile_name_is_shown_and_does_nothing(open_report):
    opened = open_report("hostile")
    page = shown(opened)
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    page.wait_for_timeout(300)
    assert page.evaluate("window.hacked") is None
    assert page.inner_text("body").count("onerror='window.hacked = 1'") > 12
    assert page.locator("img:not([src^='figures/'])").count() == 0
    assert opened.errors == []
    assert opened.beyond_disk == []


def test_a_link_to_a_verdict_opens_it(open_report):
    opened = open_report("full")
    page = shown(opened)
    page.evaluate("location.hash = 'v-sphericity'")
    page.wait_for_selector("#v-sphericity[open]")


def test_from_the_first_screen_to_the_raw_image_behind_a_verdict_by_clicking(open_report, reports):
    """The row, the name of a raw file in it, its picture: the third click opens the file itself."""
    raw = reports["full"].parent / "inbox" / "sem" / "field a.png"
    raw.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((17, 23), 90, np.uint8)).save(raw)
    page = shown(open_report("full"))
    page.locator("#v-sphericity summary").click()
    page.locator("#v-sphericity").get_by_role("link", name="field-a").click()
    article = page.locator("#raw article", has_text="inbox/sem/field a.png")
    until(page, "[...document.querySelectorAll('#raw img')][0].naturalWidth > 0")
    box = article.locator("img").bounding_box()
    assert 0 <= box["y"] < 800  # in view, not below the bar
    assert "ab" * 32 in article.inner_text()
    with page.context.expect_page() as opening:
        article.locator("img").click()
    file = opening.value
    assert file.url == raw.as_uri()
    assert file.evaluate("[document.images[0].naturalWidth, document.images[0].naturalHeight]") == [23, 17]


def test_the_origin_of_a_cell_and_of_a_verdict_leads_into_the_ui_wherever_that_answers(open_report):
    page = shown(open_report("full"))
    cell = page.locator("#cells article").first.get_by_role("link", name="cell_mesh")
    inside = "/assets/cell_mesh?view=partitions&partition=field-a_c000"
    assert cell.get_attribute("href") == f"http://127.0.0.1:3000{inside}"
    address = page.get_by_label("Address of the Dagster UI")
    address.fill("javascript:alert(1)")
    address.press("Enter")
    assert address.get_attribute("aria-invalid") == "true"
    assert cell.get_attribute("href") == f"http://127.0.0.1:3000{inside}"
    address.fill("http://127.0.0.1:3456/anything")
    address.press("Enter")
    assert address.get_attribute("aria-invalid") == "false"
    assert cell.get_attribute("href") == f"http://127.0.0.1:3456{inside}"
    assert {link.get_attribute("href") for link in page.locator(".verdict a[data-ui]", has_text="verdicts").all()} == {
        "http://127.0.0.1:3456/assets/verdicts"
    }


def test_paper_shows_all_numbers_and_no_buttons(open_report):
    page = shown(open_report("full", color_scheme="dark"))
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert page.locator("details:not([open])").count() == 0
    assert not [one for one in page.locator("button, nav").all() if one.is_visible()]
    assert page.locator("#simulated-mark").is_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.locator(CANVAS).is_visible()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details[open]").count() < page.locator("details").count()
    assert page.pdf()[:5] == b"%PDF-"


def test_an_empty_study_says_why_it_is_empty(open_report):
    opened = open_report("empty")
    text = opened.page.inner_text("main")
    for reason in ("no pixel size", "the file ends after 40 of 120 slices", "all pixels are black"):
        assert reason in text
    for place in ("#no-cell", "#no-pair", "#no-verdicts"):
        assert opened.page.locator(place).is_visible()
    assert opened.errors == []
    opened.page.click('[data-set-lang="ko"]')
    assert "아직 판정 없음" in opened.page.inner_text("main")


def test_without_sections_the_mesh_still_turns_and_the_interior_says_why_not(open_report):
    opened = open_report("no-sections")
    page = shown(opened)
    page.focus(CANVAS)
    before = pixels(page)
    page.keyboard.press("ArrowLeft")
    assert changed(before, pixels(page)) > 0.005
    assert page.locator("#face").is_disabled()
    assert "no usable TEM section" in page.inner_text("main")
    page.click("#cut")
    assert opened.errors == []


def test_without_webgl_a_still_picture_stands_in_and_says_so(open_report, chromium_without_webgl):
    opened = open_report("full", browser=chromium_without_webgl)
    opened.page.wait_for_selector("#viewer.still")
    assert opened.page.locator("#hero-still").is_visible()
    assert opened.page.locator(".no-webgl").is_visible()
    opened.page.click('[data-set-lang="en"]')


@pytest.mark.parametrize("width", [390, 820, 1920])
def test_no_width_needs_scrolling_sideways(open_report, width):
    page = shown(open_report("full", viewport={"width": width, "height": 900}))
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_it_is_there_in_time(open_report):
    started = time.perf_counter()
    shown(open_report("full"))
    assert time.perf_counter() - started < 3 * 4  # 3 s on an idle machine; tests may share theirs
