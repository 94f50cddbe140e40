import json
import os
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner
from stores import digests, make

from harlib.cli import main
from harlib.data.store import pack
from harlib.data.store.category_file import StoreError
from harlib.data.store.prepare import PrepareError, verify
from harlib.data.store.repair import repair

quick = pytest.mark.quick


@quick
def test_verify_finds_any_flipped_byte(tiny_store, tmp_path):
    shutil.copytree(tiny_store.root, tmp_path / "store")
    path = tmp_path / "store" / "train" / "run.h5"
    place = json.loads((tmp_path / "store/store.json").read_text())["files"][0]
    good = path.read_bytes()
    begin, size = place["payload"]
    with h5py.File(path) as file:
        offsets, frames = file["offsets"][()], file["videos/frames"][()]
    bounds = offsets[np.cumsum([0, *frames])]
    rng = np.random.default_rng(0)
    outside = [p for p in rng.integers(0, len(good), 40) if not begin <= p < begin + size]
    inside = [int(begin + p) for p in rng.integers(0, size, 20)]
    table_of_offsets = place["offsets"][0] + 8 * 30 + 1
    for spot in [0, len(good) - 1, table_of_offsets, *outside, *inside]:
        data = bytearray(good)
        data[spot] ^= 1 << int(rng.integers(8))
        path.write_bytes(data)
        problems = verify(tmp_path / "store")
        assert len(problems), f"the flipped byte {spot} was not found"
        if spot in inside:
            video = np.searchsorted(bounds, spot - begin, side="right") - 1
            assert problems["video_id"].tolist() == [f"run_{video:02d}"]
        elif spot == table_of_offsets:
            assert problems["video_id"].tolist()[0] == "run_01"
    path.write_bytes(good)
    assert verify(tmp_path / "store").empty
    path.write_bytes(good[:-10])
    assert set(verify(tmp_path / "store")["video_id"]) == {"run_00", "run_01", "run_02"}
    path.write_bytes(good)
    for name in ("audit.csv", "index.csv", "store.json"):
        data = bytearray((tmp_path / "store" / name).read_bytes())
        data[len(data) // 2] ^= 1
        (tmp_path / "store" / name).write_bytes(data)
        try:
            assert verify(tmp_path / "store")["problem"].tolist() == [f"{name} is damaged"]
        except StoreError as error:
            assert name in str(error)
        data[len(data) // 2] ^= 1
        (tmp_path / "store" / name).write_bytes(data)


@quick
def test_repair_decodes_the_damaged_videos_alone(tiny_catalog, tiny_store, tmp_path, monkeypatch):
    shutil.copytree(tiny_store.root, tmp_path / "store")
    options = {"size": 32, "workers": 1, "progress": False}
    wanted = digests(tmp_path / "store")
    decoded = []

    class Recorded(pack.VideoReader):
        def __init__(self, path, **options):
            decoded.append(os.path.basename(path))
            super().__init__(path, **options)

    monkeypatch.setattr(pack, "VideoReader", Recorded)
    files = json.loads((tmp_path / "store/store.json").read_text())["files"]
    run, sit = (tmp_path / "store" / file["path"] for file in files[:2])
    begin, size = files[0]["payload"]
    good = {path: path.read_bytes() for path in (tmp_path / "store").rglob("*.*") if path.is_file()}

    def flip(path, *places):
        data = bytearray(good[path])
        for place in places:
            data[place] ^= 4
        path.write_bytes(data)

    everything = [f"run_{n:02d}" for n in range(3)]
    damages = [
        (lambda: None, []),
        (lambda: flip(run, begin + 5, begin + size - 3), ["run_00", "run_02"]),
        (lambda: flip(run, 3), everything),  # HDF5's own bytes
        (lambda: run.write_bytes(good[run][:-9]), everything),
        (lambda: run.unlink(), everything),
        (lambda: (flip(run, begin), flip(sit, files[1]["payload"][0])), ["run_00", "sit_down_00"]),
        *((lambda name=name: flip(tmp_path / "store" / name, 40), [])
          for name in ("audit.csv", "index.csv", "store.json")),
    ]  # fmt: skip
    for damage, videos in damages:
        damage()
        decoded.clear()
        audit = repair(tiny_catalog, tmp_path / "store", **options)
        assert [os.path.splitext(name)[0] for name in decoded] == videos
        assert digests(tmp_path / "store") == wanted and len(audit.videos) == 8
    with pytest.raises(PrepareError, match="other videos or settings"):
        repair(tiny_catalog, tmp_path / "store", **options | {"size": 24})


@quick
def test_the_commands_repair_what_verify_finds(tiny_catalog, tiny_store, tmp_path):
    tiny_catalog.to_csv(tmp_path / "squares.csv")
    shutil.copytree(tiny_store.root, tmp_path / "store")
    make(tiny_catalog, tmp_path / "store")

    def har(*arguments):
        done = CliRunner().invoke(main, [str(argument) for argument in arguments])
        return done.exit_code, done.output

    code, said = har("verify", tmp_path / "store")
    assert code == 0 and "every stored byte" in said
    place = json.loads((tmp_path / "store/store.json").read_text())["files"][0]["payload"][0]
    with open(tmp_path / "store" / "train" / "run.h5", "r+b") as file:
        file.seek(place + 10)
        file.write(b"damage")
    code, said = har("verify", tmp_path / "store")
    assert code == 1 and "run_00" in said and "1 damaged" in said
    code, said = har(
        "prepare", tmp_path / "squares.csv", tmp_path / "store", "--size", 32, "--repair"
    )
    assert code == 0 and "listed 8, found 8, decoded 8" in said
    assert har("verify", tmp_path / "store")[0] == 0
    assert digests(tiny_store.root).items() <= digests(tmp_path / "store").items()


@quick
def test_a_repair_killed_in_between_leaves_no_complete_store(
    tiny_catalog, tiny_store, tmp_path, monkeypatch
):
    root, options = tmp_path / "store", {"size": 32, "workers": 1, "progress": False}
    shutil.copytree(tiny_store.root, root)
    wanted = digests(root)
    files = json.loads((root / "store.json").read_text())["files"]
    with open(root / "train" / "run.h5", "r+b") as file:
        file.seek(files[0]["payload"][0] + 5)
        file.write(b"damage")
    unlink = Path.unlink

    def killed(path, **options):
        unlink(path, **options)
        if path.name in ("run.h5", "store.json"):
            raise KeyboardInterrupt

    for _ in range(2):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(Path, "unlink", killed)
            repair(tiny_catalog, root, **options)
        assert not (root / "store.json").exists()
        repair(tiny_catalog, root, **options)
        assert digests(root) == wanted
        file = root / "train" / "run.h5"
        file.write_bytes(file.read_bytes()[:-9])
