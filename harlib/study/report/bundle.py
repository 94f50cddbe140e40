"""A study's pages, tables, card and best network in one zip file that can be sent."""

import html
import io
import re
import shutil
import tempfile
import textwrap
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from posixpath import relpath
from typing import Any
from urllib.parse import quote, unquote

import harlib
from harlib import HarlibError, shipped
from harlib.evaluation import confidence, naming, ranking
from harlib.files import appearing, check_output, read_json
from harlib.run_folder import RunFolder
from harlib.study.report import downloads, index, model_card, private, videos_page
from harlib.study.runs import best as best_run
from harlib.text import count, percent

README = "README.txt"
LICENCE = "LICENSE.txt"  # of harlib, whose example and pages are in it
MODEL, NETWORK = "model", "model.keras"
_LINK = re.compile(r'((?:href|src)=")([^"#?]*)([^"]*")')
_ELSEWHERE = re.compile(r"[A-Za-z][A-Za-z+.-]*:|//")  # begins a link that means no file of ours
_THEN = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip file knows


def write(
    runs_dir: Path,
    pages: Path,
    file: Path,
    *,
    overwrite: bool = False,
    say: Callable[[str], object] = print,
) -> Path:
    """Writes the zip file; the same runs and pages give the same bytes.

    In it lie the index, what it leads to, page by page, in the folder of pages and elsewhere in the
    project, the network of the best run in `MODEL`, and `README`. What else lies in the folder of
    pages stays at home: an earlier zip file, notes, pages and copies of what is no longer there.

    Args:
        pages: where the study's pages are, as `index.write_study` wrote them.
        say: is told what is in it.

    Raises:
        HarlibError: the file is there already, a page leads nowhere or out of the project, or a
            file still tells where on this machine something lies, or who its user is.
    """
    check_output(file, [".zip"], overwrite=overwrite)
    runs_dir, pages = Path(runs_dir).resolve(), Path(pages).resolve()
    root, best = runs_dir.parents[1], _best(runs_dir)
    run_dirs = [folder for folder in sorted(runs_dir.glob("[0-9][0-9]_*")) if folder.is_dir()]
    with tempfile.TemporaryDirectory() as aside:
        files = _linked(pages, root)
        network = _network(best, Path(aside)) if best else "there is no scored run"
        network = private.hide(network, root, run_dirs)
        if not network:
            files |= {f"{MODEL}/{own.name}": own for own in sorted(Path(aside).iterdir())}
        files[LICENCE] = shipped.FOLDER / "LICENSE"
        private_in = private.finder(root, run_dirs)
        known = {own: name for name, own in files.items()}
        about = {} if network else read_json(Path(aside) / "README.json")
        texts = {README: _readme(runs_dir.name, best, network, about).encode()}
        cards = _cards(pages, best, root, run_dirs) if best and not network else {}
        with appearing(file) as part, zipfile.ZipFile(part, "w") as packed:
            for name in sorted([*files, *texts]):
                content = texts.get(name) or cards.get(name) or files[name].read_bytes()
                if name.endswith(".html"):
                    content = _relinked(name, files[name], content, known)
                if name != LICENCE:  # its words may be somebody's name
                    _refuse_private(name, content, private_in)
                entry = zipfile.ZipInfo(name, _THEN)
                entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
                packed.writestr(entry, content)
    with_it = f"with the network of {best.name}" if best and not network else network
    say(f"{file}: {len(files) + 1} files; {with_it}")
    return file


def _best(runs_dir: Path) -> Path | None:
    """The run that the study's index ranks first; None without a scored run."""
    measured = best_run.measured(runs_dir)
    return runs_dir / best_run.run(measured) if measured else None


def _cards(pages: Path, best: Path, root: Path, run_dirs: list[Path]) -> dict[str, bytes]:
    """{name: content} of the files with the best model's card, which here names `MODEL`'s file."""
    card = model_card.facts(best, network=f"{MODEL}/{NETWORK}")
    found = {}
    if (page := pages / "index.html").is_file():
        found[page.name] = index.with_card(page.read_text(encoding="utf-8"), card, best.parent)
    found["MODEL_CARD.md"] = model_card.markdown(card)
    return {name: private.hide(text, root, run_dirs).encode() for name, text in found.items()}


def _linked(pages: Path, root: Path) -> dict[str, Path]:
    """{name in the zip file: file} of the index and of all that it leads to, page by page."""
    found = {"index.html": pages / "index.html"}
    ahead, known = [*found.values()], {*found.values()}
    for page in ahead:
        for link, target in _targets(page):
            if target in known:
                continue
            if not target.is_file():
                raise HarlibError(
                    f"{page.relative_to(root) if page.is_relative_to(root) else page} leads to "
                    f"{link}, which is not there: har report writes the pages again"
                )
            if not target.is_relative_to(pages) and not target.is_relative_to(root):
                raise HarlibError(f"{page.name} leads to {link}, which is no file of the project")
            place = pages if target.is_relative_to(pages) else root
            found[target.relative_to(place).as_posix()] = target
            known.add(target)
            if target.suffix == ".html":
                ahead.append(target)
    return found


def _targets(page: Path) -> Iterator[tuple[str, Path]]:
    """(link, the file it means) of a page's relative links, and of the videos that it plays."""
    text = page.read_text(encoding="utf-8")
    links = (link for found in _LINK.finditer(text) if (link := _own(found[2])))
    for link in (*links, *videos_page.played(text)):
        yield link, (page.parent / unquote(link)).resolve()


def _own(link: str) -> str:
    """A link of a page to a file beside it; "" of every other, such as a picture's data."""
    return "" if _ELSEWHERE.match(link) else html.unescape(link)


def _relinked(name: str, page: Path, content: bytes, known: dict[Path, str]) -> bytes:
    """The page with its links as they are within the zip file."""

    def moved(found: re.Match[str]) -> str:
        link = _own(found[2])
        target = known.get((page.parent / unquote(link)).resolve()) if link else None
        if target is None:
            return found[0]
        new = relpath(target, PurePosixPath(name).parent.as_posix())
        return found[1] + quote(new) + found[3]

    return _LINK.sub(moved, content.decode("utf-8")).encode()


def _network(run_dir: Path, folder: Path) -> str:
    """Exports the network that was scored into the folder; why not, where it is not kept."""
    how = naming.read(run_dir)["protocol"]
    which = "best" if how.get("checkpoint") == "best" else "last"
    if not RunFolder(run_dir).weights(which).is_file():
        return f"the network of {run_dir.name} is not kept in its run's folder"
    from harlib.models.export import export_run  # loads Keras

    try:
        more = confidence.for_export(run_dir, which)
        export_run(run_dir, "keras", checkpoint=which, path=folder / NETWORK, more=more)
    except HarlibError as error:
        return f"the network of {run_dir.name} cannot be exported ({error})"
    shutil.rmtree(folder / "__pycache__", ignore_errors=True)
    return ""


def _refuse_private(name: str, content: bytes, private_in: Callable[..., str]) -> None:
    """Raises HarlibError where a file tells of this machine or its user."""
    if zipfile.is_zipfile(io.BytesIO(content)):  # as a Keras file is
        with zipfile.ZipFile(io.BytesIO(content)) as inner:
            for member in inner.namelist():
                _refuse_private(f"{name}, in it {member}", inner.read(member), private_in)
        return
    try:
        text, is_text = content.decode("utf-8"), True
    except UnicodeDecodeError:
        text, is_text = content.decode("latin-1"), False
    if found := private_in(text, user=is_text):
        raise HarlibError(
            f"{name} holds {found!r}, which tells of this machine or its user: take it out of the "
            "run's files in runs/ that it comes from (notebook, params.yaml, metrics.json), and "
            "write the pages again (har report)"
        )


def _readme(study: str, best: Path | None, without: str, about: dict[str, Any]) -> str:
    """README.txt. about: the exported network's README.json; empty without one."""
    parts = [
        f"The study {study}, as harlib {harlib.__version__} reported it.",
        "index.html     Open it in a browser: every page opens from this folder, without a "
        "network.",
    ]
    if best:
        metrics = naming.read(best)
        meanings = downloads.columns(several=ranking.is_of_several(metrics))
        parts += [
            f"MODEL_CARD.md  The best model, {best.name}: what it is for, how good it is, how to "
            "use and cite it.",
            "A folder per run, as " + best.name + "/, with those of these files that the run has:",
            *(f"  {name}: {meaning}." for name, meaning in meanings.items()),
        ]
    if best and not without:
        parts += [
            f"{MODEL}/         The network of {best.name} as a Keras file, with README.json, which "
            "says what a clip must be. With harlib installed:\n"
            f"  har predict {MODEL}/{NETWORK} VIDEO\n"
            f"  python {MODEL}/example_keras.py VIDEO",
            _views(metrics),
            *_sureness(about),
            f"harlib {about['harlib']} is installed from its source, by pip install . in that "
            "folder, or from a wheel of it; it needs Python 3.11 or newer. It is not part of this "
            "file: ask whoever sent it. For programs without harlib har export --to onnx makes "
            "another file of the network, where the study was made.",
        ]
    else:
        parts.append(f"No network lies here: {without}.")
    parts.append(f"{LICENCE}    The licence of harlib, which made the pages and the example.")
    lines = "\n\n".join(parts).splitlines()
    return "".join(f"{textwrap.fill(line, 96, subsequent_indent='  ')}\n" for line in lines)


def _views(metrics: dict[str, Any]) -> str:
    """That the example looks at one clip, where the accuracy is of several."""
    text = (
        "The example looks at one clip of the video's middle. har predict looks at a short video "
        "as the report's accuracy was measured"
    )
    video, clip = (metrics[level].get("top1") for level in ("video", "clip"))
    if video is None or clip is None or video == clip:
        return f"{text}."
    return (
        f"{text}: the mean over a video's views is right for {percent(video)} of the "
        f"{metrics['protocol']['split']} videos, a single view in {percent(clip)} of the cases."
    )


def _sureness(about: dict[str, Any]) -> list[str]:
    """What README.json's `confidence` or `thresholds` mean."""
    if limits := about.get("thresholds"):
        return [
            f"thresholds in README.json has {count(len(limits), 'label')}: a video is said to have "
            "those whose probability reaches their number, never one of null."
        ]
    if not (sure := about.get("confidence")):
        return []
    return [
        f"confidence in README.json was measured on {count(sure['videos'], 'val video')}: har "
        "predict divides the logarithms of the network's probabilities by temperature, so that "
        'they fit how often it is right, and answers "none of these" where that of the named '
        f"category is then below threshold ({sure['threshold']:.2f}). Not named were so "
        f"{percent(sure['turned_away'])} of those videos (turned_away); of the others "
        f"{percent(sure['accuracy'])} were named rightly (accuracy)."
    ]
