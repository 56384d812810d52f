"""The same reader in JupyterLab, on the same machine: a double click on a chapter, all its cells, and saved."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from conftest import Run, on_machine, playbook
from playwright.sync_api import BrowserContext, Locator, Page
from test_browser import ARTIFACTS, CHAPTERS, browser, chapters

__all__ = ["browser"]


@pytest.fixture(scope="module")
def lab(address: str) -> Iterator[Run]:
    """The run that made it JupyterLab; the tests after these find the classic notebook again."""
    try:
        yield playbook("playbooks/configure.yml", "-e", "interface=lab")
    finally:
        playbook("playbooks/configure.yml", "-e", "interface=classic")


@pytest.fixture
def page(browser: BrowserContext, address: str, lab: Run) -> Iterator[Page]:
    """JupyterLab as it is when it was never opened before, with the machine's own pages alone."""
    page, elsewhere = browser.new_page(), []
    page.on("request", lambda asked: elsewhere.append(asked.url))
    parts = urlsplit(address)
    page.goto(f"{parts.scheme}://{parts.netloc}/lab?{parts.query}&reset")
    page.wait_for_selector(".jp-DirListing-item", timeout=120_000)
    yield page
    page.close()
    assert [url for url in elsewhere if urlsplit(url).netloc != parts.netloc and url.startswith("http")] == []


def listed(page: Page, name: str) -> Locator:
    return page.locator(".jp-DirListing-item", has_text=name)


def open_chapter(page: Page, path: str) -> None:
    """Through the file browser, as a reader would: the folder, then the chapter, with a double click each."""
    for name in path.split("/"):
        listed(page, name).dblclick()
    page.wait_for_selector(".jp-NotebookPanel .jp-CodeCell", timeout=120_000)
    page.wait_for_selector("text=/Python 3.*\\| Idle/", timeout=120_000)


def choose(page: Page, *names: str) -> None:
    """An item of a menu that is open."""
    for name in names[:-1]:
        page.locator(".lm-Menu-item", has_text=name).first.hover()
    page.locator(".lm-Menu").last.locator(".lm-Menu-item", has_text=names[-1]).first.click()


def run_all(page: Page) -> None:
    """Run > Run All Cells, and wait until every cell of code was numbered and the kernel rests."""
    page.locator(".lm-MenuBar-item", has_text="Run").click()
    choose(page, "Run All Cells")
    page.wait_for_function(
        """() => [...document.querySelectorAll('.jp-NotebookPanel .jp-CodeCell .jp-InputPrompt')]
          .every(prompt => /\\[\\d+\\]/.test(prompt.textContent))""",
        timeout=240_000,
    )
    page.wait_for_selector("text=/Python 3.*\\| Idle/", timeout=120_000)


def save(page: Page) -> None:
    with page.expect_response(lambda one: one.request.method == "PUT" and "/api/contents/" in one.url) as saved:
        page.keyboard.press("Control+s")
    assert saved.value.ok


def test_a_chapter_opens_on_a_double_click_runs_and_saves_as_the_book_wrote_it(page: Page) -> None:
    path = chapters()[0]
    written = on_machine(f"sha256sum {CHAPTERS}/{path}")
    open_chapter(page, path)
    run_all(page)
    page.screenshot(path=str(ARTIFACTS / f"lab-{Path(path).stem}.png"))
    outputs = "\n".join(page.locator(".jp-NotebookPanel .jp-OutputArea-output").all_text_contents())
    assert outputs and "Traceback" not in outputs, outputs
    save(page)
    assert on_machine(f"sha256sum {CHAPTERS}/{path}") == written
    assert page.locator(".jp-Dialog").all_inner_texts() == []


def test_the_editor_is_one_menu_away(page: Page) -> None:
    folder, name = chapters()[0].split("/")
    listed(page, folder).dblclick()
    listed(page, name).click(button="right")
    choose(page, "Open With", "Editor")
    page.wait_for_selector(".jp-FileEditor .cm-content:has-text('{.python .input')", timeout=120_000)


def test_the_tutorial_is_as_it_was_cloned(lab: Run) -> None:
    assert on_machine(f"cd {CHAPTERS} && git status --porcelain").strip() == ""


def test_what_the_environment_has_more_is_said(lab: Run) -> None:
    assert lab.changed
    assert "until its kernel is restarted" in lab.output
