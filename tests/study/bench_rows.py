"""Rows as `har bench` writes them, made by hand."""

import json

DEVICE = {"device": "a desk, 4 cores"}


def data_rows():
    rows = []
    for codec, speed, size, disk in (
        ("raw", 5000.0, 20_000_000, 7200.0),
        ("jpeg", 500.0, 1_400_000, 500.0),
        ("h264", 10.0, 120_000, 45.0),
    ):
        read = {"task": "read", "engine": "harlib", "codec": codec, "clips_per_s": speed}
        rows.append(read | {"bytes_per_video": size, "times_on_the_fly": speed / 25})
        rows.append(
            {"task": "kinetics-600", "engine": "harlib", "codec": codec, "disk_gb": disk,
             "cores": 4, "prepare_h": 12.0, "clips_per_s_needed": 32.4, "cores_needed": 0.1}
        )  # fmt: skip
    rows.append(
        {"task": "read", "engine": "pyav", "codec": "original", "clips_per_s": 25.0,
         "bytes_per_video": 200_000, "times_on_the_fly": 1.0}
    )  # fmt: skip
    return [{"bench": "data"} | row | DEVICE for row in rows]


def model_row(bench, policy, **changes):
    row = {"bench": bench, "model": "resnext3d_101", "mode": "train", "engine": "harlib",
           "policy": policy, "frames": 16, "size": 112, "batch": 4, "memory_bytes": 3e9,
           "first_step_s": 20.0}  # fmt: skip
    return row | DEVICE | changes


def model_rows():
    failed = model_row("train", "float32", engine="torch", note="over 600 s")
    del failed["memory_bytes"], failed["first_step_s"]
    return [
        model_row("train", "float32", clips_per_s=25.0),
        model_row("train", "mixed_bfloat16", clips_per_s=50.0),
        model_row("train", "mixed_bfloat16", mode="infer", clips_per_s=900.0),
        failed,
        model_row("batch", "float32", batch=40, clips_per_s=24.0, limit="batch 44 took 8.1 GB"),
        model_row("batch", "mixed_bfloat16", batch=90, clips_per_s=49.0, limit="stopped"),
    ]


def write_rows(root):
    (root / "data.json").write_text(json.dumps(data_rows()))
    (root / "models.json").write_text(json.dumps(model_rows()))
