"""What makes a batch of samples: size, normalisation and the order of axes."""

import numpy as np
from ppdet.data.transform import batch_operators, operators

from .lazy import Lazy


class Resize(Lazy, operators.Resize):
    """PaddleDetection's Resize."""

    def change(self, sample, picture):
        height, width = picture.shape[:2]
        if self.keep_ratio:
            factor = min(
                np.min(self.target_size) / min(height, width), np.max(self.target_size) / max(height, width)
            )
            by_y = by_x = factor
            rows, columns = factor * float(height), factor * float(width)
        else:
            rows, columns = self.target_size
            by_y, by_x = rows / height, columns / width
        sample["image"] = picture.resize((by_x, by_y), self.interp)
        sample["im_shape"] = np.array([rows, columns], "float32")
        before = sample.get("scale_factor", (1.0, 1.0))
        sample["scale_factor"] = np.array([before[0] * by_y, before[1] * by_x], "float32")
        if len(sample.get("gt_bbox", ())):
            sample["gt_bbox"] = self.apply_bbox(sample["gt_bbox"], [by_x, by_y], [columns, rows])
        return sample


class BatchRandomResize(Lazy, batch_operators.BatchRandomResize):
    """PaddleDetection's BatchRandomResize: one random size and interpolation for a batch."""

    def __call__(self, samples, context=None):
        size, interp = self.target_size, self.interp
        if self.random_size:
            size = self.target_size[np.random.choice(len(self.target_size))]
        if self.random_interp:
            interp = np.random.choice(self.interps)
        return Resize(size, keep_ratio=self.keep_ratio, interp=interp)(samples, context)


class NormalizeImage(Lazy, operators.NormalizeImage):
    """PaddleDetection's NormalizeImage, as a colour matrix."""

    def change(self, sample, picture):
        mean, std = np.zeros(3), np.ones(3)
        if self.norm_type == "mean_std":
            mean, std = np.array(self.mean), np.array(self.std)
        scale = 1.0 / 255.0 if self.is_scale else 1.0
        matrix = np.concatenate([np.diag(scale / std), (-mean / std)[:, None]], 1)
        sample["image"] = picture.normalise(matrix)
        return sample


class Permute(Lazy, operators.Permute):
    """PaddleDetection's Permute."""

    def change(self, sample, picture):
        sample["image"] = picture.put_channels_first()
        return sample
