"""Pictures of the sample's pages for the README, by Debian's Chromium; nothing is downloaded.

make sample-report
"""

import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

DOCS = Path(__file__).parent
SAMPLE = DOCS.parent / "reports" / "sample"
# page of the sample: its picture, the heading with which it begins, the one before which it ends
SHOTS = {
    "index": ("report.jpg", None, "The best model's card"),
    "05_evaluation": ("report-05.jpg", "The videos themselves", "Which of them sees the direction"),
}


def main():
    """Writes the pictures of SHOTS beside this file."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise SystemExit("no chromium here; install it (Debian: sudo apt install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1100, "height": 800})
        for name, (picture, first, last) in SHOTS.items():
            page.goto((SAMPLE / f"{name}.html").as_uri())
            top = _top(page, first) if first else 0
            clip = {"x": 0, "y": top, "width": 1100, "height": _top(page, last) - top}
            page.screenshot(path=DOCS / picture, type="jpeg", quality=85, full_page=True, clip=clip)
            print(f"docs/{picture}: {(DOCS / picture).stat().st_size:,} bytes")
        browser.close()


def _top(page, heading):
    """Pixels from the top of the page to what is drawn above a heading."""
    return page.get_by_role("heading", name=heading).bounding_box()["y"] - 10


if __name__ == "__main__":
    main()
