"""Principal components of wide rows from a product of their scatter matrix with few vectors: columns × ℓ numbers of state.

One pass gives Z = Σ (x − mean)(x − mean)ᵀ Ω, from which Nyström's approximation Z (ΩᵀZ)⁻¹ Zᵀ of the scatter matrix follows
(Tropp, Yurtsever, Udell and Cevher 2017, "Fixed-rank approximation of a positive-semidefinite matrix from streaming data").
Ω is random in the first pass; a second pass takes an orthonormal basis of the first one's Z (Halko, Martinsson and Tropp
2011, "Finding structure with randomness"), and the approximation then stands on the test vectors of both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.linalg import eigh, qr, svd
from scipy.sparse import issparse

from clary.algorithms.decomposition.products import through
from clary.algorithms.decomposition.spectrum import FULL, Spectrum

_BLOCK_BYTES = 4 << 20


class Sketch:
    """test : (columns, ℓ) float64: Ω, orthonormal vectors of one pass or two
    rows : how many were seen
    product : (columns, ℓ) float64, Z about `shift`
    sums : (columns,) float64, Σ (x − shift)
    square : Σ |x − shift|²
    epsilon : rounding of the products that were added
    device : PyTorch's name of the device that multiplies dense blocks; NumPy does when None
    """

    def __init__(self, test: np.ndarray, device: str | None = None):
        self.device = device
        self.test = np.ascontiguousarray(test)
        self.rows = 0
        self.shift = np.zeros(len(test))
        self.product = np.zeros(test.shape)
        self.sums = np.zeros(len(test))
        self.square = 0.0
        self.epsilon = float(np.finfo(np.float64).eps)

    @classmethod
    def random(cls, columns: int, width: int, seed: int, device: str | None = None) -> Sketch:
        """A sketch of `width` random test vectors; hosts whose sketches will be merged take the same seed."""
        return cls(_basis(np.random.default_rng(seed).standard_normal((columns, min(width, columns)))), device)

    @property
    def mean(self) -> np.ndarray:
        """(columns,) float64."""
        return self.shift + self.sums / max(self.rows, 1)

    def update(self, X: Any) -> None:
        """Take in rows: (n, columns) float32, float64 or CSR."""
        height = max(256, _BLOCK_BYTES // (X.dtype.itemsize * X.shape[1]))
        if not issparse(X):
            self._update_dense(X, height)
        elif X.nnz < FULL * X.shape[0] * X.shape[1] and not self.shift.any():
            self._multiply(X.astype(np.float64))
        else:
            for start in range(0, X.shape[0], height):
                self._update_dense(X[start : start + height].toarray(), height)

    def again(self) -> Sketch:
        """An empty sketch for a second pass: its test vectors span what this one found."""
        return Sketch(_basis(self._about(centered=True)), self.device)

    def combined(self, first: Sketch) -> Sketch:
        """This second pass together with the `first` one over the same rows: the test vectors of both, columns at most."""
        whole, earlier = self.moved(self.mean), first.moved(self.mean)
        room = len(whole.test) - whole.test.shape[1]
        whole.test = np.hstack([whole.test, earlier.test[:, :room]])
        whole.product = np.hstack([whole.product, earlier.product[:, :room]])
        return whole

    def spectrum(self, count: int, centered: bool = True) -> Spectrum:
        """The `count` largest principal components, about the mean or about zero."""
        product = self._about(centered)
        # a shift of the spectrum by what rounding leaves unknown keeps deficient rows harmless; it is taken off again
        shift = max(self.epsilon * float(np.linalg.norm(product)), np.finfo(np.float64).tiny)
        product = product + shift * self.test
        inner = self.test.T @ product
        squares, rotation = eigh((inner + inner.T) / 2)
        roots = product @ (rotation / np.sqrt(np.maximum(squares, shift)))
        vectors, values, _ = svd(roots, full_matrices=False)
        return Spectrum.of((values**2 - shift)[:count], vectors[:, :count], self._total(centered))

    def arrays(self) -> dict[str, np.ndarray]:
        """The state, for a file or another host."""
        scalars = {name: np.array([getattr(self, name)]) for name in ("rows", "square", "epsilon")}
        return scalars | {"test": self.test, "shift": self.shift, "product": self.product, "sums": self.sums}

    @classmethod
    def of_arrays(cls, arrays: dict[str, np.ndarray]) -> Sketch:
        sketch = cls(arrays["test"])
        sketch.rows, sketch.square, sketch.epsilon = (arrays[name].item() for name in ("rows", "square", "epsilon"))
        sketch.shift, sketch.product, sketch.sums = arrays["shift"], arrays["product"], arrays["sums"]
        return sketch

    def moved(self, shift: np.ndarray) -> Sketch:
        """The same rows about another `shift`."""
        other = Sketch(self.test)
        step = self.shift - shift
        other.rows, other.shift, other.sums, other.epsilon = self.rows, shift, self.sums + self.rows * step, self.epsilon
        seen, moved = self.sums @ self.test, step @ self.test
        other.product = self.product + np.outer(self.sums, moved) + np.outer(step, seen + self.rows * moved)
        other.square = self.square + 2 * float(self.sums @ step) + self.rows * float(step @ step)
        return other

    def _update_dense(self, X: np.ndarray, height: int) -> None:
        if not self.rows:
            self.shift = X.mean(axis=0, dtype=np.float64).astype(X.dtype).astype(np.float64)
        shift = self.shift.astype(X.dtype)
        for start in range(0, len(X), height):
            self._multiply(X[start : start + height] - shift)

    def _multiply(self, block: Any) -> None:
        """Add rows that are about the shift already."""
        narrow = self.test.astype(block.dtype)
        self.product += through(block, narrow, self.device)
        self.sums += np.asarray(block.sum(axis=0)).ravel()
        values = block.data if issparse(block) else block.ravel()
        self.square += float(values @ values)
        self.rows += block.shape[0]
        self.epsilon = max(self.epsilon, float(np.finfo(block.dtype).eps))

    def _about(self, centered: bool) -> np.ndarray:
        """Z about the mean, or about zero."""
        at = self.mean if centered else np.zeros(len(self.sums))
        return self.moved(at).product

    def _total(self, centered: bool) -> float:
        at = self.mean if centered else np.zeros(len(self.sums))
        return self.moved(at).square


def merge(parts: Sequence[Sketch]) -> Sketch:
    """The sketch of the rows of all `parts`, which must have the same test vectors."""
    rows = sum(part.rows for part in parts)
    mean = np.average([part.mean for part in parts], axis=0, weights=[part.rows for part in parts])
    whole = Sketch(parts[0].test)
    whole.shift, whole.rows = mean, rows
    for part in parts:
        moved = part.moved(mean)
        whole.product += moved.product
        whole.sums += moved.sums
        whole.square += moved.square
        whole.epsilon = max(whole.epsilon, moved.epsilon)
    return whole


def _basis(matrix: np.ndarray) -> np.ndarray:
    return qr(matrix, mode="economic")[0]
