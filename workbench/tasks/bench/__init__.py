"""Measurements of speed and memory, each of one thing, in a form that prints and compares."""
