"""Paddle Lite, from Python: its x86 build on a PC, its arm build on a Jetson or a Raspberry Pi.

A phone runs `deploy/paddle_lite/cpp` instead.
"""

import numpy as np
from paddlelite import lite

from ..manifest import load_manifest
from .checks import (
    MODELS,
    RAW,
    cannot_load,
    cannot_run,
    check_batch,
    check_ports,
    check_raw,
    deliver,
    find_model,
    refuse_device,
)

# A .nb file begins with its version of the format, 2 since Paddle Lite 2.10; the library aborts on others.
FORMATS = (1, 2)


class Backend:
    """The `.nb` model of an exported folder that fits this processor: one input [1, 3, H, W] float32 of one
    size, outputs boxes and scores in this order. A batch is run image by image.

    Args:
        folder (str | Path): the exported folder.
        threads (int | None): CPU threads of the arm build; the x86 build computes on one core and has no
            switch for it.
        device (str | None): 'cpu', also None.
        outputs (tuple): RAW.

    Raises:
        ValueError: the file is missing or no Paddle Lite model, or the model has other inputs or outputs.
    """

    def __init__(self, folder, threads=None, device=None, outputs=RAW):
        check_raw("paddle_lite", folder, outputs)
        if device == "gpu":
            raise refuse_device("paddle_lite", device, "leave the device out")
        self.file = find_model(folder, MODELS["paddle_lite"], "run 'ppdet-ext export' with the target lite")
        self._check_file()
        config = lite.MobileConfig()
        config.set_model_from_file(str(self.file))
        if threads is not None and hasattr(config, "set_threads"):
            config.set_threads(threads)
        try:
            self.predictor = lite.create_paddle_predictor(config)
        except RuntimeError as error:
            raise cannot_load(self.file, "Paddle Lite", str(error).splitlines()[0]) from None
        check_ports(
            self.file, self.predictor.get_input_names(), self.predictor.get_output_names(), by_name=False
        )
        self.input = self.predictor.get_input(0)
        # The model itself does not tell, and the library aborts the process on another size.
        self.shape = [None, 3, *load_manifest(folder).get("input", {}).get("size", (None, None))]

    def _check_file(self):
        # The library aborts the process on a file that is not its own.
        with open(self.file, "rb") as file:
            head = file.read(2)
        if int.from_bytes(head, "little") not in FORMATS:
            raise cannot_load(self.file, "Paddle Lite", "it is empty or of another format")

    def run(self, images, out=None):
        """Run one batch.

        Args:
            images (numpy.ndarray): [B, 3, H, W] float32.
            out (tuple | None): arrays that receive the results.

        Returns:
            tuple: the model's `outputs`, see `backends`; `out` where it is given.

        Raises:
            ValueError: the model takes another size or batch.
        """
        check_batch(self.file, self.shape, images)
        results = []
        for image in images:
            try:
                self.input.from_numpy(np.ascontiguousarray(image[None]))
                self.predictor.run()
            except RuntimeError as error:
                raise cannot_run(self.file, images, str(error).splitlines()[0]) from None
            # Copied: the array is a view of memory that the next run writes over.
            results.append([self.predictor.get_output(i).numpy().copy() for i in range(len(RAW))])
        return deliver((np.concatenate(parts) for parts in zip(*results)), out)
