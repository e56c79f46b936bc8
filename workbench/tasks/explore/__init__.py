"""Explore: the Golay code and the Leech shell as things to look at, and how a model uses its codebook."""
