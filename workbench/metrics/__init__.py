"""Distortion, perceptual and distribution distances, codebook use, rate."""
