"""docs/troubleshooting.md quotes what the program says, and nothing else."""

import ast
import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.quick

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
# A list's item begins with a message, between one backtick or, where the message has such, two.
QUOTED = re.findall(r"^- (`+)(.+?)\1(?=[:.,\n])", PAGE, re.MULTILINE | re.DOTALL)
HOLE = "\0"


def _said(node):
    """The fixed parts of a text that the program puts together, with a hole for each value."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(map(_said, node.values))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _said(node.left) + _said(node.right)
    return HOLE


def _texts(node):
    """The largest texts below a node: not the pieces that one is put together of."""
    if isinstance(node, ast.Constant | ast.JoinedStr | ast.BinOp):
        yield _said(node)
    pieces = isinstance(node, ast.JoinedStr | ast.BinOp)
    for child in ast.iter_child_nodes(node):
        if not (pieces and isinstance(child, ast.Constant | ast.JoinedStr | ast.BinOp)):
            yield from _texts(child)


def _templates():
    for file in (ROOT / "harlib").rglob("*.py"):
        yield from _texts(ast.parse(file.read_text(encoding="utf-8")))
    for text in re.findall(r'say "(.+)"', (ROOT / "setup.sh").read_text()):
        yield re.sub(r"\$\(.+?\)(?=[ )])|\$\w+", HOLE, text)


def _pattern(template):
    """What finds the template in a message; None where it has too few words to tell anything."""
    bare = template.strip(f"{HOLE} ,;:")
    fixed = len(re.sub(r"\W", "", bare.replace(HOLE, "")))
    if fixed < 10:
        return None
    parts = (re.escape(" ".join(part.split(" "))) for part in bare.split(HOLE))
    return fixed, re.compile(".*".join(parts))


PATTERNS = list(filter(None, map(_pattern, set(_templates()))))


def _is_said(message):
    """Whether a template with a good part of the message's letters is in it."""
    letters = len(re.sub(r"\W", "", message))
    return any(4 * fixed >= letters and found.search(message) for fixed, found in PATTERNS)


@pytest.mark.parametrize("message", [" ".join(message.split()) for _, message in QUOTED])
def test_a_quoted_message_is_the_program_s(message):
    assert _is_said(message), "no text in harlib/ reads so"


def test_messages_are_found_and_others_are_not():
    assert len(QUOTED) == len(re.findall(r"^- `", PAGE, re.MULTILINE)) > 40
    assert _is_said("x.txt names no format: end it in .csv, .json")
    assert not _is_said("x.txt has no known format: end it in .csv, .json")
    assert not _is_said("my-videos holds 4 videos and no folders: put each into a folder named a")
    assert not _is_said("my-videos has 4 videos and no folders: move each into a folder named "
                        "after its category, my-videos/CATEGORY/NAME")  # fmt: skip


def test_the_page_is_short():
    assert len(PAGE.splitlines()) <= 200
