"""How to cite what a study is made of, as BibTeX: from CITATION.cff, which comes with harlib."""

import csv
import functools
import re
import unicodedata
from collections.abc import Mapping
from importlib import resources
from typing import Any

from harlib import shipped

_DATA = {
    "kinetics": "The Kinetics Human Action Video Dataset",
    "kinetics600": "A Short Note about Kinetics-600",
    "ucf101": "UCF101: A Dataset of 101 Human Actions Classes From Videos in The Wild",
}
_METHODS = {
    "grouped convolutions": "Aggregated Residual Transformations for Deep Neural Networks",
    "residual frames": (
        "Rethinking Motion Representation: Residual Frames with 3D ConvNets for Better Action "
        "Recognition"
    ),
}


def harlib() -> str:
    """The entry of harlib itself."""
    about = _read()
    fields = {
        "title": f"{{{about['title']}}}",
        "author": _maintainers(about),
        "version": about["version"],
    }
    if released := about.get("date-released"):
        fields["year"] = str(released)[:4]
    if url := about.get("repository-code") or about.get("url"):
        fields["url"] = url
    return _entry("software", "harlib", fields | {"note": about["license"]})


def paper(printed: str) -> str:
    """The entry of a paper as the lists of networks print it; empty of one that is not known.

    >>> paper("Hara et al., CVPR 2018 (its blocks)").partition(",")[0]
    '@inproceedings{hara2018can'
    """
    found = re.match(r"(.+?)(?: et al\.| and .+?)?, (\w+) (\d{4})", printed)
    if not found:
        return ""
    author, venue, year = found.groups()
    for one in _read()["references"]:
        named = one["authors"][0]["family-names"], one.get("conference", {}).get("name")
        if (*named, one["year"]) == (author, venue, int(year)):
            return _of_reference(one)
    return ""


def network(name: str) -> str:
    """The entry of a network by its name in a run, as "c3d_bn"; empty where none is known.

    Of frame_cnn on another backbone than its paper's, as "frame_cnn (small)", none is.
    """
    name, _, backbone = name.partition(" (")
    if backbone.rstrip(")") not in ("", "inception_resnet_v2"):
        return ""
    papers = resources.files("harlib").joinpath("models", "weights", "published.csv")
    with papers.open(encoding="utf-8") as file:  # its module would load Keras
        rows = {row["name"]: row["paper"] for row in csv.DictReader(file)}
    return paper(rows.get(name, ""))


def data(source: str) -> str:
    """The entry of a data set: "kinetics", "kinetics600", "ucf101" or "demo"; else empty."""
    if source == "demo":
        about = _read()
        return _entry("misc", "harlibdemo", {
            "title": "{Drawn videos of people who act}", "author": _maintainers(about),
            "howpublished": f"drawn by harlib {about['version']} (har demo-data)",
            "note": about["license"],
        })  # fmt: skip
    return _titled(_DATA.get(source, ""))


def method(name: str) -> str:
    """The entry of what a network is built on: "grouped convolutions" or "residual frames"."""
    return _titled(_METHODS[name])


def _titled(title: str) -> str:
    return next((_of_reference(one) for one in _read()["references"] if one["title"] == title), "")


def licence() -> str:
    """The licence of harlib's code."""
    return str(_read()["license"])


def _maintainers(about: Mapping[str, Any]) -> str:
    return " and ".join(f"{{{author['name']}}}" for author in about["authors"])


def _of_reference(one: Mapping[str, Any]) -> str:
    names = " and ".join(f"{a['family-names']}, {a['given-names']}" for a in one["authors"])
    arxiv = re.search(r"arxiv\.org/abs/([\d.]+)", one.get("url", ""))
    fields = {"title": f"{{{one['title']}}}", "author": names}
    kind = "article"
    if venue := one.get("conference", {}).get("name"):
        kind, fields["booktitle"] = "inproceedings", venue
    elif "journal" in one:
        fields["journal"] = one["journal"]
    elif arxiv:
        fields["journal"] = f"arXiv preprint arXiv:{arxiv[1]}"
    fields["year"] = one["year"]
    if one.get("url"):
        fields["url"] = one["url"]
    first = re.split(r"[^A-Za-z0-9]", one["title"])[0].lower()
    author = unicodedata.normalize("NFKD", one["authors"][0]["family-names"])
    author = re.sub(r"[^a-z]", "", author.lower())
    return _entry(kind, f"{author}{one['year']}{first}", fields)


def _entry(kind: str, key: str, fields: Mapping[str, Any]) -> str:
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items()]
    return "\n".join([f"@{kind}{{{key},", *lines, "}"])


@functools.cache
def _read() -> dict[str, Any]:
    import yaml

    text = (shipped.FOLDER / "CITATION.cff").read_text(encoding="utf-8")
    about: dict[str, Any] = yaml.safe_load(text)
    return about
