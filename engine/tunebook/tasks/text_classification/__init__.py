"""Classifying texts with transformers."""
