"""Videos inside .tar, .tar.gz and .tgz files, read as streams: nothing is ever unpacked.

A member is addressed as "SHARD!/MEMBER". What is not a plain file below the shard's own root (a
link, a device, a name with "..") is listed with the others, and refused with a reason when read.
"""

import os
import re
import struct
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, Self

from harlib import HarlibError

SUFFIXES = (".tar", ".tar.gz", ".tgz")
_ADDRESS = re.compile(r"(.+\.(?:tar|tar\.gz|tgz))!/(.+)", re.IGNORECASE | re.DOTALL)
MAX_MEMBER = 1 << 31  # bytes of one video that are read into memory
MAX_RATIO = 100  # videos do not compress: a shard that grows more than so is a bomb
_BROKEN = (
    *(tarfile.TarError, zlib.error, struct.error, OSError, EOFError, ValueError, OverflowError),
    *(MemoryError, RecursionError, LookupError, AttributeError),  # tarfile on a hostile header
)


class ShardError(HarlibError):
    """A shard or a member that cannot be read; the message says why, without the address."""


def is_shard(name: str) -> bool:
    """Whether a file of this name is taken for a tar shard.

    >>> is_shard("train-001.tar.gz"), is_shard("notes.txt")
    (True, False)
    """
    return name.lower().endswith(SUFFIXES)


def is_plain(shard: str | os.PathLike) -> bool:
    """Whether it is a .tar, whatever its name says.

    Such a one is walked by seeking, where a .tar.gz is read from its beginning on. False where it
    cannot be opened.
    """
    if not os.path.isfile(shard):  # a pipe would be waited for
        return False
    try:
        with open(shard, "rb") as handle:
            return handle.read(2) != b"\x1f\x8b"
    except OSError:  # the reader says why
        return False


def split(path: str | os.PathLike) -> tuple[str, str] | None:
    """(shard, member) of a member's address; None for the path of a file."""
    found = _ADDRESS.fullmatch(os.fspath(path))
    return (found[1], found[2]) if found else None


def address(shard: str | os.PathLike, member: str) -> str:
    """The path of a member, as `split` takes it apart.

    >>> address("videos.tar", "jump/a.mp4")
    'videos.tar!/jump/a.mp4'
    """
    return f"{os.fspath(shard)}!/{member}"


def place(path: str) -> str:
    """Where a member would lie were its shard unpacked.

    That is the shard's folder and the member's own name, without steps upward. The path of a file
    is returned as it is.

    >>> place("data/videos.tar!/../jump/a.mp4"), place("data/b.mp4")
    ('data/jump/a.mp4', 'data/b.mp4')
    """
    inside = split(path)
    if inside is None:
        return path
    steps = [step for step in inside[1].split("/") if step not in ("", ".", "..")]
    return os.path.join(os.path.dirname(inside[0]), *steps)


def members(shard: str | os.PathLike) -> list[str]:
    """Names of all members but folders, in order, hostile ones too.

    Raises:
        ShardError: the shard breaks off.
    """
    return [_name(member) for member, _ in _walk(shard) if not member.isdir()]


def stream(shard: str | os.PathLike, wanted: set[str]) -> Iterator[tuple[str, bytes | ShardError]]:
    """(member, its content or why it has none) of the wanted members, in the shard's order.

    One pass from the beginning to the last wanted member; of a .tar only the headers and what is
    wanted are read. Where the shard breaks off or lacks a member, what is left of `wanted` comes
    last, each with the reason.
    """
    left = set(wanted)
    why = ShardError("the shard has no such member")
    try:
        for member, tar in _walk(shard):
            name = _name(member)
            if name in left:
                reason = _refusal(member)
                content = ShardError(reason) if reason else _content(member, tar)
                left.remove(name)
                yield name, content
            if not left:
                return
    except ShardError as error:
        why = error
    for name in sorted(left):
        yield name, why


def read(path: str | os.PathLike) -> bytes:
    """A member's content by its address; slow for many of one shard, see `stream`.

    Raises:
        ShardError: there is no such member, or it cannot be read.
    """
    inside = split(path)
    if inside is None:
        raise ShardError(f"{os.fspath(path)} is no address of a shard's member")
    shard, member = inside
    ((_, content),) = stream(shard, {member})
    if isinstance(content, ShardError):
        raise content
    return content


class _Member(tarfile.TarInfo):
    """A header; tarfile takes a damaged one for the end of the archive, here it is an error."""

    @classmethod
    def fromtarfile(cls, tar: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(tar)
        except tarfile.InvalidHeaderError as error:  # type: ignore[attr-defined]  # undocumented
            raise tarfile.ReadError(f"a damaged header: {error}") from error


def _walk(shard: str | os.PathLike) -> Iterator[tuple[tarfile.TarInfo, tarfile.TarFile]]:
    count = 0
    try:
        size = os.path.getsize(shard)
        if not os.path.isfile(shard):
            raise tarfile.ReadError("it is no regular file")
        mode: Literal["r:", "r|gz"] = "r:" if is_plain(shard) else "r|gz"
        with tarfile.open(shard, mode, bufsize=1 << 20, tarinfo=_Member) as tar:
            while (member := tar.next()) is not None:
                if member.offset_data + member.size > MAX_RATIO * size + (1 << 26):
                    raise tarfile.ReadError(f"{member.name!r} claims {member.size:,} bytes")
                yield member, tar
                count += 1
                tar.members.clear()  # type: ignore[attr-defined]  # tarfile keeps all it has seen
    except _BROKEN as error:
        raise ShardError(f"the shard breaks off after {count} members ({_said(error)})") from error


def _said(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _name(member: tarfile.TarInfo) -> str:
    return re.sub(r"^(?:\./+)+", "", member.name)  # `tar czf x.tar.gz .` begins every name so


def _refusal(member: tarfile.TarInfo) -> str:
    if member.issym() or member.islnk():
        return f"the shard's member is a link (to {member.linkname!r}); only plain files are read"
    if not member.isreg():
        return "the shard's member is no plain file"
    if member.name.startswith("/") or ".." in Path(member.name).parts:
        return f"the shard's member name {member.name!r} leads out of the shard"
    if not 0 <= member.size <= MAX_MEMBER:
        return f"the shard's member claims {member.size:,} bytes; at most {MAX_MEMBER:,} are read"
    return ""


def _content(member: tarfile.TarInfo, tar: tarfile.TarFile) -> bytes:
    try:
        file = tar.extractfile(member)
        assert file is not None  # a plain file, see _refusal
        content = file.read()
    except _BROKEN as error:
        raise ShardError(f"the shard breaks off inside this member ({_said(error)})") from error
    if len(content) != member.size:
        raise ShardError("the shard breaks off inside this member")
    return content
