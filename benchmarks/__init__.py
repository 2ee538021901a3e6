"""Runnable comparisons of Tunebook with its peers: ``python -m benchmarks list``."""
