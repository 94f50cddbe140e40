"""Numbers, sizes, durations and near words, as people read them."""

import difflib
import math
from collections.abc import Iterable
from typing import Any

_UNITS = {"KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}
# A cell that a spreadsheet would run; an apostrophe before it keeps it a text (OWASP).
FORMULA = r"^('*[=+\-@\t\r])"


def percent(value: float | None, digits: int = 1) -> str:
    """A fraction as percent; a dash for None and NaN.

    >>> percent(0.4251), percent(0.5, 0), percent(None)
    ('42.5 %', '50 %', '–')
    """
    if value is None or math.isnan(value):
        return "–"
    return f"{100 * value:.{digits}f} %"


def count(number: int, noun: str, plural: str = "") -> str:
    """A number of things, with English's regular plural where no other is given.

    >>> count(1, "clip"), count(1200, "clip"), count(2, "category", "categories")
    ('1 clip', '1,200 clips', '2 categories')
    """
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def size(value: float) -> str:
    """Bytes, in powers of ten.

    >>> size(12), size(1_234_567), size(4e12)
    ('12 bytes', '1.2 MB', '4.0 TB')
    """
    for unit in ("bytes", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def parse_size(text: str) -> int:
    """Bytes of "8GB", "500 MB" or a plain number.

    Raises:
        ValueError: for anything else.

    >>> parse_size("200MB"), parse_size("1.5 kB")
    (200000000, 1500)
    """
    number, unit = text.strip().upper(), 1.0
    for name, factor in _UNITS.items():
        if number.endswith(name):
            number, unit = number.removesuffix(name).strip(), factor
    try:
        found = int(float(number) * unit)
    except (ValueError, OverflowError):
        found = 0
    if found <= 0:
        raise ValueError(f"{text!r} is no size; write it as 8GB or 500MB")
    return found


def quantity(value: float, unit: str = "") -> str:
    """A number with three digits and a prefix.

    >>> quantity(48_340_816), quantity(0.25, "s")
    ('48.3 M', '0.25 s')
    """
    for limit, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / limit:.3g} {prefix}{unit}"
    return f"{value:.3g} {unit}".rstrip()


def duration(seconds: float) -> str:
    """Seconds in the unit that suits them.

    >>> duration(45), duration(720), duration(12_240)
    ('45 s', '12 min', '3.4 h')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def stopwatch(seconds: float) -> str:
    """A duration as a stopwatch shows it.

    >>> stopwatch(45), stopwatch(750), stopwatch(11_100)
    ('0:45 min', '12:30 min', '3 h 05 min')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes}:{rest:02d} min"


def near(word: str, known: Iterable[str], *, cutoff: float = 0.5) -> str | None:
    """The known word that `word` was perhaps meant to be; None where none is like it.

    cutoff: the least likeness, 0..1, by difflib's ratio.

    >>> near("jmup", ["jump", "run"]), near("swim", ["jump", "run"])
    ('jump', None)
    """
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=cutoff)
    return found[0] if found else None


def quoted(value: Any) -> str:
    """A value as Python writes it, on one line, cut where it is long.

    >>> quoted("a"), len(quoted("a" * 200))
    ("'a'", 100)
    """
    found = repr(value)
    return found if len(found) <= 100 else f"{found[:97]}..."
