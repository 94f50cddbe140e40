"""The browser of a study's scored videos in JupyterLab: played, and marked as wrongly labelled."""

import html
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from harlib import HarlibError, shipped, system_errors
from harlib.data.catalog.corrections import DROP, Corrections
from harlib.run_folder import RunFolder
from harlib.study.params.base import project_root
from harlib.study.runs import scored_videos
from harlib.study.runs.scored_videos import NOTHING, ScoredVideos
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
    """

    _esm = _joined("videos.js", "videos_widget.js")
    _css = _joined("videos.css", "videos_widget.css")
    data = traitlets.Bytes().tag(sync=True)
    marks = traitlets.Dict().tag(sync=True)

    def __init__(
        self, study: str, scored: ScoredVideos, clips: previews.Clips, corrections: Corrections
    ) -> None:
        self._study, self._scored, self._clips = study, scored, clips
        self._corrections = corrections
        known = [*scored.answers] if scored.several else [*scored.categories]
        self._drop = "" if DROP in scored.categories else DROP
        self._right = {*known, self._drop} - {"", NOTHING}
        super().__init__(
            data=video_data.packed(study, scored, {"without": clips.problem}),
            marks={"drop": self._drop, **self._marks(_told(corrections))},
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
        self._corrections.mark(video, label, right)
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
        return self._marks(f"{said} {_told(self._corrections)}")

    def _marks(self, said: str) -> dict[str, Any]:
        """What is marked now, by the videos' places, and a sentence."""
        right = {(one.video, one.label): one.correction for one in self._corrections}
        videos = zip(self._scored.videos["id"], self._scored.videos["true"], strict=True)
        marked = {str(row): right[key] for row, key in enumerate(videos) if key in right}
        return {"said": said, "marked": marked}

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
    file = project_root() / (corrections or _read_by(runs) or f"params/{study}/corrections.csv")
    return VideoBrowser(study, scored, previews.Clips(scored), Corrections(file))


def _read_by(runs: Path) -> str:
    """The table that the study's data were made with; "" where there is none."""
    for run in sorted(runs.glob("01_*")):
        if named := RunFolder(run).read_params().get("corrections", ""):
            return str(named)
    return ""


def _told(corrections: Corrections) -> str:
    path, root = corrections.path, project_root()
    shown = path.relative_to(root) if path.is_relative_to(root) else path
    return f"{count(len(corrections), 'mark')} in {shown}."
