"""The page of a run as its readers use it, in a real browser: `make test-browser`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import chromium, requested
from factories import exits_of
from page_runs import NASTY, run_folder

from ee_lightning.exits import Confidence, StoredExits, replay, trace_curve
from ee_lightning.functional import same_rows
from ee_lightning.reporting.page.writing import tell_page

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with chromium(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture(scope="module")
def exits() -> StoredExits:
    return exits_of(300, num_exits=3)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory, tiny_backbone: Path, exits: StoredExits) -> Path:
    folder = run_folder(tmp_path_factory.mktemp("page") / "run", exits, backbone=tiny_backbone)
    tell_page([folder])
    return folder.path / "report.html"


@pytest.fixture
def page(driver: Any, file: Path) -> Iterator[Any]:
    """Open the page; no error in the console, and no request but for the page itself, may be left behind."""
    driver.get(file.as_uri())
    yield driver
    assert [entry for entry in driver.get_log("browser") if entry["level"] != "INFO"] == []
    assert requested(driver, file.as_uri()) == [file.as_uri()]


def by_id(page: Any, name: str) -> Any:
    return page.find_element("id", name)


def move_slider(page: Any, steps: int) -> None:
    """Move the operating point with the keyboard, and open the criterion's curve at confidence first."""
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import Select

    Select(by_id(page, "criterion")).select_by_visible_text("confidence")
    by_id(page, "point").send_keys(Keys.HOME, Keys.ARROW_RIGHT * steps)


def test_the_slider_moves_everything_and_figures_are_those_of_replay(page: Any, exits: StoredExits) -> None:
    parts = ("readout", "tiles", "leaving", "classes", "confusion", "rows")

    def shown() -> list[str]:
        return [by_id(page, part).get_attribute("innerHTML") for part in parts]

    move_slider(page, 0)
    before = shown()
    move_slider(page, 150)
    assert all(one != other for one, other in zip(before, shown(), strict=True))
    curve = trace_curve(Confidence(), exits, ["accuracy"]).telling()
    threshold, score = curve.thresholds[150].item(), curve.scores["accuracy"][150].item()
    exit_layer, label = replay(Confidence(), exits).at(threshold)
    readout = by_id(page, "readout").text
    assert f"{curve.speedup[150]:.2f}×, accuracy {100 * score:.1f} %" in readout
    wrong = exits.num_samples - int(same_rows(label, exits.class_numbers()).sum())
    tiles = by_id(page, "tiles").text
    assert f"wrong\n{wrong} rows" in tiles
    assert "speed-up by FLOPs" in tiles
    leaving = by_id(page, "leaving").find_element("css selector", "svg").get_attribute("aria-label")
    counts = exit_layer.bincount(minlength=4)[1:].tolist()
    assert leaving.endswith(", ".join(f"exit {number} {count}" for number, count in enumerate(counts, 1)))
    matrix = [int(cell.text) for cell in by_id(page, "confusion").find_elements("css selector", "g text")]
    truth = exits.class_numbers()
    assert matrix == [int(((truth == i) & (label == j)).sum()) for i in range(2) for j in range(2)]


def test_filters_keep_the_rows_that_they_name(page: Any, exits: StoredExits) -> None:
    from selenium.webdriver.support.ui import Select

    move_slider(page, 200)
    threshold = trace_curve(Confidence(), exits, ["accuracy"]).telling().thresholds[200].item()
    _, label = replay(Confidence(), exits).at(threshold)
    truth, said = exits.class_numbers(), exits.predictions
    expected = {
        "lost": (label != truth) & (said[-1] == truth),
        "over": (said[:-1] == truth).any(0) & (said[-1] != truth),
        "late": (said[0] != truth) & (said[-1] == truth),
    }
    for name, rows in expected.items():
        Select(by_id(page, "filter-what")).select_by_value(name)
        number = int(rows.sum())
        assert by_id(page, "rows-count").text.startswith(f"{number} row"), name
    Select(by_id(page, "filter-what")).select_by_value("all")
    by_id(page, "filter-words").send_keys("row 17 of")
    assert by_id(page, "rows-count").text == "1 row"
    assert "row 17 of many" in by_id(page, "rows").text


def test_a_row_says_where_it_leaves_and_why(page: Any, exits: StoredExits) -> None:
    move_slider(page, 150)
    threshold = trace_curve(Confidence(), exits, ["accuracy"]).telling().thresholds[150].item()
    found = replay(Confidence(), exits)
    exit_layer, _ = found.at(threshold)
    page.find_element("css selector", "#rows button[aria-label='Row 0']").click()
    detail = by_id(page, "row").text
    number = int(exit_layer[0])
    assert f"It leaves at exit {number} of 3 as" in detail
    score = found.scores[number - 1, 0].item()
    assert ("reaches" if score >= threshold else "no score reaches") in detail
    assert NASTY in detail  # as text, not as markup
    assert page.find_elements("css selector", "img, main script, td b") == []
    assert len(page.find_elements("css selector", "#row .exit")) == 3


def test_a_click_on_a_curve_moves_the_point(page: Any) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    move_slider(page, 0)
    before = by_id(page, "readout").text
    chart = by_id(page, "curves").find_element("css selector", "svg")
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", chart)
    ActionChains(page).move_to_element(chart).perform()
    assert "threshold" in by_id(page, "tip").text
    ActionChains(page).click().perform()
    assert by_id(page, "readout").text != before


def test_every_control_has_a_name(page: Any) -> None:
    controls = page.find_elements("css selector", "button, select, input, svg[role=img]")
    assert len(controls) > 30
    assert [
        each.get_attribute("outerHTML") for each in controls if each.is_displayed() and not each.accessible_name
    ] == []


def test_runs_stand_side_by_side(driver: Any, tmp_path: Path) -> None:
    from selenium.webdriver.support.ui import Select

    folders = [
        run_folder(tmp_path / f"run-{seed}", exits_of(60, seed=seed), backbone="missing", seed=seed) for seed in (1, 2)
    ]
    tell_page(folders, tmp_path / "several.html")
    driver.get((tmp_path / "several.html").as_uri())
    shown = by_id(driver, "compared")
    assert all(line.text.startswith("shown") for line in shown.find_elements("css selector", "tbody tr"))
    assert shown.find_elements("css selector", "svg path")
    before = by_id(driver, "leaving").get_attribute("innerHTML")
    Select(by_id(driver, "run")).select_by_index(1)
    assert by_id(driver, "leaving").get_attribute("innerHTML") != before
    assert [entry for entry in driver.get_log("browser") if entry["level"] != "INFO"] == []


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_it_fits_its_width_in_light_and_dark(page: Any, width: int) -> None:
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    background = "return getComputedStyle(document.body).backgroundColor"
    light = page.execute_script(background)
    page.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    )
    assert page.execute_script(background) != light
    by_id(page, "theme").click()
    assert page.execute_script(background) == light
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert page.execute_script("return document.documentElement.scrollWidth") <= width
    page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
