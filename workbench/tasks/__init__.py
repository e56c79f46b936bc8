"""The verbs: reconstruct, generate, compress, evaluate, explore, fit, bench."""
