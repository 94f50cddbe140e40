"""The CPU, its instructions, and whose kernels compute on it."""

import os
import subprocess
import sys

import pytest

from harlib import machine

# Linux' words of four kinds of CPU: an ordinary one, AVX-512 without and with bfloat16, ARM.
FILES = {
    "avx2": "model name\t: Zen 3\nflags\t\t: fpu avx avx2 fma\n",
    "avx512": "model name\t: Skylake\nflags\t\t: fpu avx avx2 avx512f avx512_vnni\n",
    "bf16": "model name\t: Zen 4\nflags\t\t: avx avx2 avx512f avx512_vnni avx512_bf16\n",
    "amx": "model name\t: Sapphire Rapids\nflags\t\t: avx avx2 avx512f avx512_bf16 amx_bf16\n",
    "arm": "processor\t: 0\nFeatures\t: fp asimd asimdhp sve bf16\n",
}


@pytest.fixture
def on(monkeypatch):
    """(kind, numpy=True) -> from here on the CPU is of that kind of `FILES`."""

    def use(kind, numpy=True):
        monkeypatch.setattr(machine, "_cpuinfo", lambda: FILES[kind].splitlines())
        monkeypatch.setattr(machine, "_numpy_finds", lambda feature: numpy)
        for cached in (machine.cpu, machine.instructions):
            cached.cache_clear()

    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    yield use
    for cached in (machine.cpu, machine.instructions):
        cached.cache_clear()


@pytest.mark.quick
@pytest.mark.parametrize(
    ("kind", "wanted", "bfloat16"),
    [
        ("avx2", ("avx", "avx2"), False),
        ("avx512", ("avx", "avx2", "avx512f", "avx512_vnni"), False),
        ("bf16", ("avx", "avx2", "avx512f", "avx512_vnni", "avx512_bf16"), True),
        ("amx", ("avx", "avx2", "avx512f", "avx512_bf16", "amx_bf16"), True),
        ("arm", ("neon", "neon_fp16", "sve", "bf16"), True),
    ],
)
def test_instructions_of_each_kind_of_cpu(on, monkeypatch, kind, wanted, bfloat16):
    on(kind)
    monkeypatch.setattr(machine, "kernels", lambda: "oneDNN")
    assert machine.instructions() == wanted
    assert machine.has_bfloat16() is bfloat16
    if kind != "arm":
        assert machine.describe()["cpu"] in FILES[kind]


@pytest.mark.quick
def test_an_emulated_cpu_has_not_what_the_file_of_the_real_one_says(on):
    on("amx", numpy=False)
    assert machine.instructions() == ("avx", "avx2")


@pytest.mark.quick
@pytest.mark.parametrize(
    ("cap", "has"),
    [("AVX2", False), ("avx512_core", False), ("AVX512_CORE_BF16", True), ("", True)],
)
def test_held_to_a_smaller_cpu_there_is_no_bfloat16(on, monkeypatch, cap, has):
    on("bf16")
    monkeypatch.setattr(machine, "kernels", lambda: "oneDNN")
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", cap)
    assert machine.has_bfloat16() is has
    assert machine.has_avx512() is (cap != "AVX2")
    kernels = machine.describe()["kernels"]
    wanted = f"oneDNN (at most {cap.upper()}, by ONEDNN_MAX_CPU_ISA)" if cap else "oneDNN"
    assert kernels == wanted


@pytest.mark.quick
def test_eigen_does_not_use_the_bfloat16_of_the_cpu(on, monkeypatch):
    on("amx")
    monkeypatch.setattr(machine, "kernels", lambda: "Eigen")
    assert not machine.has_bfloat16()


def python(code, **variables):
    """What a new Python prints, without this process' choice of kernels; its warnings too."""
    environment = {k: v for k, v in os.environ.items() if k != "TF_ENABLE_ONEDNN_OPTS"}
    done = subprocess.run(
        [sys.executable, "-W", "default", "-c", code],
        env=environment | {"KERAS_BACKEND": "tensorflow"} | variables,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), done.stderr


@pytest.mark.quick
@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ({}, "1 oneDNN False"),
        ({"TF_ENABLE_ONEDNN_OPTS": "0"}, "0 Eigen False"),
        ({"TF_ENABLE_ONEDNN_OPTS": "1"}, "1 oneDNN False"),
        ({"KERAS_BACKEND": "jax"}, "1 XLA False"),
    ],
)
def test_importing_harlib_chooses_onednn_unless_told_otherwise(variables, wanted):
    said, warned = python(
        "import harlib, os, sys; from harlib import machine; chosen = os.environ"
        "['TF_ENABLE_ONEDNN_OPTS']; print(chosen, machine.kernels(), 'tensorflow' in sys.modules)",
        **variables,
    )
    assert said == wanted and not warned


# what TensorFlow itself says it computes with, after both imports
ASKED = "from tensorflow.python.util import _pywrap_util_port as p; print(p.IsMklEnabled())"


@pytest.mark.parametrize(("value", "on"), [(None, "True"), ("0", "False")])
def test_tensorflow_computes_as_was_said(value, on):
    variables = {} if value is None else {"TF_ENABLE_ONEDNN_OPTS": value}
    code = f"import harlib; from harlib import machine; import tensorflow; {ASKED}; "
    said, _ = python(code + "print(machine.kernels(), machine.slow_kernels())", **variables)
    asked, _, kernels = said.partition("\n")
    assert asked == on
    if value is None:
        assert kernels.strip() == "oneDNN"
    else:
        assert kernels.startswith(
            "Eigen TensorFlow computes without oneDNN (TF_ENABLE_ONEDNN_OPTS=0)"
        )


def test_imported_after_tensorflow_it_says_what_that_costs():
    said, warned = python(f"import tensorflow, harlib; {ASKED}")
    if said == "True":
        assert "oneDNN:" not in warned  # TensorFlow chose it by itself on this CPU
    else:
        assert "TensorFlow was imported before harlib" in warned
        assert "five times as long" in warned and "Import harlib first" in warned


TRAIN = """
import tempfile, numpy as np, harlib
from harlib import models
from harlib.training import recipes
from harlib.training import fit
model = models.build("resnext3d_26", 2, frames=4, size=16, width=0.125, cardinality=4)
clips = np.random.default_rng(0).integers(0, 256, (4, 4, 16, 16, 3), "uint8")
batches = [(clips, np.array([0, 1, 0, 1]))] * 2
fit(model, batches, recipes.build("study-adam", steps_per_epoch=2, epochs=1),
    run_dir=tempfile.mkdtemp())
"""


def test_a_grouped_network_trains_without_onednn_and_says_that_it_is_slow():
    said, _ = python(TRAIN, TF_ENABLE_ONEDNN_OPTS="0")
    slow = [line for line in said.splitlines() if "without oneDNN" in line]
    assert len(slow) == 1 and "Set TF_ENABLE_ONEDNN_OPTS=1" in slow[0]
    assert "trained 2 steps" in said
