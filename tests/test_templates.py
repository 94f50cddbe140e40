"""Pages from templates: what is put into them is text, and one style sheet is in them all."""

import subprocess
import sys

import pytest

from harlib import templates

pytestmark = pytest.mark.quick


def test_texts_are_escaped_and_the_style_sheet_is_not():
    page = templates.render("label.html.j2", nonce="n", table="<b>my</b> table", seconds=60.0)
    assert "&lt;b&gt;my&lt;/b&gt; table" in page and "<b>my" not in page
    sheet = (templates._FOLDER / "style.css").read_text(encoding="utf-8")
    assert sheet.strip() in page


def test_a_page_needs_no_framework():
    code = (
        "import sys; from harlib import templates; from harlib.serving import page; "
        "templates.opened('serve.html.j2'); "
        "print(*{'tensorflow', 'keras', 'torch', 'jax', 'pandas'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
