"""Which videos there are: their category, split and group, as one table.

A *group* is what must not be on two sides of a split (a YouTube id, a UCF101 group, an actor).
"""

import csv
import hashlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from harlib.data import label_sets
from harlib.data.catalog import background as untrimmed
from harlib.data.catalog import names, own_videos, published_lists
from harlib.data.catalog.folder import CatalogError
from harlib.data.catalog.table import read as read_table
from harlib.data.video import images, tar_shards
from harlib.text import near

# Where pyarrow is installed pandas keeps text in it, which holds no name that is not UTF-8; files
# on Linux may have such names, and Python's own strings hold them.
pd.set_option("mode.string_storage", "python")

COLUMNS = ["video_id", "path", "category", "split", "group", "start_s", "end_s"]
SPLITS = ("train", "val", "test")


class Catalog:
    """A checked table of videos.

    `frame` has the columns `video_id, path, category, split, group, start_s, end_s`, a row a
    video, sorted by split, category and video_id. `path` is "" for a listed video whose file is
    missing, "SHARD.tar!/MEMBER" for one inside a tar file; `start_s` and `end_s` are seconds in
    the file, NaN for a whole file. `left_out` are sentences about what was not listed.

    Raises:
        CatalogError: a column is missing, a split is unknown, a video is listed twice in one
            category, or a group lies on two sides of a split.
    """

    def __init__(self, frame: pd.DataFrame, name: str, left_out: Iterable[str] = ()) -> None:
        missing = [column for column in COLUMNS if column not in frame]
        if missing:
            raise CatalogError(f"catalog {name}: columns {missing} are missing; it needs {COLUMNS}")
        if frame.empty:
            raise CatalogError(f"catalog {name} lists no videos")
        frame = frame[COLUMNS].copy()
        for column in ("video_id", "path", "category", "split", "group"):
            frame[column] = frame[column].astype(str)
        for column in ("start_s", "end_s"):
            frame[column] = frame[column].astype(np.float64)
        unknown = sorted(set(frame["split"]) - set(SPLITS))
        if unknown:
            raise CatalogError(f"catalog {name}: unknown splits {unknown}; known: {list(SPLITS)}")
        for column in ("video_id", "category"):
            if not frame[column].str.strip().all():
                row = int(np.flatnonzero(frame[column].str.strip() == "")[0])
                raise CatalogError(f"catalog {name}: row {row} has an empty {column}")
            if frame[column].str.contains(r"[\x00-\x1f\x7f\ud800-\udfff]", regex=True).any():
                raise CatalogError(f"catalog {name}: a {column} holds a control character")
        if frame["group"].str.contains(r"[\ud800-\udfff]", regex=True).any():
            raise CatalogError(f"catalog {name}: a group holds bytes that are no UTF-8")
        if frame["path"].str.contains("\0", regex=False).any():
            raise CatalogError(f"catalog {name}: a path holds a null character")
        frame["category"] = frame["category"].map(
            {one: _label_set(one, name) for one in frame["category"].unique()}
        )
        key = ["split", "category", "video_id"]
        twice = frame.loc[frame.duplicated(key), key]
        if len(twice):
            raise CatalogError(
                f"catalog {name}: {len(twice)} videos are listed twice, first "
                f"{' / '.join(twice.iloc[0])}"
            )
        sides = frame.drop_duplicates(["group", "split"])
        leaks = sides.loc[sides.duplicated("group"), "group"]
        if len(leaks):
            first = leaks.iloc[0]
            on = sorted(sides.loc[sides["group"] == first, "split"])
            raise CatalogError(
                f"catalog {name}: {len(leaks)} groups lie on two sides of a split, first "
                f"{first!r} in {' and '.join(on)}; a group must be in one split only"
            )
        self.frame = frame.sort_values(key, kind="stable", ignore_index=True)
        self.name = name
        self.left_out = tuple(left_out)

    @property
    def categories(self) -> list[str]:
        """The categories' names, sorted; a class index points into it."""
        return sorted(self.frame["category"].unique())

    @property
    def hash(self) -> str:
        """12 hex digits of the content: not of the folder that the videos lie in."""
        content = self.frame.assign(path=[os.path.basename(path) for path in self.frame["path"]])
        text = content.to_csv(index=False).encode("utf-8", "surrogateescape")
        return hashlib.sha256(text).hexdigest()[:12]

    @property
    def found(self) -> int:
        """How many of the listed videos have a file."""
        return int((self.frame["path"] != "").sum())

    @property
    def notes(self) -> list[str]:
        """Sentences that a user of the catalog should know.

        They say what was left out or not found, which categories look alike, and whether the groups
        are known.
        """
        said = list(self.left_out)
        if label_sets.several(self.categories):
            single = label_sets.classes(self.categories)
            said.append(
                f"Videos have several labels: {len(single):,} labels in {len(self.categories):,} "
                "combinations, as some labels hold |. Networks say of each label whether it is "
                "there; a | in a name is always read so."
            )
        lost = self.frame.loc[self.frame["path"] == "", "video_id"].tolist()
        if lost:
            said.append(
                f"Warning: {len(lost):,} of {len(self):,} listed videos have no file, first "
                f"{names.first(lost)}. Published lists find files by their names in any folder, a "
                "table by their paths from its own folder."
            )
        for name, category in names.alike(self.categories).items():
            if name != category and category in self.categories:
                said.append(
                    f"Warning: the categories {names.told_apart([category, name])} look alike."
                )
        if warning := own_videos.groups_warning(self.frame):
            said.append(warning)
        return said

    def __len__(self) -> int:
        return len(self.frame)

    def __repr__(self) -> str:
        counts = self.frame["split"].value_counts()
        splits = ", ".join(f"{split} {counts[split]:,}" for split in SPLITS if split in counts)
        return f"Catalog({self.name}: {len(self.categories)} categories, {splits}, {self.hash})"

    def select(
        self,
        categories: str | os.PathLike | Iterable[str] | None = None,
        splits: Iterable[str] | None = None,
    ) -> "Catalog":
        """The part with these categories (names, or a file with one per line) and these splits.

        Where videos have several labels, `categories` are labels, and a video is of the part when
        all of its labels are.
        """
        frame = self.frame
        if categories is not None:
            wanted = published_lists.read_categories(categories)
            known = label_sets.classes(self.categories)
            for category in wanted:
                if category not in known:
                    meant = near(category, known) or known[0]
                    raise CatalogError(
                        f"catalog {self.name} has no category {category!r}; nearest: {meant!r}"
                    )
            several = label_sets.several(self.categories)
            kept = {
                category
                for category in self.categories
                if set(label_sets.split(category) if several else [category]) <= set(wanted)
            }
            if several and not kept:
                names = ", ".join(wanted)
                raise CatalogError(f"catalog {self.name} has no videos of {names} and nothing else")
            frame = frame[frame["category"].isin(kept)]
        if splits is not None:
            splits = [splits] if isinstance(splits, str) else list(splits)
            empty = [split for split in splits if split not in set(frame["split"])]
            if empty:
                raise CatalogError(f"catalog {self.name} has no videos in split {empty[0]!r}")
            frame = frame[frame["split"].isin(splits)]
        return Catalog(frame, self.name, self.left_out)

    def to_csv(self, path: str | os.PathLike) -> None:
        """Write the table; paths below the CSV's folder are written relative to it."""
        base = Path(path).resolve().parent

        def relative(file: str) -> str:
            # not Path.resolve, which a link to itself ends
            inside = file and Path(os.path.realpath(file)).is_relative_to(base)
            return os.path.relpath(file, base) if inside else file

        table = self._with_files(relative)
        # a carriage return in a name would else end its line
        quoting = csv.QUOTE_ALL if table["path"].str.contains("\r").any() else csv.QUOTE_MINIMAL
        table.to_csv(path, index=False, errors="surrogateescape", quoting=quoting)

    def _with_files(self, change: Callable[[str], str]) -> pd.DataFrame:
        """The table with every file's path changed; a shard's members keep their names."""
        table = self.frame.copy()
        changed = {}  # a few hundred shards hold all videos of a large data set

        def new(path: str) -> str:
            file, member = tar_shards.split(path) or (path, None)
            if file not in changed:
                changed[file] = change(file)
            return changed[file] if member is None else tar_shards.address(changed[file], member)

        table["path"] = [new(path) for path in table["path"]]
        return table

    @classmethod
    def from_csv(cls, path: str | os.PathLike) -> "Catalog":
        """Read what `to_csv` wrote, or any CSV with its columns."""
        path = Path(path)
        frame = published_lists.read_csv(path)
        if missing := [column for column in COLUMNS if column not in frame]:
            raise CatalogError(
                f"{path} is no catalog, it has no {names.first(missing, len(COLUMNS))}: har "
                f"catalog --table {path} CSV writes one"
            )
        for column in ("start_s", "end_s"):
            if column in frame:
                try:
                    frame[column] = pd.to_numeric(frame[column].replace("", np.nan))
                except ValueError as error:
                    raise CatalogError(f"{path}: {column} holds no number ({error})") from None
        catalog = cls(frame, path.stem)
        base = path.resolve().parent
        catalog.frame = catalog._with_files(lambda file: str(base / file) if file else "")
        return catalog

    @classmethod
    def from_folder(
        cls,
        root: str | os.PathLike,
        *,
        val: float = 0.2,
        seed: int = 0,
        group: str | None = None,
        frame_fps: float | None = None,
    ) -> "Catalog":
        """Videos at `[split/]category/*` or `[split/]category/folder/*`; without any, stills.

        A folder of numbered images below a category is a video, frame by frame, where there are no
        video files. `frame_fps` is its frames per second; None: as a file `fps.txt` in it says, or
        25. `left_out` says which.

        Without split folders, about `val` of each category's groups are held out, by their names
        and `seed` alone (see `harlib.data.catalog.held_out`). `group` is a regular expression
        whose first group in a file's stem names the video's group; by default groups are looked
        for in the names and folders (see `harlib.data.catalog.groups`), and `left_out` says which
        were found. Folders whose names look alike are one category.
        """
        frame, left_out = own_videos.folder(Path(root), val, seed, group, frame_fps)
        return cls(frame, names.printable(Path(root).resolve().name), left_out)

    @classmethod
    def from_table(
        cls,
        path: str | os.PathLike,
        *,
        val: float = 0.2,
        seed: int = 0,
        group: str | None = None,
        frame_fps: float | None = None,
        background: float = 0.0,
    ) -> "Catalog":
        """Videos that a CSV or Parquet file lists as `path,label[,split,group,start,end,fps]`.

        A path may be that of a folder of numbered frames, at the rate `fps`, else `frame_fps`, else
        as in `from_folder`.

        Paths are relative to the table's folder, `start` and `end` are seconds in the file. Columns
        may also be called `video`, `file`, `filename`; `category`, `class`, `action`; `actor`,
        `subject`, `person`; `start_s`, `end_s`. What is missing is filled in, and `left_out` says
        so: ids from the paths, groups and splits as in `from_folder`. Parts of a file are a group.
        A listed video whose file is missing stays in the catalog. Parquet needs pyarrow.

        `background` above 0 makes the category `background` of the time that no row labels: at
        most so many times as many pieces as the largest category has (see
        `harlib.data.catalog.background`).

        Raises:
            CatalogError: a row is wrong, by its number (that of a CSV's first row is 2).
        """
        frame, left_out = read_table(Path(path), val, seed, group, frame_fps)
        left_out += untrimmed.overlapping(frame)
        if background:
            frame, said = untrimmed.add(frame, background, seed)
        else:
            said = untrimmed.offered(frame)
        left_out += said
        return cls(frame, names.printable(Path(path).stem), left_out)

    @classmethod
    def from_unlabelled(
        cls, root: str | os.PathLike, *, frame_fps: float | None = None
    ) -> "Catalog":
        """Every video at or below `root`, whatever its folders: split "test", category "videos".

        Ids are paths from `root`, with "/"; each video is its own group. Folders of numbered images
        are videos as in `from_folder`, `root` itself too.
        """
        root = Path(root)
        frame, left_out = own_videos.unlabelled(root, frame_fps)
        return cls(frame, names.printable(root.resolve().name), left_out)

    @classmethod
    def from_kinetics_csv(
        cls,
        csv: str | os.PathLike | Iterable[str | os.PathLike],
        videos: str | os.PathLike,
        categories: str | os.PathLike | Iterable[str] | None = None,
        *,
        frame_fps: float | None = None,
    ) -> "Catalog":
        """Kinetics' lists (400, 600, 700; a path or several; any column order).

        Files below `videos` are `ID_SSSSSS_EEEEEE.*` (trimmed) or `ID.*` (whole: `start_s` and
        `end_s` come from the list), in any folders, or folders of frames so called, as in
        `from_folder`. The group is the YouTube id.
        """
        paths = [Path(csv)] if isinstance(csv, str | os.PathLike) else [Path(p) for p in csv]
        frame, left_out = published_lists.kinetics(paths, Path(videos), frame_fps)
        catalog = cls(frame, "+".join(path.stem for path in paths), left_out)
        return catalog if categories is None else catalog.select(categories)

    @classmethod
    def from_ucf101(
        cls,
        videos: str | os.PathLike,
        lists: str | os.PathLike,
        split: int = 1,
        *,
        frame_fps: float | None = None,
    ) -> "Catalog":
        """UCF101's official lists `trainlist0N.txt` and `testlist0N.txt`, with `classInd.txt`.

        A listed video whose file is missing stays in the catalog. Folders of frames are videos as
        in `from_folder`. The group is the category's gNN, as in "Punch_g08".
        """
        frame, left_out = published_lists.ucf101(Path(videos), Path(lists), split, frame_fps)
        return cls(frame, f"ucf101-split{split}", left_out)

    @classmethod
    def from_hmdb51(
        cls,
        videos: str | os.PathLike,
        lists: str | os.PathLike,
        split: int = 1,
        *,
        frame_fps: float | None = None,
    ) -> "Catalog":
        """HMDB51's official lists `<action>_test_split<N>.txt`; clips marked 0 are left out.

        A category's underscores become blanks. Folders of frames are videos as in `from_folder`.
        The group is the action and the source that a clip's name begins with.
        """
        frame, left_out = published_lists.hmdb51(Path(videos), Path(lists), split, frame_fps)
        return cls(frame, f"hmdb51-split{split}", left_out)

    @classmethod
    def from_stanford40(cls, root: str | os.PathLike) -> "Catalog":
        """Stanford-40's stills: `JPEGImages/` and the lists in `ImageSplits/`.

        A category's underscores become blanks, as Kinetics writes its names.
        """
        frame, left_out = published_lists.stanford40(Path(root))
        return cls(frame, Path(root).resolve().name, left_out)

    @classmethod
    def from_stills(cls, root: str | os.PathLike) -> "Catalog":
        """Labelled pictures, in Stanford-40's layout or in a folder per category.

        Raises:
            CatalogError: there are none, or videos.
        """
        if (Path(root) / "ImageSplits").is_dir():
            return cls.from_stanford40(root)
        listed = cls.from_folder(root)
        stills = images.STILL_SUFFIXES
        videos = [path for path in listed.frame["path"] if Path(path).suffix.lower() not in stills]
        if videos:
            raise CatalogError(
                f"{root} holds videos, first {names.printable(videos[0])}: stills are pictures, in "
                "a folder per category or in Stanford-40's layout"
            )
        return listed


def _label_set(category: str, name: str) -> str:
    """A category as it is stored: of several labels each once, sorted.

    Raises:
        CatalogError: a label between "|" is empty.
    """
    labels = label_sets.split(category)
    if len(labels) == 1:
        return category
    if not all(labels):
        raise CatalogError(
            f"catalog {name}: the label {category!r} has nothing on one side of a |, which stands "
            "between the labels of a video: write it as walking|waving"
        )
    return label_sets.joined(labels)
