"""A child process that measures one engine: makes its step, then takes turns as it is told.

`python -m harlib.bench.engines SPEC` with SPEC a JSON object of `engine, model, mode, policy,
batch, frames, size, reference`. It writes JSON lines: one when the first step is done, and one
for every line "STEPS SECONDS" it reads: that many steps, or as many as end within the seconds.
An engine that can score two batches at once does so where that is faster.
"""

import contextlib
import gc
import importlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from harlib import machine

CLASSES = 400
# Arithmetic of this many rows and columns is bound by neither memory nor overhead.
_PEAK_SIZE = 4096
# Steps that choose PyTorch's memory format, and between one batch and two at once.
_TRIED_STEPS = 3
_STATUS = Path("/proc/self/status")

Spec = dict[str, Any]  # what is measured: model, batch, frames, size, policy, mode
Step = Callable[[], Any]  # one training step, or the scoring of one batch
Engine = tuple[Step, dict[str, Any]]  # and what is known of it


def main() -> None:
    """Measure as the module says, until the input ends."""
    spec = json.loads(sys.argv[1])
    # What a framework prints must not mix with the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    began = time.perf_counter()
    step, facts = ENGINES[spec["engine"]](spec)
    step()
    first = time.perf_counter() - facts.pop("began", began)
    batches, pair = 1, facts.pop("pair", None)
    if pair and _seconds(pair) < 2 * _seconds(step):
        step, batches = pair, 2
    facts["at_once"] = batches
    print(
        json.dumps(facts | {"first_step_s": first, "memory_bytes": peak()}),
        file=answers,
        flush=True,
    )
    for line in sys.stdin:
        most, limit = line.split()
        done, began = 0, time.perf_counter()
        while done < int(most) and (not done or time.perf_counter() - began < float(limit)):
            step()
            done += batches
        seconds = time.perf_counter() - began
        print(
            json.dumps({"steps": done, "seconds": seconds, "memory_bytes": peak()}),
            file=answers,
            flush=True,
        )


def _seconds(step: Step) -> float:
    """Of a step, once everything is made."""
    step()
    began = time.perf_counter()
    for _ in range(_TRIED_STEPS):
        step()
    return (time.perf_counter() - began) / _TRIED_STEPS


def _pair(score: Step) -> Step:
    """What scores two batches at once, each in a thread of its own."""
    pool = ThreadPoolExecutor(2)
    return lambda: [*pool.map(lambda _: score(), range(2))]


def peak() -> int:
    """Most memory this process has held since it began or `forget_peak`, in bytes."""
    if _STATUS.exists():  # ru_maxrss would begin with what the parent held
        lines = _STATUS.read_text().splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    import resource  # not on Windows, where `har bench` is refused

    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def forget_peak() -> None:
    """Let `peak` begin anew where the system can."""
    with contextlib.suppress(OSError):
        _STATUS.with_name("clear_refs").write_text("5")


def harlib(spec: Spec) -> Engine:
    """A step of the network as harlib trains and scores it (`fit` and `score` call the same)."""
    import keras

    from harlib import models
    from harlib.evaluation import predict
    from harlib.models import fold_batch_norm
    from harlib.training import precision

    precision.use(spec["policy"])
    model = models.build(spec["model"], CLASSES, frames=spec["frames"], size=spec["size"])
    facts = {"gmacs": models.gmacs(model), "device": device(), "backend": keras.backend.backend()}
    if spec["mode"] == "infer":
        model = fold_batch_norm.fold(model, constant=True)
    step = _keras_step(model, spec)
    if spec["mode"] == "infer" and predict.at_once(model) == 2:
        facts["pair"] = _pair(step)
    return step, facts


def keras_stock(spec: Spec) -> Engine:
    """The same network of Keras' own layers: grouped Conv3D and BatchNormalization."""
    import keras

    from harlib import models
    from harlib.models import BatchNorm, Conv3D
    from harlib.training import precision

    precision.use(spec["policy"])

    def stock(layer: Any) -> Any:
        config = layer.get_config()
        if isinstance(layer, Conv3D):
            config.pop("method", None)
            return keras.layers.Conv3D.from_config(config | {"padding": "same"})
        if isinstance(layer, BatchNorm):
            return keras.layers.BatchNormalization.from_config(config)
        return type(layer).from_config(config)

    model = models.build(spec["model"], CLASSES, frames=spec["frames"], size=spec["size"])
    facts = {"gmacs": models.gmacs(model), "device": device(), "backend": keras.backend.backend()}
    model = keras.models.clone_model(model, clone_function=stock, recursive=True)
    return _keras_step(model, spec), facts


def _keras_step(model: Any, spec: Spec) -> Step:
    import keras

    clips, labels = batch(spec)
    jit = keras.backend.backend() == "jax"
    model.compile(
        keras.optimizers.SGD(1e-3, momentum=0.9),
        "sparse_categorical_crossentropy",
        jit_compile=jit,
    )
    if spec["mode"] == "infer":
        return lambda: model.predict_on_batch(clips)
    return lambda: model.train_on_batch(clips, labels)


def torch(spec: Spec) -> Engine:
    """The PyTorch reference in its faster memory format; on CUDA with everything that helps."""
    import torch

    source = importlib.util.spec_from_file_location("torch_reference", spec["reference"])
    assert source is not None and source.loader is not None  # of a file
    reference = importlib.util.module_from_spec(source)
    source.loader.exec_module(reference)
    cuda = torch.cuda.is_available()
    where = torch.device("cuda" if cuda else "cpu")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    clips, labels = (torch.from_numpy(array) for array in batch(spec))
    labels = labels.long().to(where)
    mean = torch.tensor(reference.MEAN, device=where)
    half = torch.autocast(where.type, torch.bfloat16, enabled=spec["policy"] != "float32")
    loss = torch.nn.CrossEntropyLoss()

    def make(memory_format: Any) -> Step:
        network = reference.build(spec["model"], CLASSES, spec["frames"], spec["size"])
        if network is None:
            raise SystemExit(f"no PyTorch reference of {spec['model']}")
        network = network.to(where, memory_format=memory_format)
        network.train(spec["mode"] == "train")
        run = torch.compile(network) if cuda else network
        optimizer = torch.optim.SGD(network.parameters(), 1e-3, momentum=0.9)

        def forward() -> Any:
            x = (clips.to(where).float() - mean).permute(0, 4, 1, 2, 3)
            with half:
                return run(x.contiguous(memory_format=memory_format))

        def train() -> None:
            optimizer.zero_grad(set_to_none=True)
            loss(forward().float(), labels).backward()
            optimizer.step()

        def infer() -> Any:
            with torch.inference_mode():
                return forward().float().softmax(1).cpu()

        def step() -> None:
            train() if spec["mode"] == "train" else infer()
            if cuda:
                torch.cuda.synchronize()

        return step

    def seconds(memory_format: Any) -> float:
        step = make(memory_format)
        step()
        began = time.perf_counter()
        for _ in range(_TRIED_STEPS):
            step()
        return time.perf_counter() - began

    def forget() -> None:
        torch.compiler.reset()
        gc.collect()
        if cuda:
            torch.cuda.empty_cache()
        forget_peak()

    times = {}
    for memory_format in (torch.contiguous_format, torch.channels_last_3d):
        times[memory_format] = seconds(memory_format)
        forget()
    chosen = min(times, key=times.__getitem__)
    name = torch.cuda.get_device_name() if cuda else device()
    facts = {"device": name, "backend": "torch", "format": str(chosen).removeprefix("torch.")}
    # from here on memory and first step are those of the chosen format alone
    facts["began"] = time.perf_counter()
    step = make(chosen)
    if spec["mode"] == "infer" and not cuda:
        facts["pair"] = _pair(step)
    return step, facts


def onnxruntime(spec: Spec) -> Engine:
    """The folded network in ONNX Runtime, on the CPU."""
    onnxruntime = _package("onnxruntime")
    network, facts = _exported(spec)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = os.cpu_count()
    session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
    clips, _ = batch(spec)

    def score() -> np.ndarray:
        return session.run(["scores"], {"clips": clips})[0]

    return score, facts | {"backend": "onnxruntime", "pair": _pair(score)}


def openvino(spec: Spec) -> Engine:
    """The folded network in OpenVINO, on the CPU."""
    openvino = _package("openvino")
    core, half = openvino.Core(), spec["policy"] != "float32"
    if half and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        # asked for it, OpenVINO would compute in float32 without a word
        raise SystemExit(f"OpenVINO computes no bfloat16 on this CPU ({machine.cpu()})")
    network, facts = _exported(spec)
    network = core.read_model(network)
    options = {
        "INFERENCE_NUM_THREADS": os.cpu_count(),
        "INFERENCE_PRECISION_HINT": "bf16" if half else "f32",
    }
    clips, _ = batch(spec)
    # one batch on all cores, and two streams that share them
    alone = core.compile_model(network, "CPU", options | {"PERFORMANCE_HINT": "LATENCY"})
    streams = core.compile_model(network, "CPU", options | {"NUM_STREAMS": 2})
    requests = [streams.create_infer_request() for _ in range(2)]

    def pair() -> None:
        for request in requests:
            request.start_async([clips])
        for request in requests:
            request.wait()

    return lambda: alone([clips])["scores"], facts | {"backend": "openvino", "pair": pair}


def _package(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise SystemExit(f"{error.name} is not installed: pip install 'harlib[bench]'") from None


def _exported(spec: Spec) -> tuple[bytes, dict[str, Any]]:
    """The folded network as ONNX, and facts of it.

    It is made in a process of its own: this one's memory is to be the engine's alone.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                __spec__.name,
                json.dumps(spec | {"engine": "export", "file": str(file)}),
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=os.environ | {"KERAS_BACKEND": "tensorflow"},
        )
        if done.returncode:
            raise SystemExit((done.stderr.strip().splitlines() or ["the export failed"])[-1])
        network = file.read_bytes()
    # the first step is the engine's: a file is exported once
    return network, json.loads(done.stdout) | {"began": time.perf_counter()}


def export(spec: Spec) -> Engine:
    """No engine: writes the folded network to `file`, for those that read ONNX."""
    from harlib import models
    from harlib.models import fold_batch_norm, onnx_graph

    if name := gpu():
        raise SystemExit(f"only for a CPU, and here is {name}; hide it: CUDA_VISIBLE_DEVICES=''")
    model = models.build(spec["model"], CLASSES, frames=spec["frames"], size=spec["size"])
    network = fold_batch_norm.copy(model, folded=True)
    content = onnx_graph.build(network, spec["batch"])
    Path(spec["file"]).write_bytes(content.SerializeToString())
    return lambda: None, {"gmacs": models.gmacs(model), "device": device()}


def arithmetic(spec: Spec) -> Engine:
    """A large matrix product: what the device computes when nothing else is in the way."""
    import keras

    dtype = spec["policy"].removeprefix("mixed_")
    random = keras.random.uniform((_PEAK_SIZE, _PEAK_SIZE), dtype=dtype)

    def step() -> None:
        product = keras.ops.matmul(random, random)
        keras.ops.convert_to_numpy(keras.ops.cast(product[0, 0], "float32"))

    return step, {"gmacs": _PEAK_SIZE**3 / 1e9, "device": device()}


def batch(spec: Spec) -> tuple[np.ndarray, np.ndarray]:
    """uint8 clips `(batch, frames, size, size, 3)` and int32 labels `(batch,)`."""
    rng = np.random.default_rng(0)
    shape = (spec["batch"], spec["frames"], spec["size"], spec["size"], 3)
    return rng.integers(0, 256, shape, "uint8"), rng.integers(0, CLASSES, shape[0], "int32")


def device() -> str:
    """The name of the GPU that Keras' backend uses, or of the CPU with its cores."""
    return gpu() or f"{machine.cpu()}, {os.cpu_count()} cores"


def gpu() -> str:
    """The name of the GPU that Keras' backend uses, or ""."""
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        for gpu in tf.config.list_physical_devices("GPU"):
            return tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name)
    if keras.backend.backend() == "jax":
        import jax

        if jax.default_backend() != "cpu":
            return jax.devices()[0].device_kind
    if keras.backend.backend() == "torch":
        import torch

        if torch.cuda.is_available():
            return torch.cuda.get_device_name()
    return ""


ENGINES = {
    "harlib": harlib,
    "keras-stock": keras_stock,
    "torch": torch,
    "onnxruntime": onnxruntime,
    "openvino": openvino,
    "export": export,
    "arithmetic": arithmetic,
}

if __name__ == "__main__":
    main()
