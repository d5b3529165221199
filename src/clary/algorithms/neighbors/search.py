"""FAISS indexes: built, searched, and made exact where the index is flat.

J. Johnson, M. Douze and H. Jégou (2019), "Billion-scale similarity search with GPUs", IEEE Trans. Big Data; H. Jégou,
M. Douze and C. Schmid (2011), "Product quantization for nearest neighbor search", IEEE TPAMI 33(1).

The neighbours of a batch are found with a matrix product (`product`), as |x|² - 2xy + |y|²: fast, but what cancels in that sum
is lost, and a row's neighbours may depend on its company in the batch. `FlatSearch` therefore asks for a few candidates more,
computes their distances from differences, and has FAISS look again, row by row, where the error bound of the product does not
rule out all others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import faiss
import numpy as np

from clary.algorithms.neighbors.on_device import DeviceSearch
from clary.algorithms.neighbors.product import ProductSearch

IndexType = Literal["Flat", "IVFFlat", "IVFPQ"]
Metric = Literal["L2", "INNER_PRODUCT"]
INDEX_TYPES: tuple[IndexType, ...] = ("Flat", "IVFFlat", "IVFPQ")

Index = faiss.IndexFlat | faiss.IndexIVF

_BITS = 8
CENTROIDS = 1 << _BITS
"""Of each part of a vector under product quantization."""

_BATCH_ROWS = 6
"""From so many rows on the matrix product is faster than going through the vectors row by row."""
_CANDIDATE_BYTES = 32 << 20
_NEVER = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Plan:
    """How an index is built. `lists` and `probes` are of IVF, `parts` (columns are a multiple of it) of IVFPQ."""

    type: IndexType = "Flat"
    metric: Metric = "L2"
    lists: int = 1
    probes: int = 5
    parts: int = 8
    seed: int = 1234


def build(vectors: np.ndarray, plan: Plan) -> Index:
    """An index of `vectors` (n, columns) float32, C-contiguous. Raises `ValueError` when they are too few for `plan`."""
    columns = vectors.shape[1]
    metric = faiss.METRIC_L2 if plan.metric == "L2" else faiss.METRIC_INNER_PRODUCT
    index: Index
    if plan.type == "Flat":
        index = faiss.IndexFlat(columns, metric)
    else:
        index = _inverted(columns, metric, plan)
        _require_rows(len(vectors), plan)
        index.train(vectors)
    index.add(vectors)
    return index


def plan_of(index: Index) -> Plan:
    """The plan that `index` was built to, as far as the index tells."""
    metric: Metric = "L2" if index.metric_type == faiss.METRIC_L2 else "INNER_PRODUCT"
    if isinstance(index, faiss.IndexFlat):
        return Plan("Flat", metric)
    if isinstance(index, faiss.IndexIVFPQ):
        return Plan("IVFPQ", metric, index.nlist, index.nprobe, index.pq.M)
    return Plan("IVFFlat", metric, index.nlist, index.nprobe)


def to_bytes(index: Index) -> np.ndarray:
    """FAISS's own file format, (n,) uint8."""
    return faiss.serialize_index(index)


def from_bytes(data: np.ndarray) -> Index:
    """The index of `to_bytes`. Raises `ValueError` for anything else."""
    return _searchable(lambda: faiss.deserialize_index(data))


def to_file(index: Index, path: Path) -> None:
    """FAISS's own file format."""
    faiss.write_index(index, str(path))


def from_file(path: Path) -> Index:
    """The index in a file that FAISS wrote. Raises `ValueError` for any other."""
    return _searchable(lambda: faiss.read_index(str(path)))


def _searchable(read: Callable[[], faiss.Index]) -> Index:
    try:
        index = read()
    except RuntimeError as error:
        raise ValueError(f"no FAISS index: {error}") from error
    if not isinstance(index, faiss.IndexFlat | faiss.IndexIVFFlat | faiss.IndexIVFPQ):
        raise ValueError(f"a FAISS index of kind {type(index).__name__}; Flat, IVFFlat and IVFPQ can be searched")
    return index


def automatic_lists(rows: int) -> int:
    """The square root of the number of rows."""
    return max(1, math.isqrt(rows))


class Searcher:
    """Searches `index`, an `IndexFlat` or an IVF index over one; batches of a flat one on `device`, PyTorch's, if named."""

    def __init__(self, index: Index, device: str | None = None):
        self.index = index
        self._flat = FlatSearch(index, device) if isinstance(index, faiss.IndexFlat) else None

    def __call__(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The k nearest vectors of each of `queries` (rows, columns) float32.

        Returns (rows, k) float32 squared distances (L2, ascending) or inner products (descending), and (rows, k) int64 places
        of the vectors. `k` is at most the number of vectors.
        """
        queries = np.ascontiguousarray(queries, dtype=np.float32)
        if self._flat is not None:
            return self._flat(queries, k)
        found, places = self.index.search(queries, k)
        if (lost := np.flatnonzero(places[:, -1] < 0)).size:  # the lists that were looked at hold fewer than k
            found[lost], places[lost] = self._everywhere(queries[lost], k)
        return found, places

    def _everywhere(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Search all inverted lists."""
        parameters = faiss.SearchParametersIVF(nprobe=self.index.nlist)  # type: ignore[call-arg, union-attr]
        return self.index.search(queries, k, params=parameters)


@contextmanager
def threads(number: int | None) -> Iterator[None]:
    """FAISS with `number` threads; as many as it has when None."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(number or before)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def _inverted(columns: int, metric: int, plan: Plan) -> faiss.IndexIVF:
    quantizer = faiss.IndexFlat(columns, metric)
    index: faiss.IndexIVF
    if plan.type == "IVFFlat":
        index = faiss.IndexIVFFlat(quantizer, columns, plan.lists, metric)
    else:
        index = faiss.IndexIVFPQ(quantizer, columns, plan.lists, plan.parts, _BITS, metric)
        index.pq.cp.seed = plan.seed
        index.pq.cp.min_points_per_centroid = 1
    index.nprobe = min(plan.probes, plan.lists)
    index.cp.seed = plan.seed
    index.cp.min_points_per_centroid = 1  # else FAISS writes advice to stderr that callers cannot catch
    return index


def _require_rows(rows: int, plan: Plan) -> None:
    if rows < plan.lists:
        raise ValueError(f"{plan.lists} inverted lists need as many rows; there are {rows}: ask for fewer lists")
    if plan.type == "IVFPQ" and rows < CENTROIDS:
        raise ValueError(f"IVFPQ learns {CENTROIDS} centroids and needs as many rows; there are {rows}: use IVFFlat or Flat")


class FlatSearch:
    """Exact search of a flat index, the same for a row alone and in company."""

    def __init__(self, index: faiss.IndexFlat, device: str | None = None):
        self._index = index
        self._ascending = index.metric_type == faiss.METRIC_L2
        self._vectors = faiss.rev_swig_ptr(index.get_xb(), index.ntotal * index.d).reshape(index.ntotal, index.d)
        squares = np.einsum("nd,nd->n", self._vectors, self._vectors)
        self._largest = math.sqrt(float(squares.max(initial=0)))
        offsets = squares / 2 if self._ascending else None
        self._product: ProductSearch | DeviceSearch
        if device is None:
            self._product = ProductSearch(self._vectors, offsets)
        else:
            self._product = DeviceSearch(self._vectors, offsets, device)

    def __call__(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """As `Searcher`."""
        candidates = min(self._index.ntotal, k + max(8, k // 4))
        if len(queries) < _BATCH_ROWS or candidates == k:
            found, places = self._ordered(queries, self._row_by_row(queries, k))
            return found, places
        products, places = self._product(queries, candidates, faiss.omp_get_max_threads())
        found, places = self._ordered(queries, places)
        doubtful = np.flatnonzero(~self._certain(queries, found[:, k - 1], products[:, -1]))
        if doubtful.size:
            again = self._row_by_row(queries[doubtful], k)
            found[doubtful, :k], places[doubtful, :k] = self._ordered(queries[doubtful], again)
        return found[:, :k], places[:, :k]

    def _row_by_row(self, queries: np.ndarray, k: int) -> np.ndarray:
        """Places (rows, k) by FAISS's search without the product."""
        before = faiss.cvar.distance_compute_blas_threshold
        faiss.cvar.distance_compute_blas_threshold = _NEVER
        try:
            return self._index.search(queries, k)[1]
        finally:
            faiss.cvar.distance_compute_blas_threshold = before

    def _ordered(self, queries: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Distances to the vectors at `places` (rows, n), computed from differences, and both in order, nearest first."""
        found = np.empty(places.shape, dtype=np.float32)
        step = max(1, _CANDIDATE_BYTES // (4 * places.shape[1] * self._index.d))
        for start in range(0, len(queries), step):
            rows = slice(start, start + step)
            found[rows] = self._distances(queries[rows], self._vectors[places[rows]])
        order = np.lexsort((places, found if self._ascending else -found), axis=1)  # equally near ones by their places
        return np.take_along_axis(found, order, 1), np.take_along_axis(places, order, 1)

    def _distances(self, queries: np.ndarray, near: np.ndarray) -> np.ndarray:
        """(rows, n) from `near` (rows, n, columns), which is overwritten."""
        if not self._ascending:
            return np.einsum("rnd,rd->rn", near, queries)
        near -= queries[:, None]
        return np.einsum("rnd,rnd->rn", near, near)

    def _certain(self, queries: np.ndarray, kth: np.ndarray, last: np.ndarray) -> np.ndarray:
        """(rows,) bool: no vector beyond the candidates is nearer than the k-th.

        `kth` is its distance, `last` the smallest product of a candidate, x·y, for L2 less |y|²/2. The distance that it stands
        for is off by up to (d + 4) u (|x| + |y|)², where u is the unit roundoff of float32 (N. Higham, Accuracy and Stability
        of Numerical Algorithms, section 3.1). A product that is no finite number is never certain.
        """
        lengths = np.linalg.norm(queries, axis=1).astype(np.float64)
        error = (self._index.d + 4) * 2.0**-24 * (lengths + self._largest) ** 2
        certain = kth <= lengths**2 - 2.0 * last - error if self._ascending else kth >= last + error
        return certain & np.isfinite(last)
