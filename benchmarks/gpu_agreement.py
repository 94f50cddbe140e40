"""How far a network's scores and gradients on a GPU are from those on the CPU beside it, with JAX.

    KERAS_BACKEND=jax python benchmarks/gpu_agreement.py [NETWORK ...] [--batch 2]

Every network is built at the clip its published weights take, with random weights and statistics,
and computed on the CPU in float32. Printed for the GPU, as shares of the largest logit: the
logits in float32 (`highest`), as JAX computes by default (on recent GPUs products of float32 are
then in TF32) and in bfloat16; the gradient of the first kernel in `highest`, as a share of the
CPU's by their norms; and `rounding`, the same share when the CPU's own weights move by 1e-7: where
a max pooling or a ReLU decides between almost equal numbers, a gradient jumps. A child each, all
at once.
"""

import argparse
import json
import os
import subprocess
import sys

NETWORKS = {  # frames and pixels of their published weights
    "c3d": (16, 112),
    "resnext3d_101": (16, 112),
    "r2plus1d_18": (16, 112),
    "x3d_s": (13, 160),
    "slow_r50": (8, 224),
    "slowfast_r50": (32, 224),
    "mvit_v2_s": (16, 224),
    "swin3d_t": (32, 224),
    "videomae_s": (16, 224),
}
CLASSES = 400


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help=", ".join(NETWORKS))
    parser.add_argument("--batch", type=int, default=2, help="clips")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if unknown := set(options.networks) - set(NETWORKS):
        parser.error(f"{', '.join(sorted(unknown))}: unknown; known: {', '.join(NETWORKS)}")
    if options.child:
        print(json.dumps(differences(options.networks[0], options.batch)))
        return
    names = options.networks or list(NETWORKS)
    command = [sys.executable, __file__, "--child", f"--batch={options.batch}"]
    environment = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"} | os.environ | {"KERAS_BACKEND": "jax"}
    children = {
        name: subprocess.Popen(
            [*command, name], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=environment,
        )
        for name in names
    }  # fmt: skip
    failed = False
    for name, child in children.items():
        out, err = child.communicate()
        if child.returncode:
            failed = True
            print(f"{name:<14} failed: {(err.strip().splitlines() or ['without a word'])[-1]}")
        else:
            row = json.loads(out.splitlines()[-1])
            device = row.pop("device")
            print(f"{name:<14}", "  ".join(f"{key} {value:.0e}" for key, value in row.items()),
                  f" ({device})", flush=True)  # fmt: skip
    sys.exit(failed)


def differences(name, batch):
    """Dict `logits, default, bfloat16, gradient, rounding`, as the module says, and `device`."""
    import jax
    import keras
    import numpy as np

    from harlib import models

    gpu = jax.devices()[0]
    cpu = jax.devices("cpu")[0]
    frames, size = NETWORKS[name]
    rng = np.random.default_rng(0)
    clips = rng.integers(0, 256, (batch, frames, size, size, 3), "uint8")
    classes = rng.integers(0, CLASSES, batch)

    def build(policy):
        keras.config.set_dtype_policy(policy)
        keras.utils.set_random_seed(0)
        return models.build(name, CLASSES, frames=frames, size=size, classifier_activation=None)

    def parts(model, device):
        """Trainable and other variables of a model as arrays on a device."""
        variables = model.trainable_variables, model.non_trainable_variables
        return jax.device_put(tuple([v.value for v in group] for group in variables), device)

    def logits(model, device):
        score = jax.jit(lambda a, b, x: model.stateless_call(a, b, x, training=False)[0])
        return np.asarray(score(*parts(model, device), jax.device_put(clips, device)), "float64")

    def gradient(model):
        """The function of a device and a factor on all weights' last digits."""

        def loss(trained, others, x):
            scores, _ = model.stateless_call(trained, others, x, training=True)
            return keras.ops.mean(
                keras.losses.sparse_categorical_crossentropy(classes, scores, from_logits=True)
            )

        first = next(i for i, v in enumerate(model.trainable_variables) if "kernel" in v.name)
        own = jax.jit(lambda *given: jax.grad(loss)(*given)[first])

        def at(device, moved=0.0):
            trained, others = parts(model, device)
            noise = np.random.default_rng(1)
            trained = [
                v * (1 + moved * noise.standard_normal(v.shape).astype("float32")) for v in trained
            ]
            return np.asarray(own(trained, others, jax.device_put(clips, device)), "float64")

        return at

    def apart(one, other):
        assert np.isfinite(one).all() and np.abs(other).max() > 0
        return float(np.abs(one - other).max() / np.abs(other).max())

    model = build("float32")
    for w in model.weights:  # statistics too; kernels so that no layer fades or explodes
        if "seed_generator" in w.path or not np.prod(w.shape):
            continue
        scale = 0.1 if len(w.shape) == 1 else np.sqrt(6 / np.prod(w.shape[:-1]))
        one = 1.0 if "gamma" in w.name or "variance" in w.name or w.name == "scale" else 0.0
        w.assign(one + scale * rng.uniform(-1.0, 1.0, w.shape))
    with jax.default_matmul_precision("highest"):
        reference, slope = logits(model, cpu), gradient(model)
        found = {"logits": apart(logits(model, gpu), reference)}
        on_cpu = slope(cpu)
        for key, other in (("gradient", slope(gpu)), ("rounding", slope(cpu, moved=1e-7))):
            found[key] = float(np.linalg.norm(other - on_cpu) / np.linalg.norm(on_cpu))
    found["default"] = apart(logits(model, gpu), reference)
    half = build("mixed_bfloat16")
    half.set_weights(model.get_weights())
    found["bfloat16"] = apart(logits(half, gpu), reference)
    return found | {"device": gpu.device_kind}


if __name__ == "__main__":
    main()
