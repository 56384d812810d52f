"""A reader's first minutes: open the address of the card, open a chapter, run it, save it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT, on_machine
from playwright.sync_api import BrowserContext, Page, sync_playwright

ARTIFACTS = ROOT / "tests/artifacts"
CHAPTERS = "gluon-tutorials-zh"
# Nothing of the browser's own looks for the internet.
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[BrowserContext]:
    ARTIFACTS.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=QUIET)
        yield chromium.new_context(viewport={"width": 1200, "height": 1000})
        chromium.close()


def chapters() -> list[str]:
    """The chapters' paths in the tutorial."""
    return on_machine(f"cd {CHAPTERS} && ls chapter_*/*.md").split()


def open_chapter(browser: BrowserContext, address: str, path: str) -> Page:
    """Through the file list, as a reader would: the folder, then the chapter, which opens in a tab of its own."""
    tree = browser.new_page()
    tree.goto(address)
    folder, name = path.split("/")
    tree.click(f"#notebook_list a.item_link:has-text('{folder}')")
    with browser.expect_page() as opened:
        tree.click(f"#notebook_list a.item_link:has-text('{name}')")
    page = opened.value
    page.wait_for_selector("div.cell.code_cell", timeout=60_000)
    page.wait_for_selector("#kernel_indicator_icon.kernel_idle_icon", timeout=60_000)
    tree.close()
    return page


def run_all(page: Page) -> None:
    """Cell > Run All, and wait until every cell of code was numbered and the kernel rests."""
    page.click("#menubar a.dropdown-toggle:text-is('Cell')")
    page.click("#run_all_cells a")
    page.wait_for_function(
        """() => {
          const cells = Jupyter.notebook.get_cells().filter(cell => cell.cell_type === 'code');
          return cells.every(cell => Number.isInteger(cell.input_prompt_number)) && !Jupyter.notebook.kernel_busy;
        }""",
        timeout=240_000,
    )


def outputs(page: Page) -> str:
    return "\n".join(page.locator("div.output_area").all_inner_texts())


def save(page: Page) -> None:
    page.click("#save-notbook button")
    page.wait_for_function(
        "() => document.querySelector('#notification_notebook').innerText.includes('Checkpoint')", timeout=30_000
    )


@pytest.fixture(scope="module")
def paths(address: str) -> list[str]:
    found = chapters()
    assert len(found) >= 3
    return found


def test_every_chapter_runs_and_saves_as_the_book_wrote_it(
    browser: BrowserContext, address: str, paths: list[str]
) -> None:
    for path in paths[:3]:
        written = on_machine(f"sha256sum {CHAPTERS}/{path}")
        page = open_chapter(browser, address, path)
        run_all(page)
        page.screenshot(path=str(ARTIFACTS / f"{Path(path).stem}.png"), full_page=True)
        assert "Traceback" not in outputs(page), outputs(page)
        save(page)
        assert on_machine(f"sha256sum {CHAPTERS}/{path}") == written
        page.close()


def test_the_chapter_on_devices_says_where_it_ran(browser: BrowserContext, address: str, paths: list[str]) -> None:
    path = next(path for path in paths if "gpu" in path or "device" in path)
    page = open_chapter(browser, address, path)
    run_all(page)
    assert "cpu(0)" in outputs(page)
    page.close()


def test_the_tutorial_is_as_it_was_cloned(paths: list[str]) -> None:
    assert on_machine(f"cd {CHAPTERS} && git status --porcelain").strip() == ""
