"""The report in a real browser without network: the map is drawn, filtered and asked, tables are sorted."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.browser import CHROMIUM, Browser

from manylabel.study import StudyFolder, write_report

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
ODD = "</script><script>alert(1)</script>"
POINT = """(() => {
  const data = JSON.parse(document.getElementById("map-data").textContent);
  const canvas = document.getElementById("map-canvas"), box = canvas.getBoundingClientRect();
  const size = Math.min(canvas.clientWidth, canvas.clientHeight) - 24, [x, y] = data.methods[0].places[%d];
  return [box.left + (canvas.clientWidth - size) / 2 + x / data.side * size, box.top + 12 + (1 - y / data.side) * size];
})()"""
PIXELS = """(() => {
  const canvas = document.getElementById("map-canvas");
  const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", {willReadFrequently: true});
  copy.drawImage(canvas, 0, 0);
  const data = copy.getImageData(0, 0, canvas.width, canvas.height).data;
  const counts = {};
  for (let i = 0; i < data.length; i += 4) {
    if (data[i + 3] < 150) continue;
    const colour = Math.max(data[i], data[i + 1], data[i + 2]) - Math.min(data[i], data[i + 1], data[i + 2]) > 60;
    counts[colour] = (counts[colour] || 0) + 1;
  }
  return counts.true || 0;
})()"""


@pytest.fixture(scope="module")
def page(study: StudyFolder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report whose last label tries to end the data block of the map."""
    out = tmp_path_factory.mktemp("browser") / "out"
    shutil.copytree(study.path, out)
    folder = StudyFolder(out)
    record = folder.record()
    names = (*record.card.label_names[:-1], ODD)
    record.model_copy(update={"card": record.card.model_copy(update={"label_names": names})}).write(
        folder.study_file
    )
    return write_report(out).path


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    made = Browser(tmp_path_factory.mktemp("profile"))
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture
def opened(browser: Browser, page: Path) -> Browser:
    browser.said.clear()
    browser.asked.clear()
    browser.open(page)
    return browser


def choose(browser: Browser, name: str, value: object) -> None:
    browser.run(
        f"(() => {{ const it = document.getElementById('{name}'); it.value = '{value}';"
        "it.dispatchEvent(new Event('change')); })()"
    )


def text(browser: Browser, selector: str) -> str:
    found = browser.run(f"document.querySelector('{selector}').innerText")
    assert isinstance(found, str)
    return found


def test_the_map_is_drawn_and_the_page_says_and_asks_for_nothing(opened: Browser, page: Path) -> None:
    assert opened.run("document.getElementById('map').hidden") is False
    assert text(opened, "#map-told") == "60 rows"
    assert opened.run(PIXELS) > 500
    assert opened.said == []
    addresses = [url for url in opened.asked if not url.startswith("data:")]
    assert addresses == [page.as_uri()]


def test_a_label_filters_the_rows_of_the_map(opened: Browser, study: StudyFolder) -> None:
    before = opened.run(PIXELS)
    options = opened.run("[...document.getElementById('map-label').options].map((o) => [o.value, o.text])")
    counts = study.test_labels().label_counts().int().tolist()
    assert options[0] == ["-1", "all rows"]
    assert len(options) == 1 + sum(count > 0 for count in counts)
    value, shown = next((value, shown) for value, shown in options if shown.startswith("label 1 ("))
    assert shown == f"label 1 ({counts[1]})"
    choose(opened, "map-label", value)
    assert text(opened, "#map-told") == f"{counts[1]} of 60 rows carry label 1"
    assert opened.run(PIXELS) < 0.8 * before
    choose(opened, "map-label", -1)
    assert opened.run(PIXELS) == before
    assert opened.said == []


def test_a_row_tells_its_labels_and_scores_and_a_click_lists_its_nearest_rows(
    opened: Browser, study: StudyFolder
) -> None:
    opened.run("document.getElementById('map-canvas').scrollIntoView({block: 'center'})")
    opened.point(*opened.run(POINT % 0))
    row = opened.run("JSON.parse(document.getElementById('map-data').textContent).rows")[0]
    assert opened.run("document.getElementById('map-tip').hidden") is False
    first, labels, scores = text(opened, "#map-tip").split("\n")
    near = {first}
    opened.point(*opened.run(POINT % 0), click=True)
    title = text(opened, "#map-near-title")
    assert title == f"{first.replace('row', 'Row')} and the rows nearest to it in bce"
    lines = opened.run(
        "[...document.getElementById('map-near-rows').rows].map((r) => [...r.cells].map((c) => c.innerText))"
    )
    assert len(lines) == 11
    assert lines[0] == [first.removeprefix("row "), "itself", labels, scores]
    assert len({line[0] for line in lines} | near) == 12
    cosines = [float(line[1]) for line in lines[1:]]
    assert cosines == sorted(cosines, reverse=True)
    kept = study.scores("bce", 0)["test_scores"][int(lines[0][0]) - 1]
    assert f"{kept.max():.3f}" in scores
    choose(opened, "map-row", row)
    assert text(opened, "#map-near-title").startswith(f"Row {row} and")
    choose(opened, "map-method", 1)
    assert text(opened, "#map-near-title") == f"Row {row} and the rows nearest to it in mulsupcon"
    assert opened.said == []


def test_labels_with_markup_are_text(opened: Browser) -> None:
    assert opened.run("document.scripts.length") == 3
    options = opened.run("[...document.getElementById('map-label').options].map((o) => o.text)")
    assert any(option.startswith(ODD) for option in options)
    carrying = opened.run(
        "(() => { const d = JSON.parse(document.getElementById('map-data').textContent);"
        f"const c = d.names.indexOf({ODD!r}); return d.rows[d.labels.findIndex((row) => row.includes(c))]; }})()"
    )
    choose(opened, "map-row", carrying)
    assert ODD in text(opened, "#map-near-rows")
    assert opened.run("document.scripts.length") == 3
    assert opened.said == []


def test_tables_are_sorted_by_a_click_on_their_headings(opened: Browser) -> None:
    def column() -> list[str]:
        rows = "[...document.querySelector('table.sortable').tBodies[0].rows]"
        found = opened.run(f"{rows}.map((r) => r.cells[1].innerText)")
        assert isinstance(found, list)
        return found

    press = "document.querySelectorAll('table.sortable th button')[1].click()"
    opened.run(press)
    assert column() == sorted(column(), reverse=True)
    assert opened.run("document.querySelectorAll('table.sortable th')[1].ariaSort") == "descending"
    opened.run(press)
    assert column() == sorted(column())
    assert len(column()) == 2
    assert opened.said == []
