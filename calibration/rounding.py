"""Weights to int8, rounded so that the layer's output changes least, not the weights.

Rounding to nearest is best for each weight alone. But photographs of a retina are smooth and bright, so neighbouring
inputs of a filter are nearly equal, and the errors of its weights add up to a shift of the whole map. Optimal brain
quantization (Frantar and Alistarh 2022; in the column order of GPTQ, Frantar et al. 2023) rounds one column of the
weights after the other and lets those still to come make up for the error, as far as the inputs' second moments tell.
"""

import numpy as np
from numpy.typing import NDArray

from calibration.histograms import LEVELS

__all__ = ["DAMPING", "rounded_weights"]

DAMPING = 0.001
"""Added to the moments' diagonal, as a share of its mean: directions that no calibration photograph showed stay put."""


_AT_ONCE = 64
"""Columns after which those further right make up for all errors at once: one product instead of 64 passes."""


def rounded_weights(
    weight: NDArray[np.floating], scale: NDArray[np.float32], moments: NDArray[np.float64]
) -> NDArray[np.int8]:
    """Int8 weights whose products with the calibration inputs are closest to the float ones.

    Args:
        weight: (groups, rows, columns) the layer's weights; a row is an output channel, a column an input of it.
        scale: (groups, rows) step of each row.
        moments: (groups, columns, columns) sum of x x^T over calibration inputs x.

    Returns:
        (groups, rows, columns) in -127..127.
    """
    left = weight.astype(np.float64)
    columns = left.shape[2]
    step = scale.astype(np.float64)
    rounded = np.zeros(left.shape, np.int8)
    upper = _upper_factor_of_inverse(moments)
    for start in range(0, columns, _AT_ONCE):
        end = min(start + _AT_ONCE, columns)
        errors = np.empty((*left.shape[:2], end - start))
        for column in range(start, end):
            levels = np.clip(np.rint(left[:, :, column] / step), -LEVELS, LEVELS)
            rounded[:, :, column] = levels
            error = (left[:, :, column] - levels * step) / upper[:, column, column, None]
            errors[:, :, column - start] = error
            left[:, :, column + 1 : end] -= error[:, :, None] * upper[:, None, column, column + 1 : end]
        left[:, :, end:] -= errors @ upper[:, start:end, end:]
    return rounded


def _upper_factor_of_inverse(moments: NDArray[np.float64]) -> NDArray[np.float64]:
    """(groups, columns, columns) U with U^T U the inverse of the damped moments."""
    columns = moments.shape[1]
    mean = np.trace(moments, axis1=1, axis2=2) / columns
    # A group whose inputs were all zero (a dead channel) has no moments: then nothing makes up for anything.
    damping = np.where(mean > 0, DAMPING * mean, 1.0)
    damped = moments + damping[:, None, None] * np.eye(columns)
    inverse = np.linalg.inv(damped)
    return np.swapaxes(np.linalg.cholesky((inverse + np.swapaxes(inverse, 1, 2)) / 2), 1, 2)
