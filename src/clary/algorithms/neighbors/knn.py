"""k nearest neighbours: classifier and regressor."""

from __future__ import annotations

import warnings
from typing import Any, Literal, Self

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import ClassifierTags, RegressorTags, Tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from clary.algorithms import metrics
from clary.algorithms.device import obstacle, require_device, torch_device
from clary.algorithms.estimator import Estimator
from clary.algorithms.neighbors import reduction, search, votes
from clary.algorithms.neighbors.reservoir import Reservoir
from clary.algorithms.neighbors.space import Space, multiple_of
from clary.algorithms.parameters import require_one_of, require_whole

METRICS = ("L2", "INNER_PRODUCT", "COSINE")
PREDICTOR_TYPES = ("classifier", "regressor")


def _classifies(estimator: KNN) -> bool:
    return estimator.predictor_type == "classifier"


class KNN(Estimator):
    """k nearest neighbours on a FAISS index: the most frequent label of the k nearest rows, or their mean.

    Parameters
    ----------
    k : int >= 1, default 5
        Neighbours that are asked.
    predictor_type : {"classifier", "regressor"}, default "classifier"
        Most frequent label (the smallest of equally frequent ones), or mean.
    sample_size : int >= 1, optional
        Rows that are kept, drawn at random without replacement; all when absent.
    dimension_reduction_type : {"sign", "fjlt"}, optional
        Random projection before the index is built.
    dimension_reduction_target : int, optional
        Columns after it: at least 1, fewer than X has.
    index_type : {"Flat", "IVFFlat", "IVFPQ"}, default "Flat"
        Exact; inverted lists of whole vectors; inverted lists of product-quantized ones.
    index_metric : {"L2", "INNER_PRODUCT", "COSINE"}, default "L2"
        What near means. IVFPQ has L2 only.
    ivf_nlists : int >= 1 or "auto", default "auto"
        Inverted lists; auto is the square root of the number of rows kept.
    nprobe : int >= 1, default 5
        Inverted lists that a search looks at.
    pq_m : int >= 1, default 8
        Parts of a vector that IVFPQ quantizes; columns are padded with zeros (or, with a projection, its target is raised)
        to a multiple.
    seed : int, default 0
        Drives the sample, the projection and the index.
    device : {"cpu", "cuda", "cuda:<number>", "auto", "torch:cpu"}, default "cpu"
        Where batches are compared with all rows, for Flat: see `clary.algorithms.device`.
    n_jobs : int, optional
        Threads of FAISS; all that OpenMP has when absent or -1.

    Attributes
    ----------
    index_ : faiss.Index
        The vectors of the rows kept.
    labels_ : ndarray (rows kept,)
        Their labels; codes of `classes_` for a classifier.
    classes_ : ndarray (classes,)
        Classifier only.
    sample_indices_ : ndarray (rows kept,) int64
        Which rows of X they are.
    n_features_in_ : int

    Examples
    --------
    >>> import numpy as np
    >>> from clary.algorithms import KNN
    >>> X = np.arange(10.0).reshape(10, 1)
    >>> KNN(k=3).fit(X, X[:, 0] > 4).predict([[3.2], [6.8]]).tolist()
    [False, True]
    >>> KNN(k=2, predictor_type="regressor").fit(X, 2 * X[:, 0]).predict([[3.4]]).tolist()
    [7.0]

    References
    ----------
    T. Cover and P. Hart (1967), "Nearest neighbor pattern classification", IEEE Trans. Information Theory 13(1).
    """

    def __init__(
        self,
        k: int = 5,
        *,
        predictor_type: Literal["classifier", "regressor"] = "classifier",
        sample_size: int | None = None,
        dimension_reduction_type: reduction.Kind | None = None,
        dimension_reduction_target: int | None = None,
        index_type: search.IndexType = "Flat",
        index_metric: Literal["L2", "INNER_PRODUCT", "COSINE"] = "L2",
        ivf_nlists: int | Literal["auto"] = "auto",
        nprobe: int = 5,
        pq_m: int = 8,
        seed: int = 0,
        device: str = "cpu",
        n_jobs: int | None = None,
    ):
        self.k = k
        self.predictor_type = predictor_type
        self.sample_size = sample_size
        self.dimension_reduction_type = dimension_reduction_type
        self.dimension_reduction_target = dimension_reduction_target
        self.index_type = index_type
        self.index_metric = index_metric
        self.ivf_nlists = ivf_nlists
        self.nprobe = nprobe
        self.pq_m = pq_m
        self.seed = seed
        self.device = device
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any) -> Self:
        """Index `X` (rows, columns), dense or sparse, with labels `y` (rows,): anything for classes, numbers for a regressor.

        Sparse rows become dense. Raises `ValueError` for parameters and arrays that do not fit.
        """
        self._check_parameters()
        X, y = validate_data(self, X, y, accept_sparse="csr", dtype=np.float32, multi_output=False)
        labels = self._coded(column_or_1d(y, warn=True))
        rows = X.toarray() if issparse(X) else X
        self.sample_indices_ = np.arange(len(rows))
        if self.sample_size is not None and self.sample_size < len(rows):
            reservoir = Reservoir(self.sample_size, self.seed)
            reservoir.add(rows, labels)
            kept = reservoir.sample()
            rows, labels, self.sample_indices_ = kept.features, labels[kept.positions], kept.positions
        self._build(rows, labels)
        return self

    @classmethod
    def of_index(cls, index: search.Index, labels: Any, columns: int, **parameters: Any) -> Self:
        """A fitted estimator around an index that exists: of vectors in the space that `parameters` say, for rows of `columns`.

        Raises `ValueError` when labels and vectors, or the columns, do not belong together.
        """
        model = cls(**parameters)
        model._check_parameters()
        if len(labels) != index.ntotal:
            raise ValueError(f"{index.ntotal} vectors and {len(labels)} labels do not belong together")
        if model.k > index.ntotal:
            raise ValueError(f"k={model.k} neighbours need as many vectors; there are {index.ntotal}: lower k")
        model.n_features_in_ = columns
        model.labels_ = model._coded(np.asarray(labels))
        model.sample_indices_ = np.arange(len(labels))
        model._adopt(index)
        return model

    def nearest(self, X: Any, k: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Distances (rows, k) float32, ascending, and positions (rows, k) in `labels_`, of the k nearest rows.

        The distance is the square of the Euclidean one, 1 - cosine, or minus the inner product. `k` is the estimator's when
        absent.
        """
        check_is_fitted(self, "index_")
        X = validate_data(self, X, accept_sparse="csr", dtype=np.float32, reset=False)
        count = self.k if k is None else k
        if not 1 <= count <= self.index_.ntotal:
            raise ValueError(f"k={count} must be between 1 and the rows kept, {self.index_.ntotal}")
        with search.threads(self._threads):
            found, places = self._searcher(self._space.vectors(X.toarray() if issparse(X) else X), count)
        if self.index_metric == "L2":
            return found, places
        return (1 - found if self.index_metric == "COSINE" else -found), places

    @property
    def reduction_(self) -> reduction.Reduction | None:
        """The projection in use."""
        check_is_fitted(self, "index_")
        return self._space.reduction

    def kneighbors(self, X: Any, k: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """As `nearest`, with the Euclidean distance itself."""
        distances, places = self.nearest(X, k)
        return (np.sqrt(distances) if self.index_metric == "L2" else distances), places

    def predict(self, X: Any) -> np.ndarray:
        """(rows,) the class, or the mean label in float64."""
        return self.decide(self.nearest(X)[1])

    def decide(self, places: np.ndarray) -> np.ndarray:
        """What the neighbours at `places` (rows, k) say: (rows,) the class, or the mean label in float64."""
        labels = self.labels_[places]
        return self.classes_[votes.majority(labels)] if _classifies(self) else votes.mean(labels)

    @available_if(_classifies)
    def predict_proba(self, X: Any) -> np.ndarray:
        """(rows, classes) float64: the share of the neighbours that is of each class."""
        places = self.nearest(X)[1]
        return votes.shares(self.labels_[places], len(self.classes_))

    def score(self, X: Any, y: Any) -> float:
        """Accuracy of a classifier, R² of a regressor."""
        predicted = self.predict(X)
        truth = column_or_1d(y)
        return metrics.accuracy(truth, predicted) if _classifies(self) else metrics.r2(truth, predicted)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.input_tags.sparse = True
        if _classifies(self):
            tags.estimator_type, tags.classifier_tags = "classifier", ClassifierTags()
        else:
            tags.estimator_type, tags.regressor_tags = "regressor", RegressorTags()
        return tags

    def _check_parameters(self) -> None:
        for name in ("k", "nprobe", "pq_m"):
            require_whole(name, getattr(self, name))
        for name in ("sample_size", "dimension_reduction_target"):
            if getattr(self, name) is not None:
                require_whole(name, getattr(self, name))
        if self.ivf_nlists != "auto":
            require_whole("ivf_nlists", self.ivf_nlists)
        require_one_of("predictor_type", self.predictor_type, PREDICTOR_TYPES)
        require_one_of("index_type", self.index_type, search.INDEX_TYPES)
        require_one_of("index_metric", self.index_metric, METRICS)
        if self.dimension_reduction_type is not None:
            require_one_of("dimension_reduction_type", self.dimension_reduction_type, reduction.KINDS)
        if (self.dimension_reduction_type is None) != (self.dimension_reduction_target is None):
            raise ValueError("dimension_reduction_type and dimension_reduction_target go together: set both or none")
        require_device("device", self.device)
        if self.index_type == "IVFPQ" and self.index_metric != "L2":
            raise ValueError(f"index_type='IVFPQ' has index_metric='L2' only; got {self.index_metric!r}")

    def _coded(self, y: np.ndarray) -> np.ndarray:
        """Labels as codes of `classes_` (int64), or as numbers (float64)."""
        if not _classifies(self):
            return y.astype(np.float64)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        return codes

    def _build(self, rows: np.ndarray, labels: np.ndarray) -> None:
        if self.k > len(rows):
            raise ValueError(f"k={self.k} neighbours need as many rows; got n_samples={len(rows)}: lower k")
        plan = search.Plan(
            self.index_type,
            "L2" if self.index_metric == "L2" else "INNER_PRODUCT",
            search.automatic_lists(len(rows)) if self.ivf_nlists == "auto" else self.ivf_nlists,
            self.nprobe,
            self.pq_m,
            self.seed,
        )
        with search.threads(self._threads):
            index = search.build(self._make_space().vectors(rows), plan)
        self.labels_ = labels
        self._adopt(index)

    def _adopt(self, index: search.Index) -> None:
        self._space = self._make_space()
        if index.d != self._space.dimension:
            raise ValueError(f"vectors of {index.d} columns where these parameters make {self._space.dimension}")
        self.index_ = index
        self._searcher = search.Searcher(index, torch_device(self.device))

    def _make_space(self) -> Space:
        """Where rows become vectors; a projection's columns, or the rows' own, are a multiple of `pq_m` for IVFPQ."""
        columns, target = self.n_features_in_, self.dimension_reduction_target
        multiple = self.pq_m if self.index_type == "IVFPQ" else 1
        projection = None
        if self.dimension_reduction_type is not None and target is not None:
            if target >= columns:
                raise ValueError(f"dimension_reduction_target={target} must be below the columns of X, {columns}")
            raised = min(multiple_of(multiple, target), columns)
            projection = reduction.make(self.dimension_reduction_type, self.seed, columns, raised)
        dimension = multiple_of(multiple, projection.target_dim if projection else columns)
        return Space(columns, projection, self.index_metric == "COSINE", dimension)

    @property
    def _threads(self) -> int | None:
        return None if self.n_jobs in (None, -1) else self.n_jobs

    def _state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        document, arrays = super()._state()
        if "index_" in document:
            document.pop("index_")
            arrays["index_"] = search.to_bytes(self.index_)
        return document, arrays

    def _restore(self, document: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        index = arrays.pop("index_")
        super()._restore(document, arrays)
        if self.device.startswith("cuda") and (reason := obstacle()):
            warnings.warn(
                f"device={self.device!r} of the saved model cannot be used: {reason}; it runs on the CPU", stacklevel=2
            )
            self.device = "cpu"
        self._adopt(search.from_bytes(index))
