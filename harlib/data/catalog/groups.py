"""Which videos belong together: looked for in their names and folders, never assumed.

A group is taken from names only where it tells the videos of most categories apart. What merely
counts them (`walk_001`, `clip_0001`, `IMG_0001`) says nothing, and their groups stay unknown.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from harlib import text
from harlib.data.catalog import names
from harlib.data.catalog.folder import CatalogError
from harlib.data.catalog.published_lists import KINETICS_NAME, SPLIT_NAMES, UCF101_NAME

# a group as large as this takes a category with it to its side of the split
_MOST = 0.75
_PERSONS = frozenset(
    ("person", "subject", "subj", "sub", "actor", "participant", "performer", "player")
    + ("user", "speaker", "patient", "student", "athlete", "volunteer", "adult", "child", "kid")
    + ("man", "woman", "boy", "girl", "male", "female", "p", "s")
)
# things that cameras and people number, without saying what is in them
_COUNTED = frozenset(
    ("clip", "video", "vid", "img", "image", "dsc", "dscf", "dscn", "mov", "movie", "mvi")
    + ("gopr", "dji", "pxl", "file", "frame", "take", "cut", "part", "pt", "seg", "segment")
    + ("chunk", "scene", "shot", "sequence", "seq", "sample", "trial", "rec", "recording")
    + ("whatsapp", "copy", "at")
)
# the same moment seen twice: as groups they would put it on both sides of the split
_VIEWS = frozenset(
    ("cam", "camera", "view", "angle", "left", "right", "front", "back", "side", "top")
    + ("bottom", "rgb", "depth", "flow", "mirrored", "flipped", "hd", "sd", "lowres")
)

_BETWEEN = r"[\s_.\-]"
_DATE = r"(?<!\d)(?:19|20)\d\d[-_.]?(?:0[1-9]|1[0-2])[-_.]?(?:0[1-9]|[12]\d|3[01])"
_BESIDE = re.compile(rf"{_BETWEEN}{{2,}}")  # what is left around a word that was taken out
_TIME = r"\d\d[.\-_:h]?\d\d[.\-_:m]?\d\d[.s]?\d*"
_WORD = re.compile(rf"{_DATE}(?!\d)|[^\s_.\-]+")
_DATE_FIRST = re.compile(rf"^{_DATE}(?!\d){_BETWEEN}*")
_ENDS_IN_DATE = re.compile(rf"{_DATE}\Z")
# what is taken from a stem's end, one at a time, up to where the first (…) ends
_LAST = [
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"(){_BETWEEN}*\(\d+\)\Z",
        rf"(){_BETWEEN}+(?:{'|'.join(sorted(_COUNTED | _VIEWS))}){_BETWEEN}*\d*\Z",
        rf"({_DATE})(?:{_BETWEEN}|T|at)*{_TIME}\Z",
        rf"(){_BETWEEN}*{_DATE}\Z",
        rf"()(?:^|{_BETWEEN}+)\d+\Z",
    )
]


class Video(NamedTuple):
    """What a video's place says: its name, the folder between it and its category, its side.

    `folder` is "" where there is none, `split` where it is still to be chosen.
    """

    stem: str
    folder: str
    category: str
    split: str = ""


def find(videos: list[Video], pattern: str | None = None) -> tuple[list[str], list[str]]:
    """(each video's group, "" where it is unknown; sentences about what was taken).

    Args:
        videos: all that are to be split.
        pattern: a regular expression whose first group in a stem is the video's group. Without it:
            a Kinetics or UCF101 name's; else folders inside the categories; else a first word that
            several categories share; else names without running numbers, dates and parts.

    Raises:
        CatalogError: the pattern is none, or finds nothing in a stem.
    """
    if pattern is not None:
        asked = _asked([video.stem for video in videos], pattern)
        return asked, [_sentence(asked, f"the pattern {pattern!r}")]
    groups = [_published(video.stem) for video in videos]
    said = []
    if any(groups):
        said.append(_sentence(groups, "names as Kinetics or UCF101 give them"))
    left = [number for number, group in enumerate(groups) if not group]
    others = [videos[number] for number in left]
    where, looked_for = _looked_for(others)
    if both := _on_both_sides(others, looked_for):
        said.append(
            f"Warning: by {where} {text.count(len(both), 'group')} would lie on both sides of the "
            f"split that is given, first {names.first(both)}. They are not taken as groups."
        )
    elif where:
        for number, group in zip(left, looked_for, strict=True):
            groups[number] = group
        hint = " --group REGEX, or group in the parameters, sets others."
        said.append(_sentence(looked_for, where) + hint)
    return groups, said


def _sentence(groups: Iterable[str], where: str) -> str:
    known = sorted(set(groups) - {""})
    return (
        f"Groups: {len(known):,} from {where} ({names.first(known)}): their videos stay on one "
        "side of the split."
    )


def _asked(stems: list[str], pattern: str) -> list[str]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise CatalogError(f"group is {pattern!r}, no regular expression: {error}") from error
    if not compiled.groups:
        raise CatalogError(f"group is {pattern!r}: a part of it must be in (…), to be the group")
    groups = []
    for stem in stems:
        found = compiled.search(stem)
        if not found or not found[1]:
            raise CatalogError(f"the group pattern {pattern!r} finds no group in {stem!r}")
        groups.append(names.printable(found[1]))
    return groups


def _published(stem: str) -> str:
    known = KINETICS_NAME.fullmatch(stem) or UCF101_NAME.fullmatch(stem)
    return names.printable(known[1]) if known else ""


def _on_both_sides(videos: list[Video], groups: list[str]) -> list[str]:
    sides = defaultdict(set)
    for video, group in zip(videos, groups, strict=True):
        sides[group].add(video.split)
    return sorted(group for group, splits in sides.items() if group and len(splits) > 1)


def _looked_for(videos: list[Video]) -> tuple[str, list[str]]:
    """(where the groups are from, "" for nowhere; the groups)."""
    for where, groups, is_proved in _candidates(videos):
        if is_proved(videos, groups) and _are_apart(videos, groups):
            spelled = names.alike(group for group in groups if group)
            groups = [spelled.get(group, "") for group in groups]
            return where, _without_lone(videos, groups)
    return "", [""] * len(videos)


def _candidates(
    videos: list[Video],
) -> Iterator[tuple[str, list[str], Callable[[list[Video], list[str]], bool]]]:
    """(where from, groups, the test that they must stand), what groups most before the rest."""
    folders = [_of_folder(video) for video in videos]
    yield "the folders inside the categories", folders, _together_or_shared
    category = _beginning({video.category for video in videos})
    rests = _without_codes(videos, [category.sub("", video.stem, count=1) for video in videos])
    undated = [_DATE_FIRST.sub("", rest) or rest for rest in rests]
    if undated != rests:  # else the days would be taken for the persons
        yield "the words behind the dates", [_letters(rest) for rest in undated], _shared
        leads = [_lead(rest, 1) for rest in undated]
        yield "the words behind the dates", _without_counters(videos, leads, undated), _shared
    yield "the first word of the names", [_letters(rest) for rest in rests], _shared
    for words, where in ((1, "first word"), (2, "first two words")):
        leads = [_lead(rest, words) for rest in rests]
        yield f"the {where} of the names", _without_counters(videos, leads, rests), _shared
    inside = _inside({video.category for video in videos})
    steps = [_shorter(video.stem) for video in videos]
    for kept in (_letters_alone, _without_any, _up_to_date, _without_last):
        groups = _without_numbers(steps, kept, category)
        groups = [
            _BESIDE.sub("_", inside.sub("", group)).strip("_-. ") or group for group in groups
        ]
        yield "the names without their running numbers", groups, _together


# What is a group's name


def _of_folder(video: Video) -> str:
    plain = video.folder.strip().lower()
    is_none = plain in SPLIT_NAMES or _key(plain) == _key(video.category) or _is_view(plain)
    return "" if is_none else video.folder.strip()


def _inside(categories: Iterable[str]) -> re.Pattern:
    """A category's name as words of their own, anywhere in a stem."""
    return re.compile(rf"(?:(?<=[\W_])|^){_written(categories)}(?=[\W_]|$)", re.IGNORECASE)


def _beginning(categories: Iterable[str]) -> re.Pattern:
    """A category's name at the beginning of a stem, with the marks behind it."""
    return re.compile(rf"^{_written(categories)}(?![^\W\d_])[\W_]*", re.IGNORECASE)


def _written(categories: Iterable[str]) -> str:
    parts = [re.findall(r"[^\W_]+", category) for category in categories]
    written = sorted((r"[\W_]*".join(map(re.escape, part)) for part in parts if part), reverse=True)
    return rf"(?:{'|'.join(written) or '(?!)'})"


def _without_codes(videos: list[Video], rests: list[str]) -> list[str]:
    """Without a first word that all of one category have and no other has: it names the action."""
    firsts = defaultdict(set)
    for video, rest in zip(videos, rests, strict=True):
        firsts[video.category].add(_lead(rest, 1))
    categories = Counter(word for words in firsts.values() for word in words)
    codes = {
        category: len(next(iter(words)))
        for category, words in firsts.items()
        if len(words) == 1 and categories[next(iter(words))] == 1
    }
    return [
        re.sub(rf"^{_BETWEEN}+", "", rest[codes.get(video.category, 0) :])
        for video, rest in zip(videos, rests, strict=True)
    ]


def _key(name: str) -> str:
    return "".join(re.findall(r"[^\W_]+", name.casefold()))


def _words(name: str) -> set[str]:
    return set(re.findall(r"[^\W\d_]+", name.casefold()))


def _only_counts(name: str) -> bool:
    """Whether a word is said of any recording: "clip", "left", or a camera's code as "MAH"."""
    if not _has_number(name) and name.isupper() and len(name) <= 5:
        return True
    return _words(name) <= _COUNTED | _VIEWS


def _has_number(name: str) -> bool:
    return bool(re.search(r"\d", name))


def _is_view(name: str) -> bool:
    return bool(_words(name)) and _words(name) <= _VIEWS


def _letters(rest: str) -> str:
    """The first word without a number behind it, where it may be a name.

    That of "adult01" is none: the number tells such persons apart.
    """
    numbered = _lead(rest, 1)
    word = numbered.rstrip("0123456789")
    if word != numbered and _words(word) & _PERSONS:
        return ""
    least = 3 if word == rest else 2
    is_name = len(word) >= least and not _has_number(word) and not _only_counts(word)
    return word if is_name else ""


def _lead(rest: str, count: int) -> str:
    found = list(_WORD.finditer(rest))
    return rest[found[0].start() : found[count - 1].end()] if len(found) >= count else ""


def _without_counters(videos: list[Video], leads: list[str], rests: list[str]) -> list[str]:
    """The first words that may name a person, or what several videos of a category share.

    A number that comes once per category may be a counter's that begins anew in each.
    """
    numbered = [lead if _has_number(lead) else "" for lead in leads]
    counts = Counter((v.category, lead) for v, lead in zip(videos, numbered, strict=True) if lead)
    repeated = sum(count for count in counts.values() if count > 1)
    comes_again = 2 * repeated >= sum(counts.values())

    def is_name(lead: str, rest: str) -> bool:
        words = _words(lead)
        if words and _only_counts(lead):
            return False
        if not _has_number(lead):
            return len(lead) >= (3 if lead == rest else 2)
        return bool(words & _PERSONS) or (comes_again and lead != rest)

    return [
        lead if lead and is_name(lead, rest) else ""
        for lead, rest in zip(leads, rests, strict=True)
    ]


def _shorter(stem: str) -> list[str]:
    """The stem, and without one more running number, part, time or date at its end each time.

    Only of what stands apart: the number of "match3" is its own.
    """
    steps = [stem]
    while found := next(filter(None, (last.search(steps[-1]) for last in _LAST)), None):
        steps.append(steps[-1][: found.end(1)])
    return steps


def _letters_alone(steps: list[str]) -> str:
    left = steps[-1]
    while (shorter := re.sub(r"\d+\Z", "", left)) != left:
        left = _shorter(shorter)[-1]
    return left


def _without_any(steps: list[str]) -> str:
    return steps[-1]


def _up_to_date(steps: list[str]) -> str:
    return next((step for step in steps if _ENDS_IN_DATE.search(step)), steps[-1])


def _without_last(steps: list[str]) -> str:
    return steps[:2][-1]


def _without_numbers(
    steps: list[list[str]], kept: Callable[[list[str]], str], category: re.Pattern
) -> list[str]:
    """What is kept of each stem, where it is a name and not all of the stem."""
    stems, left = [own[0] for own in steps], list(map(kept, steps))
    series = {_key(name) for name, stem in zip(left, stems, strict=True) if name != stem}

    def is_name(name: str) -> bool:
        words = _words(name)
        if not name or not category.sub("", name, count=1) or (words and words <= _VIEWS):
            return False
        return _has_number(name) or not _only_counts(name)

    # "match3" beside "match3 (2)" is its first; "match4" alone is what it is
    found = [
        stem if _key(stem) in series else name if name != stem else ""
        for name, stem in zip(left, stems, strict=True)
    ]
    return [name if is_name(name) else "" for name in found]


# Whether they are groups


def _are_apart(videos: list[Video], groups: list[str]) -> bool:
    """Whether most categories have two groups or more, none of which is nearly all of it."""
    own = defaultdict(list)
    for video, group in zip(videos, groups, strict=True):
        own[video.category].append(group)
    several = [found for found in own.values() if len(found) > 1]
    apart = [
        found
        for found in several
        if max(Counter(filter(None, found)).values(), default=1) <= _MOST * len(found)
    ]
    return 2 * len(apart) >= len(several) > 0


def _together(videos: list[Video], groups: list[str]) -> bool:
    """Whether half of the videos have another one of their category in their group."""
    counts = Counter((v.category, group) for v, group in zip(videos, groups, strict=True) if group)
    return 2 * sum(count for count in counts.values() if count > 1) >= max(1, len(videos))


def _shared(videos: list[Video], groups: list[str]) -> bool:
    """Whether half of the videos are of a group that several categories have."""
    categories = defaultdict(set)
    for video, group in zip(videos, groups, strict=True):
        categories[group].add(video.category)
    count = sum(bool(group) and len(categories[group]) > 1 for group in groups)
    return 2 * count >= max(1, len(videos))


def _together_or_shared(videos: list[Video], groups: list[str]) -> bool:
    """A folder with one video may be its wrapper, unless others of its name are elsewhere."""
    named = [group if not _has_number(group) else "" for group in groups]
    return _together(videos, groups) or _shared(videos, named)


def _without_lone(videos: list[Video], groups: list[str]) -> list[str]:
    """The groups without those that are all of one category and nowhere else."""
    of_category, of_group = defaultdict(set), defaultdict(set)
    for video, group in zip(videos, groups, strict=True):
        of_category[video.category].add(group)
        of_group[group].add(video.category)
    return [
        "" if len(of_category[video.category]) == len(of_group[group]) == 1 else group
        for video, group in zip(videos, groups, strict=True)
    ]
