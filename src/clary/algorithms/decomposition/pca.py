"""Principal component analysis: the directions in which rows vary most."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
from scipy.sparse import issparse
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from clary.algorithms.decomposition.scatter import Scatter
from clary.algorithms.decomposition.sketch import Sketch
from clary.algorithms.decomposition.spectrum import Spectrum
from clary.algorithms.device import require_device, torch_device
from clary.algorithms.estimator import Estimator
from clary.algorithms.parameters import require_whole

FEWEST_EXTRA_COMPONENTS = 10
_MODES = ("regular", "randomized")
_FLOATS = [np.float32, np.float64]
_STATES: dict[str, type[Scatter] | type[Sketch]] = {"regular": Scatter, "randomized": Sketch}


class PCA(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Estimator):
    """Projection on the directions of largest variance.

    `regular` adds up the columns × columns scatter matrix, in one pass, and is exact. `randomized` keeps columns × ℓ numbers
    only, for wide rows: ℓ is num_components + extra_components; its second pass makes it as good as exact.

    Parameters
    ----------
    num_components : int >= 1, optional
        Directions that are kept; all, at most as many as rows, when absent.
    algorithm_mode : {"regular", "randomized"}, default "regular"
        Exact, or for wide rows.
    subtract_mean : bool, default True
        Whether the rows are centred; otherwise the directions are those of X itself.
    extra_components : int >= -1, default -1
        randomized: test vectors beyond num_components; -1 is the larger of 10 and num_components.
    passes : {1, 2}, default 2
        randomized: passes of `fit` over the rows. `partial_fit` passes once.
    seed : int, default 0
        Drives the test vectors.
    device : {"cpu", "cuda", "cuda:<number>", "auto", "torch:cpu"}, default "cpu"
        Where `fit` multiplies dense rows: see `clary.algorithms.device`.

    Attributes
    ----------
    components_ : ndarray (num_components, columns), in the type of X
        Directions of length 1, largest variance first; the largest entry of each is positive.
    singular_values_ : ndarray (num_components,) float64
        Of the (centred) rows.
    explained_variance_, explained_variance_ratio_ : ndarray (num_components,) float64
        Squared singular values over rows - 1, and over those of all directions.
    mean_ : ndarray (columns,) float64
        What is subtracted from rows; zeros without `subtract_mean`.
    n_samples_seen_, n_features_in_ : int

    Examples
    --------
    >>> import numpy as np
    >>> from clary.algorithms import PCA
    >>> X = np.array([[-1, -1], [-2, -1], [-3, -2], [1, 1], [2, 1], [3, 2]])
    >>> PCA(num_components=2).fit(X).explained_variance_ratio_.round(4).tolist()
    [0.9924, 0.0076]

    References
    ----------
    T. Chan, G. Golub and R. LeVeque (1983), "Algorithms for computing the sample variance". N. Halko, P. Martinsson and
    J. Tropp (2011), "Finding structure with randomness". J. Tropp et al. (2017), "Fixed-rank approximation of a
    positive-semidefinite matrix from streaming data".
    """

    def __init__(
        self,
        num_components: int | None = None,
        *,
        algorithm_mode: Literal["regular", "randomized"] = "regular",
        subtract_mean: bool = True,
        extra_components: int = -1,
        passes: int = 2,
        seed: int = 0,
        device: str = "cpu",
    ):
        self.num_components = num_components
        self.algorithm_mode = algorithm_mode
        self.subtract_mean = subtract_mean
        self.extra_components = extra_components
        self.passes = passes
        self.seed = seed
        self.device = device

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the directions of `X` (rows, columns), dense or CSR. `y` is not used.

        Raises `ValueError` for parameters and arrays that do not fit.
        """
        self._check_parameters()
        X = self._read(X, reset=True)
        if hasattr(self, "state_"):
            del self.state_
        state = self._begin(X.shape)
        state.update(X)
        if isinstance(state, Sketch) and self.passes == 2:
            second = state.again()
            second.update(X)
            state = second.combined(state)
        self._take(state, X)
        return self

    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Learn from one more batch `X` (rows, columns)."""
        self._check_parameters()
        first = not hasattr(self, "state_")
        X = self._read(X, reset=first)
        if first:
            self.state_ = self._begin(X.shape)
        self.state_.update(X)
        self._take(self.state_, X)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """(rows, num_components): the place of each row along the directions, in the type of X."""
        check_is_fitted(self, "components_")
        X = validate_data(self, X, accept_sparse="csr", dtype=_FLOATS, reset=False)
        directions = self.components_.T.astype(X.dtype)
        if issparse(X):
            return X @ directions - (self.mean_ @ self.components_.T).astype(X.dtype)
        return (X - self.mean_.astype(X.dtype)) @ directions

    def inverse_transform(self, X: Any) -> np.ndarray:
        """(rows, columns): the rows with the places `X` (rows, num_components) along the directions."""
        check_is_fitted(self, "components_")
        return np.asarray(X) @ self.components_ + self.mean_

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    @property
    def _n_features_out(self) -> int:
        return len(self.components_)

    def _read(self, X: Any, reset: bool) -> Any:
        X = validate_data(self, X, accept_sparse="csr", dtype=_FLOATS, order="C", reset=reset)
        rows, columns = X.shape
        if reset and rows < 2:
            raise ValueError(f"principal components need at least two rows; got n_samples={rows}")
        if self.num_components is not None and self.num_components > (min(rows, columns) if reset else columns):
            raise ValueError(
                f"num_components={self.num_components} must not exceed the rows or the columns of X: "
                f"n_samples={rows}, n_features={columns}"
            )
        return X

    def _begin(self, shape: tuple[int, int]) -> Scatter | Sketch:
        device = torch_device(self.device)
        if self.algorithm_mode == "regular":
            return Scatter(shape[1], device)
        count = self.num_components or min(shape)
        return Sketch.random(shape[1], sketch_width(count, self.extra_components), self.seed, device)

    def _take(self, state: Scatter | Sketch, X: Any) -> None:
        found, mean, rows = self._solve(state)
        self.components_ = found.vectors.astype(X.dtype)
        self.singular_values_ = np.sqrt(found.squares)
        self.explained_variance_ = found.squares / (rows - 1)
        self.explained_variance_ratio_ = found.squares / (found.total or 1)
        self.mean_, self.n_samples_seen_ = mean, rows

    def _solve(self, state: Scatter | Sketch) -> tuple[Spectrum, np.ndarray, int]:
        if isinstance(state, Scatter):
            state.flush()
        count = self.num_components or min(state.rows, len(state.mean))
        found = state.spectrum(count, self.subtract_mean)
        return found, state.mean.copy() if self.subtract_mean else np.zeros_like(state.mean), state.rows

    def _check_parameters(self) -> None:
        if self.num_components is not None:
            require_whole("num_components", self.num_components, 1)
        require_whole("extra_components", self.extra_components, -1)
        require_device("device", self.device)
        if self.algorithm_mode not in _MODES:
            raise ValueError(f"algorithm_mode={self.algorithm_mode!r} must be one of {', '.join(map(repr, _MODES))}")
        if self.passes not in (1, 2):
            raise ValueError(f"passes={self.passes!r} must be 1 or 2")

    def _state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        document, arrays = super()._state()
        state = document.pop("state_", None)
        if state is not None:
            arrays |= {f"state.{name}": array for name, array in state.arrays().items()}
        return document, arrays

    def _restore(self, document: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        parts = {name.partition(".")[2]: arrays.pop(name) for name in list(arrays) if name.startswith("state.")}
        super()._restore(document, arrays)
        if parts:
            self.state_ = _STATES[self.algorithm_mode].of_arrays(parts)


def sketch_width(num_components: int, extra_components: int) -> int:
    """Test vectors of a randomized analysis."""
    extra = max(FEWEST_EXTRA_COMPONENTS, num_components) if extra_components == -1 else extra_components
    return num_components + extra
