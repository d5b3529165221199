"""The random cut forest against its definition: closed forms of tiny sets, a plain recursion, rrcf, and its invariants."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.utils.estimator_checks import parametrize_with_checks

from clary.algorithms import RandomCutForest, checks
from clary.algorithms.anomaly.forest import NONE, Forest
from clary.algorithms.anomaly.reservoir import Reservoir
from clary.algorithms.anomaly.shingle import shingles

ESTIMATORS = [RandomCutForest(num_trees=20), RandomCutForest(10, 16, threshold=2.0, seed=3, n_jobs=2)]
small_sets = arrays.arrays(np.float32, st.tuples(st.integers(1, 30), st.integers(1, 3)), elements=st.integers(-4, 4).map(float))


@parametrize_with_checks(ESTIMATORS)
def test_scikit_learns_checks_pass(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=repr)
@pytest.mark.parametrize("check", checks.ALL, ids=lambda check: check.__name__)
def test_estimators_keep_the_contract(estimator, check):
    X = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32)
    check(estimator, X, np.zeros(200, np.float32))


# --- the plain form ---------------------------------------------------------------------------------------------------


class Node:
    """A tree of `forest` as objects: the reference that the kernels are held against."""

    def __init__(self, forest: Forest, tree: int, node: int, columns: int):
        capacity = forest.key.shape[1]
        self.mass = int(forest.mass[tree, node])
        self.number = node
        self.children = []
        if node < capacity:
            self.points = forest.vectors[tree, node : node + 1, :columns]
            self.low = self.high = self.points[0]
            return
        self.column, self.cut = int(forest.column[tree, node]), forest.cut[tree, node]
        self.children = [Node(forest, tree, int(child), columns) for child in forest.child[tree, node]]
        self.points = np.concatenate([child.points for child in self.children])
        self.low, self.high = forest.vectors[tree, 2 * node - capacity : 2 * node - capacity + 2, :columns]

    def gaps(self, x):
        """(2, columns): how far x lies below and above the box of the points."""
        low, high = self.points.min(axis=0), self.points.max(axis=0)
        return np.maximum([low - x, x - high], 0).astype(np.float64)

    def separation(self, x):
        """The chance that a cut of the box that also holds x cuts x off."""
        outside = self.gaps(x).sum()
        return outside / (outside + np.ptp(self.points, axis=0).sum()) if outside else 0.0

    def side(self, x):
        return self.children[int(x[self.column] > self.cut)]

    def score(self, x, total, depth=0):
        p, unseen = self.separation(x), 1 / (depth + 1)
        if self.children:
            return p * unseen + (1 - p) * self.side(x).score(x, total, depth + 1)
        return unseen if p else (1 - self.mass / (2 * total)) / (depth + math.log2(self.mass + 1))

    def displacement(self, x, largest=0.0):
        p = self.separation(x)
        own = p * max(largest, self.mass)
        if not self.children:
            return own + (1 - p) * largest
        inside = self.side(x)
        (sibling,) = [child for child in self.children if child is not inside]
        return own + (1 - p) * inside.displacement(x, max(largest, sibling.mass / (inside.mass + 1)))


def trees_of(model: RandomCutForest) -> list[Node | None]:
    forest = model.forest_
    columns = model.n_features_in_ * model.shingle_size
    roots = enumerate(forest.root)
    return [None if root == NONE else Node(forest, tree, int(root), columns) for tree, root in roots]


def expected_score(points, x, depth=0, total=None):
    """The score of x by all trees over distinct points, each by its chance: every cut between neighbours of every column."""
    total = total or len(points)
    low, high = points.min(axis=0), points.max(axis=0)
    outside = np.maximum(np.maximum(low - x, x - high), 0).sum()
    p = outside / (outside + (high - low).sum()) if outside else 0.0
    if len(points) == 1:
        return 1 / (depth + 1) if p else (1 - 1 / (2 * total)) / (depth + 1)
    below = 0.0
    for column in range(points.shape[1]):
        values = np.unique(np.append(points[:, column], np.clip(x[column], low[column], high[column])))
        for a, b in itertools.pairwise(values):
            left = points[:, column] <= a
            side = points[left] if x[column] <= a else points[~left]
            below += (b - a) / (high - low).sum() * expected_score(side, x, depth + 1, total)
    return p / (depth + 1) + (1 - p) * below


# --- scores -----------------------------------------------------------------------------------------------------------


def test_two_points_score_as_computed_by_hand():
    model = RandomCutForest(num_trees=3, num_samples_per_tree=2).fit([[0.0], [1.0]])
    scores = model.anomaly_scores([[3.0], [0.0], [0.5]])
    # 3: cut off from [0, 1] with chance 2/3 at depth 0, else from {1} at depth 1
    np.testing.assert_allclose(scores[0], (2 / 3 + 1 / 3 * 1 / 2) * math.log2(3), rtol=1e-6)
    np.testing.assert_allclose(scores[1], (1 - 1 / 4) / (1 + math.log2(2)) * math.log2(3), rtol=1e-6)
    np.testing.assert_allclose(scores[2], 1 / 2 * math.log2(3), rtol=1e-6)


@pytest.mark.parametrize("x", [[0.5, 0.5], [3.0, -1.0], [1.0, 2.0], [9.0, 0.0]])
def test_the_mean_score_of_many_trees_is_the_closed_form(x):
    points = np.array([[0, 0], [1, 2], [4, 1], [2, 5]], np.float32)
    exact = expected_score(points, np.array(x, np.float32)) * math.log2(len(points) + 1)
    model = RandomCutForest(4000, 4).fit(points)
    each = np.array([tree.score(np.array(x, np.float32), 4) for tree in trees_of(model)]) * math.log2(5)
    assert abs(each.mean() - exact) < 4 * each.std() / math.sqrt(len(each)) + 1e-9
    np.testing.assert_allclose(model.anomaly_scores([x])[0], each.mean(), rtol=1e-6)


def test_trees_after_inserting_and_forgetting_are_as_if_never_inserted():
    points = np.array([[0, 0], [1, 2], [4, 1], [2, 5]], np.float32)
    passing = np.array([[9, -3], [2, 2], [-5, 7], [1, 3]], np.float32)
    model = RandomCutForest(4000, 8).fit(points)
    model.partial_fit(passing)
    assert model.forget(passing) == 4 * 4000
    for x in np.array([[3, -1], [1, 1.5], [6, 6]], np.float32):
        exact = expected_score(points, x) * math.log2(5)
        each = np.array([tree.score(x, 4) for tree in trees_of(model)]) * math.log2(5)
        assert abs(each.mean() - exact) < 4 * each.std() / math.sqrt(len(each)) + 1e-9


@settings(max_examples=40, deadline=None)
@given(points=small_sets, seed=st.integers(0, 1000))
def test_scores_and_displacements_are_those_of_the_plain_recursion(points, seed):
    model = RandomCutForest(3, 12, seed=seed).fit(points)
    queries = np.concatenate([points, points + 0.5, points * 3])
    trees = trees_of(model)
    scores = [sum(tree.score(x, tree.mass) * math.log2(tree.mass + 1) for tree in trees) / 3 for x in queries]
    np.testing.assert_allclose(model.anomaly_scores(queries), scores, rtol=1e-5)
    displacements = [sum(tree.displacement(x) for tree in trees) / 3 for x in queries]
    np.testing.assert_allclose(model.displacement_scores(queries), displacements, rtol=1e-5, atol=1e-6)


def test_rows_in_blocks_and_one_by_one_score_the_same_bits():
    rng = np.random.default_rng(1)
    X = np.round(rng.normal(size=(500, 20)), 1)
    model = RandomCutForest(10, 64).fit(X)
    together = model.anomaly_scores(X)
    np.testing.assert_array_equal(together, np.concatenate([model.anomaly_scores(X[i : i + 50]) for i in range(0, 500, 50)]))
    np.testing.assert_array_equal(together, model.set_params(n_jobs=3).anomaly_scores(X))


@settings(max_examples=30, deadline=None)
@given(points=small_sets)
def test_attribution_sums_to_the_score(points):
    model = RandomCutForest(5, 16).fit(points)
    queries = np.concatenate([points, points + 0.5, points * 3])
    low, high = model.attribution(queries)
    assert low.shape == high.shape == queries.shape
    assert min(low.min(), high.min()) >= 0
    np.testing.assert_allclose((low + high).sum(axis=1), model.anomaly_scores(queries), rtol=1e-5)


def test_attribution_names_the_column_and_the_side():
    X = np.random.default_rng(0).normal(size=(500, 3))
    low, high = RandomCutForest(50).fit(X).attribution([[0, 0, 9], [-9, 0, 0]])
    assert high[0, 2] > 0.8 * (low[0] + high[0]).sum()
    assert low[1, 0] > 0.8 * (low[1] + high[1]).sum()


def test_displacement_is_rrcfs_codisp():
    rrcf = pytest.importorskip("rrcf")
    rng = np.random.default_rng(0)
    points, x = rng.normal(size=(32, 2)), np.array([2.5, -1.0])
    np.random.seed(0)  # rrcf draws from NumPy's global state
    theirs = []
    for _ in range(300):
        tree = rrcf.RCTree(points)
        tree.insert_point(x, index=99)
        theirs.append(tree.codisp(99))
    model = RandomCutForest(2000, 32).fit(points)
    ours = np.array([tree.displacement(x.astype(np.float32)) for tree in trees_of(model)])
    noise = math.hypot(np.std(theirs) / math.sqrt(300), ours.std() / math.sqrt(2000))
    assert abs(ours.mean() - np.mean(theirs)) < 4 * noise


def test_more_trees_mean_less_noise():
    X = np.random.default_rng(0).normal(size=(600, 2))

    def spread(trees):
        return np.std([RandomCutForest(trees, 64, seed=seed).fit(X).anomaly_scores(X[:50]) for seed in range(6)], axis=0).mean()

    assert spread(64) < 0.6 * spread(8)


# --- trees ------------------------------------------------------------------------------------------------------------


def assert_sound(model: RandomCutForest) -> None:
    """Boxes, masses, links, sample and spare places of every tree say the same."""
    forest = model.forest_
    capacity = forest.key.shape[1]
    for tree, root in enumerate(trees_of(model)):
        filled = int(forest.filled[tree])
        if root is None:
            assert filled == 0
            continue
        assert root.mass == filled
        nodes = list(walk(root))
        for node in nodes:
            np.testing.assert_array_equal(node.low, node.points.min(axis=0))
            np.testing.assert_array_equal(node.high, node.points.max(axis=0))
            if not node.children:
                assert follow(root, node.points[0]) is node
                assert node.mass == (forest.member[tree, :filled] == node.number).sum()
                continue
            assert node.mass == sum(child.mass for child in node.children)
            assert all(forest.parent[tree, child.number] == node.number for child in node.children)
            np.testing.assert_allclose(forest.side[tree, node.number], np.ptp(node.points, axis=0).sum(), rtol=1e-6)
            left, right = node.children
            assert left.points[:, node.column].max() <= node.cut < right.points[:, node.column].min()
        spare = {int(place) for kind in range(2) for place in forest.free[tree, kind, forest.used[tree, kind] :]}
        assert spare.isdisjoint(node.number for node in nodes)
        assert len(spare) + len(nodes) == 2 * capacity
        keys = forest.key[tree, :filled]
        assert all(keys[(i - 1) // 2] >= keys[i] for i in range(1, filled))


def walk(node):
    yield node
    for child in node.children:
        yield from walk(child)


def follow(node, x):
    return follow(node.side(x), x) if node.children else node


@settings(max_examples=40, deadline=None)
@given(points=small_sets, decay=st.sampled_from([0.0, 0.05, 0.5]), gone=st.integers(0, 30), seed=st.integers(0, 100))
def test_trees_stay_sound_while_points_come_and_go(points, decay, gone, seed):
    model = RandomCutForest(3, 8, time_decay=decay, seed=seed)
    model.partial_fit(points)
    assert_sound(model)
    model.forget(points[:gone]) if gone else None
    assert_sound(model)
    model.partial_fit(points + 1)
    assert_sound(model)


def test_cuts_fall_by_the_sides_of_the_box():
    points = np.array([[0, 0], [3, 1]], np.float32)
    forest = RandomCutForest(4000, 2).fit(points).forest_
    cut_columns = forest.column[np.arange(4000), forest.root]
    assert abs((cut_columns == 0).mean() - 3 / 4) < 4 * math.sqrt(3 / 16 / 4000)
    cuts = forest.cut[np.arange(4000), forest.root][cut_columns == 0]
    assert abs(cuts.mean() - 1.5) < 4 * 3 / math.sqrt(12 * len(cuts))


def test_close_floats_are_cut_apart():
    a = np.float32(1e6)
    points = np.array([[a], [np.nextafter(a, np.float32(np.inf))]], np.float32)
    model = RandomCutForest(50, 2).fit(points)
    assert_sound(model)
    assert (model.forest_.used[:, 0] == 2).all()


# --- samples and streams ----------------------------------------------------------------------------------------------


def held(model: RandomCutForest) -> np.ndarray:
    """The values, one column, that the trees hold."""
    return np.concatenate([tree.points[:, 0] for tree in trees_of(model)])


@pytest.mark.parametrize("decay", [0.0, 0.05])
def test_a_stream_is_sampled_by_its_faded_weights(decay):
    rows, capacity, trees = 60, 5, 3000
    model = RandomCutForest(trees, capacity, time_decay=decay).partial_fit(np.arange(rows, dtype=np.float32)[:, None])
    found = np.bincount(held(model).astype(int), minlength=rows) / trees
    rng = np.random.default_rng(0)
    keys = np.log(rng.exponential(size=(20_000, rows))) - decay * np.arange(rows)
    wanted = np.bincount(np.argsort(keys, axis=1)[:, :capacity].ravel(), minlength=rows) / 20_000
    assert np.abs(found - wanted).max() < 5 * math.sqrt(wanted.max() / trees)


def test_a_stream_goes_on_from_a_batch():
    model = RandomCutForest(3000, 5, time_decay=0.0).fit(np.arange(20, dtype=np.float32)[:, None])
    model.partial_fit(np.arange(20, 40, dtype=np.float32)[:, None])
    found = np.bincount(held(model).astype(int), minlength=40) / 3000
    assert np.abs(found - 5 / 40).max() < 5 * math.sqrt(5 / 40 / 3000)


def test_a_stream_in_pieces_is_the_stream():
    X = np.random.default_rng(0).normal(size=(300, 2))
    whole, pieces = RandomCutForest(10, 32, shingle_size=3), RandomCutForest(10, 32, shingle_size=3)
    scores = whole.score_then_learn(X)
    np.testing.assert_allclose(np.concatenate([pieces.score_then_learn(part) for part in np.split(X, 100)]), scores)
    assert (scores[:2] == 0).all()
    assert (scores[3:] > 0).all()
    assert_sound(whole)


def test_threads_change_nothing():
    X = np.random.default_rng(0).normal(size=(300, 2))
    scores = [RandomCutForest(20, 32, n_jobs=jobs).score_then_learn(X) for jobs in (1, 3)]
    np.testing.assert_array_equal(*scores)


def test_a_saved_stream_goes_on_as_if_it_had_not_stopped(tmp_path):
    X = np.random.default_rng(0).normal(size=(400, 2))
    model = RandomCutForest(10, 32, shingle_size=4).partial_fit(X[:200])
    model.save(tmp_path / "forest")
    loaded = RandomCutForest.load(tmp_path / "forest")
    np.testing.assert_array_equal(loaded.anomaly_scores(X), model.anomaly_scores(X))
    np.testing.assert_array_equal(loaded.score_then_learn(X[200:]), model.score_then_learn(X[200:]))
    assert loaded.offset_ == model.offset_


def test_a_spike_in_a_sine_scores_top():
    wave = np.sin(np.arange(2000) / 10) + np.random.default_rng(0).normal(0, 0.05, 2000)
    wave[1500] += 3
    scores = RandomCutForest(50, shingle_size=8).score_then_learn(wave[:, None])
    assert 1500 <= scores[500:].argmax() + 500 < 1508


def test_an_old_regime_is_forgotten_and_the_threshold_follows():
    rng = np.random.default_rng(0)
    model = RandomCutForest(50, 64, time_decay=0.01).partial_fit(rng.normal(0, 1, (1000, 1)))
    assert model.predict([[20.0]]) == [-1]
    model.partial_fit(rng.normal(20, 1, (2000, 1)))
    assert model.predict([[20.0]]) == [1]
    assert model.anomaly_scores([[0.0]]) > 2 * model.anomaly_scores([[20.0]])


def test_shingles_are_the_rows_and_those_before():
    rows = np.arange(8, dtype=np.float32).reshape(4, 2)
    np.testing.assert_array_equal(shingles(rows, 3), [[0, 1, 2, 3, 4, 5], [2, 3, 4, 5, 6, 7]])
    assert shingles(rows, 5).shape == (0, 10)


def test_reservoirs_of_parts_merge_into_a_uniform_sample():
    counts = np.zeros(60)
    for seed in range(2000):
        hosts = [Reservoir(6, seed, rank) for rank in range(3)]
        for rank, host in enumerate(hosts):
            for part in np.split(np.arange(60, dtype=np.float32)[20 * rank : 20 * rank + 20, None], 4):
                host.add(part)
        merged = hosts[0].merge([host.state() for host in hosts])
        assert merged.seen == 60
        counts[merged.sample()[:, 0].astype(int)] += 1
    assert counts.sum() == 6 * 2000
    assert np.abs(counts / 2000 - 0.1).max() < 5 * math.sqrt(0.09 / 2000)


@pytest.mark.parametrize("points", [1, 7, 256])
def test_equal_rows_are_no_outliers(points):
    X = np.full((77, 3), 0.1)
    for model in (RandomCutForest(30, points).fit(X), RandomCutForest(30, points).partial_fit(X)):
        assert (model.predict(X) == 1).all()
        np.testing.assert_allclose(model.anomaly_scores(X), 0.5, rtol=1e-6)


def test_small_data_fills_every_tree_without_repeating_a_row():
    X = np.arange(10, dtype=np.float32)[:, None]
    model = RandomCutForest(7, 8).fit(X)
    assert all(len(np.unique(tree.points)) == 8 for tree in trees_of(model))
    assert len(np.unique(held(model))) == 10


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"num_trees": 0}, "num_trees must be a whole number from 1"),
        ({"num_samples_per_tree": 2.5}, "num_samples_per_tree must be a whole number"),
        ({"shingle_size": 0}, "shingle_size must be"),
        ({"time_decay": 1.0}, "time_decay must be"),
        ({"threshold": 0}, "threshold must be"),
        ({"shingle_size": 50}, "shingle_size=50 needs"),
    ],
)
def test_what_is_wrong_is_named(parameters, words):
    with pytest.raises(ValueError, match=words):
        RandomCutForest(**parameters).fit(np.zeros((20, 2)))


def test_values_that_would_overflow_are_refused():
    with pytest.raises(ValueError, match="beyond 1e\\+30"):
        RandomCutForest().fit([[1e35], [0.0]])
