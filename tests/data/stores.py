"""Preparing small stores, and comparing them."""

import hashlib

from harlib.data.store.prepare import prepare


def make(catalog, root, **options):
    return prepare(catalog, root, **{"size": 32, "workers": 1, "progress": False} | options)


def digests(root):
    """Every file's bytes, but the empty lock."""
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }
