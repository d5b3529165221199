"""Recommendation and other very sparse data: factorization machines.

- factorization_machines   the estimator
- parameters               what a machine learns, how it starts, and its scores
- adam                     mini-batch training, also of streams
- gibbs                    Bayesian training by sampling
- lanes                    eight numbers at once, for the kernels
"""
