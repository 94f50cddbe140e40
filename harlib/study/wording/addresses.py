"""Addresses within a study's pages."""

from urllib.parse import quote

# What the page of videos can be asked for: the same keys stand behind the # of its address.
KEYS = ("run", "true", "called", "right", "group", "sure", "find",
        "suspect", "agree", "sort", "video", "of", "split")  # fmt: skip


def videos(**wanted: str) -> str:
    """The page of videos, filtered: ``videos(true="a b", right="no")`` is of wrong "a b".

    run: whose calls `called`, `right` and `sure` are about; beside it these, `true` and `group` are
    of the videos that it scored. true, called: a category. right: "yes" or "no". sure: the call's
    probability in percent, as "90-100". group: a group's name. find: free text. suspect: "yes",
    suspected label errors alone. agree: "no", those on which the runs disagree. sort: a column,
    with a "-" before it downwards. video: the id of the one that is opened. of, split: its category
    and split, where others have the same id.

    Raises:
        TypeError: the page has no such filter.

    >>> videos(true="riding a bike", right="no")
    'videos.html#true=riding%20a%20bike&right=no'
    """
    if unknown := [key for key in wanted if key not in KEYS]:
        raise TypeError(f"the page of videos has no filter {unknown[0]}, only {', '.join(KEYS)}")
    asked = "&".join(f"{key}={quote(wanted[key], safe='')}" for key in KEYS if key in wanted)
    return f"videos.html#{asked}" if asked else "videos.html"
