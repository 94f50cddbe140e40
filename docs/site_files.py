"""What the documentation site is made of: files of the repository, each at its own path there.

So a link between two of them is the same in the repository and on the site. See mkdocs.yml.
"""

import shutil
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
PAGES = (
    *("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "CITATION.cff"),
    *("docs/**/*.md", "docs/*.jpg", "docs/*.css", "benchmarks/*.md", "benchmarks/*.png"),
    *("reports/sample/*.html", "reports/sample/[0-9]*/*"),
)
CARD = "reports/sample/MODEL_CARD.md"


def on_files(files, config):
    """Puts the files of PAGES instead of those of docs/."""
    for file in [file for file in files if file.src_dir == config.docs_dir]:
        files.remove(file)
    for path in sorted({path for pattern in PAGES for path in ROOT.glob(pattern)}):
        name = path.relative_to(ROOT).as_posix()
        files.append(File(name, str(ROOT), config.site_dir, config.use_directory_urls))
    return files


def on_post_build(config):
    """The sample links to its model card as a file, and MkDocs would make a page of it."""
    shutil.copy(ROOT / CARD, Path(config.site_dir) / CARD)
