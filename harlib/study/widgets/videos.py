"""The browser of a study's scored videos in JupyterLab: played, and marked as wrongly labelled."""

import html
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from harlib import HarlibError, shipped, system_errors
from harlib.data import label_sets
from harlib.data.catalog.corrections import DROP, Correction, Corrections, key
from harlib.evaluation.comparison import NOTHING
from harlib.run_folder import RunFolder
from harlib.study.params.base import project_root
from harlib.study.runs import scored_videos
from harlib.study.runs.scored_videos import ScoredVideos
from harlib.study.widgets import previews, video_data
from harlib.text import count

_TEMPLATE = shipped.FOLDER / "reports" / "template"


def _joined(*names: str) -> str:
    return "\n".join((_TEMPLATE / name).read_text(encoding="utf-8") for name in names)


class VideoBrowser(anywidget.AnyWidget):
    """All that a study's runs scored: filtered, played, and marked where the label is wrong.

    A video's preview is made of the clip store when it is opened. A mark is written into a table of
    corrections at once (see `harlib.data.catalog.corrections`).

    Args:
        study: its name.
        scored: its videos.
        clips: their frames.
        corrections: the table, there or yet to come.
        made_with: what had been corrected when the study was made.
        reads: whether the study is made with that table, so that a mark makes it another.
    """

    _esm = _joined("videos.js", "videos_widget.js")
    _css = _joined("videos.css", "videos_widget.css")
    data = traitlets.Bytes().tag(sync=True)
    marks = traitlets.Dict().tag(sync=True)

    def __init__(
        self,
        study: str,
        scored: ScoredVideos,
        clips: previews.Clips,
        corrections: Corrections,
        made_with: Collection[Correction],
        *,
        reads: bool,
    ) -> None:
        self._study, self._scored, self._clips = study, scored, clips
        self._corrections, self._reads = corrections, reads
        earlier = {key(one.video, one.correction): one.label for one in made_with}
        videos = zip(scored.videos["id"], scored.videos["true"], strict=True)
        # as the table knows the videos: by their labels at the source
        self._keys = [key(video, earlier.get(key(video, label), label)) for video, label in videos]
        self._new = {
            label for one in made_with if one.new for label in label_sets.split(one.correction)
        }
        known = [*scored.answers] if scored.several else [*scored.categories]
        self._drop = "" if DROP in scored.categories else DROP
        self._right = {*known, self._drop} - {"", NOTHING}
        super().__init__(
            data=video_data.packed(study, scored, {"without": clips.problem}),
            marks={"drop": self._drop, **self._marks(self._told())},
        )
        self.on_msg(self._answer)

    def _answer(self, _: object, message: dict[str, Any], buffers: object) -> None:
        """Does what the browser asks for, and answers."""
        asked = {"asked": message["asked"]}
        if message["kind"] == "preview":
            row = int(message["video"])
            clip, why = self._copy(row)
            self.send(asked | ({"said": why} if why else {}), clip)
        elif message["kind"] == "mark":
            row, right = int(message["video"]), str(message["category"])
            self.send(asked | self._changed(lambda: self._mark(row, right)))
        elif message["kind"] == "undo":
            self.send(asked | self._changed(self._undo))

    def _copy(self, row: int) -> tuple[list[bytes], str]:
        """A video's copy, or why there is none: the browser waits for an answer."""
        try:
            return [self._clips.copy(row)] if self._clips.there(row) else [], ""
        except HarlibError as error:
            return [], str(error)
        except OSError as error:
            return [], system_errors.line(error)

    def _mark(self, row: int, right: str) -> str:
        video, label = self._scored.videos.loc[row, ["id", "true"]]
        if right not in self._right:
            raise HarlibError(f"{right!r} is no category of study {self._study}")
        self._corrections.mark(
            video, self._keys[row][1], right, new=not self._new.isdisjoint(label_sets.split(right))
        )
        return f"{video}: {'left out' if right == self._drop else right}, not {label}."

    def _undo(self) -> str:
        return f"{self._corrections.undo()}: the last mark is taken back."

    def _changed(self, change: Callable[[], str]) -> dict[str, Any]:
        try:
            said = change()
        except HarlibError as error:
            return self._marks(f"Not written: {error}")
        except OSError as error:
            return self._marks(f"Not written: {system_errors.line(error)}")
        return self._marks(f"{said} {self._told()}")

    def _marks(self, said: str) -> dict[str, Any]:
        """What is marked now, by the videos' places, and a sentence."""
        right = {key(one.video, one.label): one.correction for one in self._corrections}
        shown = zip(map(right.get, self._keys), self._scored.videos["true"], strict=True)
        marked = {str(row): one for row, (one, label) in enumerate(shown) if one and one != label}
        return {"said": said, "marked": marked}

    def _told(self) -> str:
        """How many marks there are, where, and what a mark does to the study."""
        path, root = self._corrections.path, project_root()
        shown = path.relative_to(root) if path.is_relative_to(root) else path
        said = f"{count(len(self._corrections), 'mark')} in {shown}."
        if self._reads:
            said += (
                f" Study {self._study} is made with this table: after a mark, har study "
                f"{self._study} makes all its runs anew and moves the present ones to "
                f"runs/{self._study}/before."
            )
        return said

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """Where no widget can be, a link to the page that shows the same."""
        data, about = super()._repr_mimebundle_(**options)
        data["text/plain"] = "The videos of this study are shown in JupyterLab, and by videos.html."
        data["text/html"] = (
            '<p><a href="videos.html">All scored videos</a>, played and filtered; in JupyterLab '
            f"(notebook 00, study {html.escape(self._study)}) also marked.</p>"
        )
        return data, about


def browser(study: str, corrections: str | Path = "") -> VideoBrowser:
    """The browser of a study's scored videos.

    Args:
        study: its name.
        corrections: the table that marks are written to; by default the one that the study was
            made with, else ``params/<study>/corrections.csv``.

    Raises:
        HarlibError: the study has no scored run, or the file is no table of corrections.
    """
    runs = project_root() / "runs" / study
    scored = scored_videos.load(runs)
    named, made_with = _made_with(runs)
    table = Corrections(
        project_root() / (corrections or named or f"params/{study}/corrections.csv")
    )
    reads = bool(named) and table.path == (project_root() / named).resolve()
    return VideoBrowser(study, scored, previews.Clips(scored), table, made_with, reads=reads)


def _made_with(runs: Path) -> tuple[str, Collection[Correction]]:
    """(the table that the study is made with, "" where there is none; what it said then)."""
    for run in map(RunFolder, sorted(runs.glob("01_*"))):
        if named := run.read_params().get("corrections", ""):
            return str(named), [*Corrections(run.corrections)]
    return "", ()
