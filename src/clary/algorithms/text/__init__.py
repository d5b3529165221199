"""Texts.

- lda             the estimator of topics
- moments         the words' first three moments, whitened
- tensor_power    the decomposition of the third
- topics          EM: polishing topics, inferring mixtures
"""
