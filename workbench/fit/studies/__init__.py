"""Controlled comparisons: quantizers, and heads."""
