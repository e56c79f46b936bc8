"""Exact sums, best lists and samples over all codewords of the Leech shell."""
