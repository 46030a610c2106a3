import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasft.config.optimizer import OptimizerConfig
from kerasft.config.training import TrainingConfig
from kerasft.errors import UserError
from kerasft.training.exported_weights import exported_weights
from kerasft.training.optimizer import WarmupSchedule, create_optimizer


def training(**keys) -> TrainingConfig:
    ema = keys.pop("ema", None)
    base = {"learning_rate": 0.1, "warmup": 0, "schedule": "constant", "weight_decay": 0.0, "clip_norm": None}
    return TrainingConfig(optimizer=base | keys, ema=ema)


def layer_model() -> keras.Model:
    inputs = keras.Input((3,))
    hidden = keras.layers.LayerNormalization(name="norm")(keras.layers.Dense(4, name="low")(inputs))
    return keras.Model(inputs, keras.layers.Dense(2, name="top")(hidden))


def gradients_of(model: keras.Model, scale: float = 1.0) -> list[tf.Tensor]:
    random = np.random.default_rng(0)
    return [tf.constant(scale * random.normal(size=v.shape), tf.float32) for v in model.trainable_variables]


def values(model: keras.Model) -> dict[str, np.ndarray]:
    return {v.path: v.numpy() for v in model.trainable_variables}


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd", "adafactor", "lion", "lamb"])
def test_with_nothing_added_it_is_the_optimizer_of_keras(name):
    plain = {
        "adamw": keras.optimizers.AdamW(0.1, weight_decay=0.0),
        "adam": keras.optimizers.Adam(0.1),
        "sgd": keras.optimizers.SGD(0.1, momentum=0.9),
        "adafactor": keras.optimizers.Adafactor(0.1, relative_step=False),
        "lion": keras.optimizers.Lion(0.1),
        "lamb": keras.optimizers.Lamb(0.1),
    }[name]
    ours, reference = layer_model(), layer_model()
    reference.set_weights(ours.get_weights())
    optimizer = create_optimizer(training(name=name), 10, ours, {})
    for step in range(20):
        optimizer.apply(gradients_of(ours, step + 1.0), ours.trainable_variables)
        plain.apply(gradients_of(ours, step + 1.0), reference.trainable_variables)
    for one, other in zip(ours.get_weights(), reference.get_weights()):
        np.testing.assert_allclose(one, other, rtol=3e-5, atol=1e-6)


@pytest.mark.parametrize("name, clip", [("adamw", None), ("adamw", 0.7), ("adam", 0.7)])
def test_by_kernels_it_is_that_of_keras_over_a_hundred_steps(name, clip, kernels):
    ours, reference = layer_model(), layer_model()
    reference.set_weights(ours.get_weights())
    keys = {"name": name, "learning_rate": 0.01, "weight_decay": 0.1, "clip_norm": clip}
    fast = create_optimizer(training(**keys), 100, ours, {}, kernels=True)
    assert fast.in_one_pass
    kind = {"adamw": keras.optimizers.AdamW, "adam": keras.optimizers.Adam}[name]
    plain = kind(0.01, weight_decay=0.1, global_clipnorm=clip)
    plain.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    for step in range(100):
        gradients = gradients_of(ours, 1.0 + step % 7)
        norm = fast.apply_measured(gradients, ours.trainable_variables)
        assert float(norm) == pytest.approx(float(tf.linalg.global_norm(gradients)))
        plain.apply(gradients, reference.trainable_variables)
    for one, other in zip(ours.weights, reference.weights):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=1e-5, err_msg=one.path)


@pytest.mark.parametrize("clip", [None, 0.7])
def test_one_pass_is_the_separate_ones(clip, kernels):
    ours, reference = layer_model(), layer_model()
    reference.set_weights(ours.get_weights())
    keys = {"learning_rate": 0.01, "head_learning_rate": 0.02, "layer_decay": 0.5}
    config = training(weight_decay=0.1, clip_norm=clip, **keys)
    depths = {v.path: 0 for model in (ours, reference) for v in model.variables if "top" not in v.path}
    fast, plain = (create_optimizer(config, 100, m, depths, kernels=k) for m, k in ((ours, True), (reference, False)))
    steps = [
        tf.function(
            lambda gradients, own=own, to=to: own.apply_measured(gradients, to.trainable_variables), autograph=False
        )
        for own, to in ((fast, ours), (plain, reference))
    ]
    for step in range(100):
        gradients = gradients_of(ours, 1.0 + step % 7)
        norms = [float(take(gradients)) for take in steps]
        assert norms[0] == pytest.approx(norms[1])
    for one, other in zip(fast.variables + ours.weights, plain.variables + reference.weights):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=1e-6, err_msg=one.path)


def test_what_was_read_of_a_weight_stays_as_it_was(kernels):
    model = layer_model()
    optimizer = create_optimizer(training(name="adamw"), 10, model, {}, kernels=True)
    kept = [tf.convert_to_tensor(v.value) for v in model.trainable_variables]
    before = [value.numpy().copy() for value in kept]
    optimizer.apply(gradients_of(model), model.trainable_variables)
    for value, was, variable in zip(kept, before, model.trainable_variables):
        np.testing.assert_array_equal(value, was)
        assert not np.array_equal(variable.numpy(), was)


def test_a_gradient_that_is_no_number_leaves_no_number(kernels):
    model = layer_model()
    optimizer = create_optimizer(training(name="adamw", clip_norm=1.0), 10, model, {}, kernels=True)
    gradients = gradients_of(model)
    gradients[0] = gradients[0] * np.inf
    norm = optimizer.apply_measured(gradients, model.trainable_variables)
    assert not np.isfinite(norm)
    assert all(np.isnan(v.numpy()).all() for v in model.trainable_variables)


def test_decay_is_decoupled_and_spares_biases_and_norms():
    model = layer_model()
    before = values(model)
    optimizer = create_optimizer(training(name="sgd", momentum=0.0, weight_decay=0.5), 10, model, {})
    optimizer.apply([tf.zeros(v.shape) for v in model.trainable_variables], model.trainable_variables)
    for path, after in values(model).items():
        expected = before[path] * (1 - 0.1 * 0.5) if path.endswith("kernel") else before[path]
        np.testing.assert_allclose(after, expected, rtol=1e-6, err_msg=path)


def test_layer_decay_scales_step_and_weight_decay_by_depth():
    model = layer_model()
    depths = {v.path: 0 for v in model.variables if "low" in v.path}
    before, gradients = values(model), gradients_of(model)
    config = training(name="sgd", momentum=0.0, layer_decay=0.5, weight_decay=0.2)
    create_optimizer(config, 10, model, depths).apply(gradients, model.trainable_variables)
    for variable, gradient in zip(model.trainable_variables, gradients):
        rate = 0.05 if "low" in variable.path else 0.1
        kept = before[variable.path] * (1 - rate * 0.2 * variable.path.endswith("kernel"))
        np.testing.assert_allclose(variable.numpy(), kept - rate * gradient.numpy(), rtol=1e-5, atol=1e-7)


def test_the_head_has_a_learning_rate_of_its_own():
    model = layer_model()
    depths = {v.path: 0 for v in model.variables if "top" not in v.path}
    before, gradients = values(model), gradients_of(model)
    config = training(name="sgd", momentum=0.0, head_learning_rate=0.5, layer_decay=0.5, weight_decay=0.2)
    create_optimizer(config, 10, model, depths).apply(gradients, model.trainable_variables)
    for variable, gradient in zip(model.trainable_variables, gradients):
        rate = 0.5 if "top" in variable.path else 0.05
        kept = before[variable.path] * (1 - rate * 0.2 * variable.path.endswith("kernel"))
        np.testing.assert_allclose(variable.numpy(), kept - rate * gradient.numpy(), rtol=1e-5, atol=1e-7)


def test_clipping_is_by_the_norm_over_all_variables():
    model = layer_model()
    before, gradients = values(model), gradients_of(model, 100.0)
    create_optimizer(training(name="sgd", momentum=0.0, clip_norm=2.0), 10, model, {}).apply(
        gradients, model.trainable_variables
    )
    moved = np.sqrt(sum(((values(model)[path] - before[path]) ** 2).sum() for path in before))
    assert moved == pytest.approx(0.1 * 2.0, rel=1e-5)


def test_clipping_is_by_the_norm_of_the_sum_over_replicas(mirrored):
    with mirrored.scope():
        variable = keras.Variable([0.0, 0.0], name="v")
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
        optimizer = create_optimizer(training(name="sgd", momentum=0.0, clip_norm=1.0), 10, model, {})
    start = model.get_weights()[0][0, 0]

    @tf.function
    def step():
        def replica():
            index = tf.distribute.get_replica_context().replica_id_in_sync_group
            gradient = tf.constant([[[100.0]], [[-99.5]]])[index]  # sums to 0.5: nothing is to be clipped
            optimizer.apply([gradient], model.trainable_variables)

        mirrored.run(replica)

    step()
    assert variable.shape == (2,)
    assert start - model.get_weights()[0][0, 0] == pytest.approx(0.1 * 0.5, rel=1e-4)


@pytest.mark.parametrize("replicas", [1, 2])
def test_moving_average_follows_its_formula_and_swaps_in_and_out(replicas, mirrored):
    strategy = mirrored if replicas == 2 else tf.distribute.get_strategy()
    with strategy.scope():
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
        optimizer = create_optimizer(training(name="sgd", momentum=0.0, ema=0.9), 10, model, {})

    @tf.function
    def step():
        strategy.run(lambda: optimizer.apply([tf.constant([[1.0 / replicas]])], model.trainable_variables))

    average = None
    for _ in range(4):
        step()
        weight = model.get_weights()[0][0, 0]
        average = weight if average is None else 0.9 * average + 0.1 * weight
    with exported_weights(optimizer):
        assert model.get_weights()[0][0, 0] == pytest.approx(average, rel=1e-5)
    assert model.get_weights()[0][0, 0] == pytest.approx(weight, rel=1e-6)


def test_schedules_have_their_shapes():
    def rates(**keys):
        schedule = WarmupSchedule(OptimizerConfig(learning_rate=1.0, **keys), 100)
        return np.asarray([float(schedule(step)) for step in range(100)])

    linear = rates(schedule="linear", warmup=0.1)
    np.testing.assert_allclose(linear[:10], np.arange(1, 11) / 10, rtol=1e-5)
    np.testing.assert_allclose(linear[10:], 1 - np.arange(90) / 90, atol=1e-6)
    cosine = rates(schedule="cosine", warmup=0, end_factor=0.1)
    assert cosine[0] == pytest.approx(1.0) and cosine[50] == pytest.approx(0.55) and 0.1 < cosine[99] < 0.11
    np.testing.assert_allclose(rates(schedule="constant", warmup=5)[5:], 1.0)
    polynomial = rates(schedule="polynomial", warmup=0, power=3.0)
    assert polynomial[50] == pytest.approx(0.125)


def test_nothing_to_train_is_said():
    model = layer_model()
    model.trainable = False
    with pytest.raises(UserError, match="model.trainable"):
        create_optimizer(training(), 10, model, {})


def test_keras_still_has_the_hooks_that_are_overridden():
    for name in ("_all_reduce_sum_gradients", "_apply_weight_decay", "_update_model_variables_moving_average"):
        assert hasattr(keras.optimizers.AdamW, name), f"Keras {keras.__version__} moved {name}"
    for name in ("update_step", "_var_key", "_use_weight_decay"):
        assert hasattr(keras.optimizers.AdamW, name)
