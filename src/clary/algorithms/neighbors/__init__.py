"""Nearest neighbours: k-NN on FAISS."""
