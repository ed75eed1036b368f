"""Blocks of RepOptimizer in every form, with weights and scales."""

import ppdet_ext  # noqa: F401  (before Paddle: it protects against a fault of its zlib)

# isort: split
import numpy as np
import paddle
import pytest

from ppdet_ext.nn import RepOptBlock, RepOptSearchBlock

from .forms import FORMS
from .reference import random_input, randomise

WITH_IDENTITY = {name for name, form in FORMS.items() if form.get("identity") and "stride" not in form}
KINDS = {"search": RepOptSearchBlock, "train": RepOptBlock}
all_forms = pytest.mark.parametrize("form", FORMS)
both_kinds = pytest.mark.parametrize("kind", KINDS)


def build(form, kind, seed=3, **changes):
    return randomise(KINDS[kind](**{**FORMS[form], **changes}), seed)


def sample(form, batch=2, **options):
    return random_input(batch, FORMS[form]["in_channels"], 9, 11, **options)


def random_scales(form, seed=7):
    """Of the 3x3, the 1x1 and, where the form has one, the identity branch; of either sign."""
    random = np.random.default_rng(seed)
    channels = FORMS[form]["out_channels"]
    dense, small, copied = random.uniform(0.4, 1.3, [3, channels]) * random.choice([1, -1], [3, channels])
    return dense, small, copied if form in WITH_IDENTITY else None


def trainable(form, seed=7, **changes):
    """A RepOptBlock with scales, in training mode."""
    paddle.seed(seed)
    block = RepOptBlock(**{**FORMS[form], **changes})
    block.set_scales(*random_scales(form, seed))
    return block


def run(model, optimizer, form, steps, dtype):
    random = np.random.default_rng(11)
    weights, losses = None, []
    for step in range(steps):
        y = model(sample(form, batch=3, dtype=dtype, seed=20 + step))
        if weights is None:
            weights = paddle.to_tensor(random.standard_normal(y.shape[1:]).astype(dtype))
        loss = 40 * ((y * weights).mean() + (y**2).mean())
        loss.backward()
        optimizer.step()
        optimizer.clear_grad()
        losses.append(float(loss))
    return losses
