"""The devices that train one model together: each takes an equal part of every batch.

One machine: TensorFlow's MirroredStrategy or, on JAX, `keras.distribution.DataParallel`. Several
processes, on one machine or many: JAX, after `training.cluster.join`. The batch norm of
`harlib.models` takes its statistics over all of them, so a batch means the same on any number.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np


def prepare(count: int) -> None:
    """Where there is no GPU, let the CPU count as `count` devices (TensorFlow, JAX).

    They share its cores: that tries what several devices do, and is no faster. To be called
    before anything computes.

    Raises:
        ValueError: something has computed, on fewer devices.
    """
    backend = keras.backend.backend()
    if count == 1 or backend not in ("tensorflow", "jax"):
        return
    try:
        if backend == "jax":
            import jax

            jax.config.update("jax_num_cpu_devices", count)  # no matter where there is a GPU
        else:
            import tensorflow as tf

            if tf.config.list_physical_devices("GPU"):
                return
            cpu = tf.config.list_physical_devices("CPU")[0]
            if len(tf.config.get_logical_device_configuration(cpu) or [0]) < count:
                tf.config.set_logical_device_configuration(
                    cpu, [tf.config.LogicalDeviceConfiguration()] * count
                )
    except RuntimeError as error:
        raise ValueError(
            f"devices={count}, but something has already computed on fewer: start a fresh kernel"
        ) from error


@contextlib.contextmanager
def scope(count: int) -> Iterator[None]:
    """Build a model in it, and `fit` trains that model on `count` devices of this machine.

    GPUs where there are any, else the CPU's logical devices. 1 changes nothing.

    Raises:
        ValueError: fewer devices than that, or a backend that trains on one only.
    """
    backend = keras.backend.backend()
    if count == 1:
        yield
    elif backend == "tensorflow":
        import tensorflow as tf

        listed = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        names = _first([device.name for device in listed], count)
        with tf.distribute.MirroredStrategy(names).scope():
            yield
    elif backend == "jax":
        with _data_parallel(_first(keras.distribution.list_devices(), count)).scope():
            yield
    else:
        raise ValueError(f"devices={count} needs TensorFlow or JAX, not {backend}")


@contextlib.contextmanager
def all_processes() -> Iterator[None]:
    """Build a model in it, and `fit` trains that model on every device of every process (JAX)."""
    with _data_parallel(keras.distribution.list_devices()).scope():
        yield


def place() -> tuple[int, int]:
    """This process' number and how many there are; (0, 1) outside of `cluster.join`."""
    if keras.backend.backend() != "jax":
        return 0, 1
    import jax

    return jax.process_index(), jax.process_count()


def meet(where: str) -> None:
    """Wait until every process is at the same `where`."""
    if place()[1] > 1:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices(where)


def _first(names: list[str], count: int) -> list[str]:
    if count > len(names):
        raise ValueError(f"devices={count}, but there are {len(names)}: {', '.join(names)}")
    return names[:count]


def _data_parallel(names: list[str]) -> keras.distribution.DataParallel:
    return keras.distribution.DataParallel(devices=names, auto_shard_dataset=False)


def of(model: keras.Model) -> "Single":
    """The devices a model was built for."""
    backend = keras.backend.backend()
    if backend == "tensorflow" and model.distribute_strategy.num_replicas_in_sync > 1:
        return Mirrored(model)
    if backend == "jax":
        import jax

        holders = model.variables[0].value.sharding.device_set
        if len(holders) > 1 or jax.process_count() > 1:
            return Parallel(model, holders)
    return Single(model)


class Single:
    """One device. The other kinds differ in what they say and do here.

    `replicas` devices in `processes` processes, of which this is number `process`.
    """

    replicas = processes = 1
    process = 0

    def __init__(self, model: keras.Model) -> None:
        self.model = model

    def scope(self) -> contextlib.AbstractContextManager[Any]:
        """What has to surround every use of the model."""
        return contextlib.nullcontext()

    def describe(self, clips: int) -> str:
        """How a batch of which this process holds `clips` is shared; "" when it is not.

        Raises:
            ValueError: it cannot be shared equally.
        """
        if self.replicas == 1:
            return ""
        batch = clips * self.processes
        if batch % self.replicas:
            raise ValueError(
                f"a batch of {batch} clips is not divisible by {self.replicas} devices"
            )
        here = f"{self.processes} processes, " if self.processes > 1 else ""
        return (
            f"global batch {batch} = {here}{self.replicas} devices x {batch // self.replicas} "
            "clips; the learning rate is the recipe's own, not scaled with them"
        )

    def train(self, clips: np.ndarray, targets: np.ndarray, weights: np.ndarray | None) -> dict:
        """One step on this process' part of a batch; loss and metrics of the whole batch."""
        return self.model.train_on_batch(clips, targets, sample_weight=weights, return_dict=True)

    def predict(self, clips: np.ndarray) -> np.ndarray:
        """Scores of `clips`, which need not be many enough for every device."""
        return self.model.predict_on_batch(clips)

    def own(self, count: int) -> range:
        """Which of `count` pieces of work, all alike, are this process'."""
        return range(self.process, count, self.processes)

    def total(self, values: np.ndarray | Sequence[float]) -> np.ndarray:
        """The sums of the processes' `values` (float64), the same in all of them."""
        return np.asarray(values, np.float64)

    def meet(self, where: str) -> None:
        """Wait until every process is here."""


class Mirrored(Single):
    """TensorFlow's copies of a model on the devices of this machine."""

    def __init__(self, model: keras.Model) -> None:
        super().__init__(model)
        self.strategy = model.distribute_strategy
        self.replicas = self.strategy.num_replicas_in_sync
        self._forward: Any = None

    def scope(self) -> contextlib.AbstractContextManager[Any]:
        return self.strategy.scope()

    def train(self, clips: np.ndarray, targets: np.ndarray, weights: np.ndarray | None) -> dict:
        # Keras builds its metrics from the shapes of a batch, which a batch in parts does not tell.
        self.model._symbolic_build(data_batch=(clips, targets, weights))
        parts = [None if a is None else self._parts(a) for a in (clips, targets, weights)]
        return self.model.train_on_batch(*parts[:2], sample_weight=parts[2], return_dict=True)

    def predict(self, clips: np.ndarray) -> np.ndarray:
        import tensorflow as tf

        if self._forward is None:  # Keras' own predict would give each device the whole batch
            call = tf.function(lambda x: self.model(x, training=False), reduce_retracing=True)
            self._forward = tf.function(lambda x: self.strategy.run(call, (x,)))
        padded, count = _padded(clips, self.replicas)
        scores = self.strategy.experimental_local_results(self._forward(self._parts(padded)))
        return np.concatenate([part.numpy() for part in scores])[:count]

    def _parts(self, array: np.ndarray) -> Any:
        import tensorflow as tf

        parts = np.split(np.asarray(array), self.replicas)
        return self.strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(parts[context.replica_id_in_sync_group])
        )


class Parallel(Single):
    """JAX devices, of one process or of several."""

    def __init__(self, model: keras.Model, holders: set[Any]) -> None:
        import jax

        super().__init__(model)
        self.processes, self.process = jax.process_count(), jax.process_index()
        ordered = sorted(holders, key=lambda device: (device.process_index, device.id))
        self.replicas = len(ordered)
        self._distribution = _data_parallel([f"{d.platform}:{d.id}" for d in ordered])
        if self.processes > len({device.process_index for device in ordered}):
            raise ValueError(
                f"the model lives on devices of {len({d.process_index for d in ordered})} of "
                f"{self.processes} processes: build it in devices.all_processes()"
            )
        self._forward: Any = None
        self._zeros: Any = None
        if self.processes > 1:
            model.reset_metrics = self._reset_metrics

    def scope(self) -> contextlib.AbstractContextManager[Any]:
        return self._distribution.scope()

    def _reset_metrics(self) -> None:
        """As Keras' own, whose assignment of a number waits until all processes agree on it."""
        if self._zeros is None:
            import jax

            like = [variable.value for variable in self.model.metrics_variables]
            kinds = [(value.shape, value.dtype) for value in like]
            self._zeros = jax.jit(
                lambda: [jax.numpy.zeros(*kind) for kind in kinds],
                out_shardings=[value.sharding for value in like],
            )
        for variable, zero in zip(self.model.metrics_variables, self._zeros(), strict=True):
            variable.assign(zero)

    def predict(self, clips: np.ndarray) -> np.ndarray:
        if self.processes == 1:
            padded, count = _padded(clips, self.replicas)
            return np.asarray(self.model.predict_on_batch(padded))[:count]
        # Each process scores other clips than the rest, so on a device of its own alone.
        import jax

        if self._forward is None:
            self._forward = jax.jit(
                lambda weights, state, x: self.model.stateless_call(
                    weights, state, x, training=False
                )[0]
            )
        own = [
            [variable.value.addressable_data(0) for variable in variables]
            for variables in (self.model.trainable_variables, self.model.non_trainable_variables)
        ]
        with _without_distribution():
            return np.asarray(self._forward(*own, clips))

    def total(self, values: np.ndarray | Sequence[float]) -> np.ndarray:
        values = np.asarray(values, np.float64)
        if self.processes == 1:
            return values
        from jax.experimental import multihost_utils

        # As bytes: JAX would round float64 to float32.
        raw = multihost_utils.process_allgather(np.frombuffer(values.tobytes(), np.uint8))
        return np.frombuffer(np.asarray(raw).tobytes()).reshape(self.processes, -1).sum(0)

    def meet(self, where: str) -> None:
        meet(where)


@contextlib.contextmanager
def _without_distribution() -> Iterator[None]:
    before = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(before)


def _padded(clips: np.ndarray, multiple: int) -> tuple[np.ndarray, int]:
    """`clips` with its last one repeated to a multiple, and how many there were."""
    count = len(clips)
    return np.concatenate([clips, np.repeat(clips[-1:], -count % multiple, 0)]), count
