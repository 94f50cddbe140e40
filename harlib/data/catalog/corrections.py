"""Labels that somebody found wrong: a table of corrections beside videos, which stay as they are.

Its columns are `video,label,correction,note`: the video's id in the catalog, its label as it is,
the right one, and a free text. The correction `drop` leaves the video out. A label that no video
has yet needs `yes` in a fifth column, `new`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from harlib.data import label_sets
from harlib.data.catalog import names
from harlib.data.catalog import table as tables
from harlib.data.catalog.catalog import SPLITS, Catalog
from harlib.data.catalog.folder import CatalogError
from harlib.files import appearing
from harlib.text import FORMULA, count, near

COLUMNS = ("video", "label", "correction", "note")
DROP = "drop"
SAID = "Corrected by "  # begins the sentence about what a table has corrected
_Key = tuple[str, str]  # a video's id and its label, as `key` spells them
_COMPARES = (
    "Results on them compare only with runs on the same corrections, and favour a network whose "
    "errors chose which videos were looked at."
)
_SIDES = re.compile(rf" \((?:(?:, )?[\d,]+ (?:{'|'.join(SPLITS)}))+\)(?=: )")
_FORMULA = re.compile(rf"^'(?={FORMULA[1:]})")  # the apostrophe that keeps a cell a text
_NEEDED = f"a table of corrections has the columns {','.join(COLUMNS)}, and perhaps new"


def key(video: str, label: str) -> tuple[str, str]:
    """A video's id and its label, the same with blanks around them and however accents are made."""
    return _id(video), _plain(label)


@dataclass(frozen=True)
class Correction:
    """A video whose label is wrong, and what is right.

    `correction` is a category or `DROP`; `new` says that it is one that no video has yet. `row` is
    the row of the table, as spreadsheets count them; 0 before it is in one.
    """

    video: str
    label: str
    correction: str
    note: str = ""
    new: bool = False
    row: int = field(default=0, compare=False)


class Corrections:
    """The corrections in a CSV file, which is made with the first one.

    Raises:
        CatalogError: the file is there and is no table of corrections, or a row is wrong.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        # a link stays one: what it points to is what is written
        self.path = Path(os.path.realpath(path))
        if self.path.suffix.lower() != ".csv":
            raise CatalogError(f"{path} is no CSV: corrections are in a file NAME.csv")
        self._rows: dict[_Key, Correction] = {}
        self._done: list[tuple[_Key, Correction | None, Correction | None]] = []
        self._read()

    def __iter__(self) -> Iterator[Correction]:
        """Every correction, in the order of the table."""
        return iter(self._rows.values())

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def content(self) -> bytes:
        """What they say, the same whatever the order of the rows and their notes."""
        said = sorted((one.video, one.label, one.correction, one.new) for one in self)
        return json.dumps(said).encode()

    def of(self, video: str, label: str) -> Correction | None:
        """The correction of the video that has this label at the source."""
        return self._rows.get(key(video, label))

    def mark(
        self, video: str, label: str, correction: str, note: str = "", *, new: bool = False
    ) -> None:
        """Writes what is right for a video; an earlier mark of it is replaced.

        A mark that leads back to `label` takes the row out. The same correction once more changes
        its note alone.

        Args:
            video: its id in the catalog.
            label: the one that it has at the source, whatever a study with corrections says: one
                id may be two videos, of two labels.
            correction: the right one, or `DROP`.
            note: why, for people.
            new: whether no video has that category at the source.

        Raises:
            CatalogError: nothing would change, or a text cannot stand in a table.
        """
        for text in (video, label, correction, note):
            if names.UNPRINTABLE.search(text):
                raise CatalogError(f"{ascii(text)} holds a control character: write one line")
        if not correction.strip():
            raise CatalogError(f"{video} has no correction: give a category, or {DROP}")
        label, correction, note = _category(label), _category(correction), note.strip()
        self._read()  # somebody may have edited it meanwhile
        earlier = self.of(video, label)
        same = _plain(label) == _plain(correction)
        if same and not earlier:
            raise CatalogError(f"{video} is {label!r} already: choose another category, or {DROP}")
        one = Correction(video.strip(), label, correction, note, new)
        if earlier and earlier.correction == correction:
            one = replace(earlier, note=note or earlier.note, new=new or earlier.new)
        self._change(key(video, label), None if same else one)

    def undo(self) -> str:
        """Takes back the last mark that this object has written; returns the video.

        Raises:
            CatalogError: there is none, or the row was changed by somebody else since.
        """
        if not self._done:
            raise CatalogError("nothing to undo: only marks of this session are taken back")
        place, before, after = self._done[-1]
        self._read()
        if self._rows.get(place) != after:
            raise CatalogError(
                f"{self.path}: the row of {place[0]} was changed since; edit it there"
            )
        self._change(place, before)
        del self._done[-2:]
        return place[0]

    def _change(self, place: _Key, now: Correction | None) -> None:
        rows, before = dict(self._rows), self._rows.get(place)
        if before == now:
            return
        rows.pop(place, None) if now is None else rows.update({place: now})
        columns = [*COLUMNS, "new"] if any(one.new for one in rows.values()) else [*COLUMNS]
        cells = [
            (*(getattr(one, name) for name in COLUMNS), "yes" * one.new) for one in rows.values()
        ]
        safe = pd.DataFrame(cells, columns=[*COLUMNS, "new"])[columns]
        safe = safe.replace(FORMULA, r"'\1", regex=True)  # see Audit.to_csv
        with appearing(self.path) as part:
            safe.to_csv(part, index=False, lineterminator="\n")
        self._rows = rows
        self._done.append((place, before, now))

    def _read(self) -> None:
        self._rows = {}
        if not self.path.is_file() or not self.path.stat().st_size:
            return
        header, lines = tables.read_lines(self.path, _NEEDED)
        if not {*COLUMNS[:3]} <= {*header} or not {*header} <= {*COLUMNS, "new"}:
            raise CatalogError(
                f"{self.path} is no table of corrections, its first line is "
                f"{names.first(header, 8)}; {_NEEDED}"
            )
        for number, line in lines:
            about = f"{self.path}, row {number}"
            cells = dict(zip(header, map(str.strip, line), strict=False))
            one = _read_row(about, number, {name: _FORMULA.sub("", v) for name, v in cells.items()})
            first = self._rows.setdefault(key(one.video, one.label), one)
            if first is not one:
                raise CatalogError(
                    f"{about} corrects {one.video!r} again, as row {first.row} does: take one out"
                )


def _read_row(about: str, number: int, cells: dict[str, str]) -> Correction:
    for name, cell in cells.items():
        if names.UNPRINTABLE.search(cell):
            raise CatalogError(
                f"{about}: {name} {ascii(cell)} holds a control character or bytes that are no "
                "UTF-8; save the table as UTF-8"
            )
    for name, right in (("video", "the video's id"), ("label", "the label as it is"),
                        ("correction", f"the right category, or {DROP}")):  # fmt: skip
        if not cells.get(name):
            raise CatalogError(f"{about} has no {name}; it needs {right}")
    if (new := cells.get("new", "").casefold()) not in ("", "yes", "no"):
        raise CatalogError(f"{about}: new is {new!r}; it is yes, or empty")
    label, correction = _category(cells["label"]), _category(cells["correction"])
    if _plain(label) == _plain(correction):
        raise CatalogError(f"{about} corrects {label!r} to itself: take the row out")
    return Correction(
        cells["video"], label, correction, cells.get("note", ""), new == "yes", number
    )


def _category(text: str) -> str:
    """As a catalog spells it: several labels sorted, each once."""
    return label_sets.joined(label_sets.split(text))


def _plain(category: str) -> str:
    return names.composed(_category(category))


def _id(video: str) -> str:
    return names.composed(video.strip())


def corrected(listed: Catalog, path: str | os.PathLike) -> Catalog:
    """The catalog with the labels that a table corrects; what was done is in its `left_out`.

    Splits and groups stay as they are.

    Raises:
        CatalogError: the table is not there or none of corrections, or a row has a video, a
            category or a label that is not the catalog's.
    """
    table = _table(path, listed.categories, listed.name)
    frame = listed.frame.copy()
    spelled = _spelled(_added(table), listed.categories)
    places: dict[str, list[int]] = {}
    ids = frame["video_id"].map(_id)
    wanted = ids.isin({_id(one.video) for one in table})
    for place, video in ids[wanted].items():
        places.setdefault(video, []).append(int(place))
    changed: list[tuple[int, Correction]] = []
    dropped: list[tuple[int, Correction]] = []
    so_already = 0
    for one in table:
        about = f"{path}, row {one.row}"
        own: dict[str, list[int]] = {}
        for place in places.get(_id(one.video), []):
            own.setdefault(_plain(frame.at[place, "category"]), []).append(place)
        if _plain(one.label) in own:
            rows = dropped if one.correction == DROP else changed
            rows += [(place, one) for place in own[_plain(one.label)]]
        elif _plain(one.correction) in own:
            so_already += 1
        elif own:
            raise CatalogError(
                f"{about}: {one.video!r} is {next(iter(own))!r} now, and was {one.label!r} when it "
                "was marked: mark it again, or take the row out"
            )
        else:
            alike = near(one.video, frame.loc[frame["category"] == one.label, "video_id"])
            raise CatalogError(
                f"{about}: catalog {listed.name} has no video {one.video!r}"
                + (f"; nearest: {alike!r}" if alike else "")
            )
    said = _said(Path(path).name, frame, changed, dropped, so_already)
    for place, one in changed:
        frame.at[place, "category"] = _as(spelled, one.correction)
    frame = frame.drop(index=[place for place, _ in dropped])
    # not before all rows are done: two videos of one id may change places
    twice = frame[frame.duplicated(["split", "category", "video_id"], keep=False)].index
    for place, one in changed:
        if place in twice:
            raise CatalogError(
                f"{path}, row {one.row}: {one.video!r} is listed as {one.correction!r} too: "
                f"correct one of the two to {DROP}"
            )
    return Catalog(frame, listed.name, [*listed.left_out, said])


def categories(path: str | os.PathLike, known: Sequence[str], catalog: str) -> list[str]:
    """The categories that a catalog may have once a table has corrected it.

    Args:
        path: the table.
        known: the categories that it has.
        catalog: its name, for messages.

    Raises:
        CatalogError: as `corrected`; videos and their labels are not looked at.
    """
    added = _added(_table(path, known, catalog))
    spelled = _spelled(added, known)
    return sorted({_as(spelled, name) for name in (*added, *known)})


def _spelled(added: Sequence[str], known: Sequence[str]) -> dict[str, str]:
    """{a label or category with its accents composed: as the catalog has it, or the first new}."""
    new = {_plain(label): label for name in reversed(added) for label in label_sets.split(name)}
    labels = {_plain(label): label for name in known for label in label_sets.split(name)}
    return new | labels | {_plain(name): name for name in known}


def _as(spelled: dict[str, str], category: str) -> str:
    """A category as it is spelled, one that is new label by label."""
    labels = [spelled[_plain(label)] for label in label_sets.split(category)]
    return spelled.get(_plain(category)) or label_sets.joined(labels)


def _table(path: str | os.PathLike, known: Sequence[str], catalog: str) -> Corrections:
    """The corrections in a file, where all are of a kind that a catalog of these categories has."""
    if not Path(path).is_file():
        raise CatalogError(f"{path}: no such file")
    table = Corrections(path)
    several = label_sets.several(known)
    labels = sorted({_plain(label) for name in known for label in label_sets.split(name)})
    if DROP in labels and any(one.correction == DROP for one in table):
        raise CatalogError(
            f"{path}: {DROP} leaves a video out, and is a category of catalog {catalog} too: "
            "rename the category"
        )
    given = [*labels, *(_plain(name) for one in table if one.new for name in _labels(one))]
    for one in table:
        _check_category(f"{path}, row {one.row}", one, given, several, catalog)
    return table


def _labels(one: Correction) -> list[str]:
    return [] if one.correction == DROP else label_sets.split(one.correction)


def _added(table: Corrections) -> list[str]:
    """The categories that a table corrects to."""
    return [one.correction for one in table if one.correction != DROP]


def _check_category(
    about: str, one: Correction, known: list[str], several: bool, catalog: str
) -> None:
    """Raises CatalogError where the correction is of a kind that the catalog has not."""
    labels = _labels(one)
    if len(labels) > 1 and not several:
        raise CatalogError(
            f"{about}: {one.correction!r} is several labels, and the videos of catalog {catalog} "
            f"have one each: choose one, or {DROP}"
        )
    for label in labels:
        if _plain(label) not in known:
            meant = near(label, known)
            raise CatalogError(
                f"{about}: catalog {catalog} has no category {label!r}"
                + (f"; nearest: {meant!r}" if meant else "")
                + " (a new one has yes in the column new)"
            )


def _said(
    name: str,
    frame: pd.DataFrame,
    changed: list[tuple[int, Correction]],
    dropped: list[tuple[int, Correction]],
    so_already: int,
) -> str:
    """What a table has corrected, and what that means for the results."""

    def sides(rows: list[tuple[int, Correction]]) -> str:
        counts = frame.loc[[place for place, _ in rows], "split"].value_counts()
        return ", ".join(f"{counts[split]:,} {split}" for split in SPLITS if split in counts)

    parts = []
    if changed:
        which = [f"{one.video} is {one.correction}, not {one.label}" for _, one in changed]
        parts.append(f"{count(len(changed), 'label')} ({sides(changed)}): {names.first(which, 5)}")
    if dropped:
        which = [one.video for _, one in dropped]
        parts.append(
            f"{count(len(dropped), 'video')} left out ({sides(dropped)}): {names.first(which, 5)}"
        )
    if so_already:
        parts.append(f"{count(so_already, 'label')} the same at the source by now")
    said = f"{SAID}{name}: {'; '.join(parts) or 'nothing'}."
    measured = frame.loc[[place for place, _ in changed + dropped], "split"] != "train"
    if number := int(measured.sum()):
        said += f" Warning: {count(number, 'corrected video')} of val or test. {_COMPARES}"
    return said


def said_of_folds(said: str) -> str:
    """The sentence of what was corrected, where folds score every video, whatever its split."""
    told, _, _ = said.partition(" Warning: ")
    found, number = _SIDES.subn("", told)
    every = f" Warning: folds score every video, the corrected ones too. {_COMPARES}"
    return found + every * bool(number)
