"""A small network with what a detector has, as PaddleSlim quantises it."""

import contextlib

import numpy as np

SIDE = 32
BINS = 17


def write_quantized(folder, seed=0, steep=False, bare=False, shared=False):
    """Write `model.pdmodel` and `model.pdiparams`, quantised, and `float/` with the network before.

    The network has a map that is concatenated, a gate on pooled maps, and the mean of a distribution: a
    convolution that stays float although its weights are whole numbers.

    Args:
        folder (Path): exists.
        seed (int): of the weights and images.
        steep (bool): all weights of a 3x3 convolution have one sign, so that its products add up.
        bare (bool): a depthwise convolution has no bias.
        shared (bool): a convolution is computed twice, on different maps.

    Returns:
        tuple: images [4, 3, SIDE, SIDE] float32; boxes and scores of the float network and then those of the
        quantised program, both computed by plain Paddle.
    """
    import paddle

    rng = np.random.RandomState(seed)
    images = rng.rand(4, 3, SIDE, SIDE).astype("float32")
    net = _network(rng, steep, bare, shared)
    spec = paddle.static.InputSpec([None, 3, SIDE, SIDE], "float32", "image")
    (folder / "float").mkdir()
    paddle.jit.save(
        paddle.jit.to_static(net, input_spec=[spec], full_graph=True), str(folder / "float" / "model")
    )
    with static_mode():
        _quantize(folder, images, net.mean.weight.name)
        answers = [run_plainly(at, images) for at in (folder / "float", folder)]
    return images, *answers


def _network(rng, steep, bare, shared):
    import paddle
    from paddle import nn

    class Net(nn.Layer):
        def __init__(self):
            super().__init__()
            self.stem = nn.Conv2D(3, 16, 3, 2, 1)
            self.wide = nn.Conv2D(16, 16, 3, padding=1)
            self.narrow = nn.Conv2D(16, 16, 1)
            if bare:
                self.narrow = nn.Conv2D(16, 16, 3, padding=1, groups=16, bias_attr=False)
            self.shared = shared
            self.gate = nn.Conv2D(32, 32, 1)
            self.sides = nn.Conv2D(32, 4 * BINS, 1)
            self.classes = nn.Conv2D(32, 2, 1)
            self.mean = nn.Conv2D(BINS, 1, 1, bias_attr=False)

        def forward(self, image):
            relu = paddle.nn.functional.relu
            x = relu(self.stem(image))
            wide = self.wide(self.narrow(x) if self.shared else x)
            x = paddle.concat([relu(wide), relu(self.narrow(x))], 1)
            x = x * paddle.nn.functional.hardsigmoid(self.gate(x.mean([2, 3], keepdim=True)))
            count = 256  # SIDE * SIDE / 4, and 17 is BINS: the capture does not see the module's names
            sides = self.sides(x).reshape([-1, 4, 17, count]).transpose([0, 2, 3, 1])
            boxes = self.mean(paddle.nn.functional.softmax(sides, 1)).reshape([-1, count, 4])
            return boxes, paddle.nn.functional.sigmoid(self.classes(x)).reshape([-1, 2, count])

    net = Net()
    for name, weight in net.named_parameters():
        scale = 0.5 if name.endswith("bias") else np.sqrt(2 / np.prod(weight.shape[1:]))
        weight.set_value((rng.randn(*weight.shape) * scale).astype("float32"))
    if steep:
        net.stem.weight.set_value(rng.uniform(0.05, 0.1, net.stem.weight.shape).astype("float32"))
        net.wide.weight.set_value(rng.uniform(0.01, 0.015, net.wide.weight.shape).astype("float32"))
    net.mean.weight.set_value(np.arange(BINS, dtype="float32").reshape(1, BINS, 1, 1))
    net.eval()
    return net


def _quantize(folder, images, float_weight):
    import paddle
    from paddle.static.quantization import PostTrainingQuantization

    class Images(paddle.io.Dataset):
        def __len__(self):
            return len(images)

        def __getitem__(self, index):
            return images[index]

    place = paddle.CPUPlace()
    with paddle.static.program_guard(paddle.static.Program()):
        feed = paddle.static.data("image", [None, *images.shape[1:]], "float32")
    loader = paddle.io.DataLoader(Images(), feed_list=[feed], batch_size=1, places=place, return_list=False)
    quantization = PostTrainingQuantization(
        executor=paddle.static.Executor(place),
        model_dir=str(folder / "float"),
        model_filename="model.pdmodel",
        params_filename="model.pdiparams",
        data_loader=loader,
        batch_size=1,
        batch_nums=len(images),
        algo="abs_max",
        quantizable_op_type=["conv2d", "depthwise_conv2d"],
        weight_quantize_type="channel_wise_abs_max",
        activation_quantize_type="moving_average_abs_max",
        onnx_format=True,
        skip_tensor_list=[float_weight],
    )
    quantization.quantize()
    quantization.save_quantized_model(str(folder), "model.pdmodel", "model.pdiparams")


@contextlib.contextmanager
def static_mode():
    """Paddle's static mode, with a scope of its own."""
    import paddle

    paddle.enable_static()
    try:
        with paddle.static.scope_guard(paddle.static.Scope()):
            yield
    finally:
        paddle.disable_static()


def run_plainly(folder, images):
    """Boxes and scores of a model by Paddle's executor, in static mode."""
    import paddle

    executor = paddle.static.Executor(paddle.CPUPlace())
    program, feeds, fetches = paddle.static.load_inference_model(str(folder / "model"), executor)
    return executor.run(program, {feeds[0]: images}, fetches)
