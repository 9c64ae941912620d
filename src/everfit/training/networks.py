"""A small neural network: scikit-learn's, trained for a fixed number of epochs, kept without its optimiser."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.utils import check_random_state

Matrix = NDArray[np.float64]


class _Network:
    """What both have in common: `depth` hidden layers of `width` units each, trained by Adam for `epochs` passes over
    the rows."""

    def __init__(
        self,
        width: int = 32,
        depth: int = 1,
        alpha: float = 0.3,
        learning_rate_init: float = 0.003,
        epochs: int = 20,
        batch_size: int = 128,
        random_state: int | None = None,
    ) -> None:
        super().__init__(  # type: ignore[call-arg]  # of scikit-learn's network, which comes next
            hidden_layer_sizes=(width,) * depth,
            alpha=alpha,
            learning_rate_init=learning_rate_init,
            batch_size=batch_size,
            random_state=random_state,
        )
        self.width, self.depth, self.epochs = width, depth, epochs


class NeuralClassifier(_Network, MLPClassifier):  # type: ignore[misc]  # scikit-learn ships no types
    """A network that gives the probability of each class."""

    def fit(self, x: Matrix, y: NDArray[Any], sample_weight: NDArray[Any] | None = None) -> NeuralClassifier:
        """Fits on (rows, columns) and (rows,) classes."""
        _train(self, x, y, sample_weight, classes=np.unique(y))
        return self


class NeuralRegressor(_Network, MLPRegressor):  # type: ignore[misc]
    """A network that gives a value. It learns values of mean 0 and standard deviation 1; then its last layer takes
    over their own units."""

    def fit(self, x: Matrix, y: NDArray[Any], sample_weight: NDArray[Any] | None = None) -> NeuralRegressor:
        """Fits on (rows, columns) and (rows,) values."""
        mean, scale = float(y.mean()), float(y.std()) or 1.0
        _train(self, x, (y - mean) / scale, sample_weight)
        self.coefs_[-1] = self.coefs_[-1] * scale
        self.intercepts_[-1] = self.intercepts_[-1] * scale + mean
        return self


def _train(network: Any, x: Matrix, y: NDArray[Any], weight: NDArray[Any] | None, **classes: Any) -> None:
    """One pass after the other; `fit` of scikit-learn warns whenever it ends by the number of passes."""
    size, seed = network.batch_size, network.random_state
    network.batch_size = min(size, len(x))
    network.random_state = check_random_state(seed)  # one stream for all passes, each shuffles anew
    try:
        for _ in range(network.epochs):
            network.partial_fit(x, y, sample_weight=weight, **classes)
    finally:
        network.batch_size, network.random_state = size, seed
    # Twice the size of the network itself, and of no use without further training.
    for name in ("_optimizer", "_random_state"):
        vars(network).pop(name, None)
