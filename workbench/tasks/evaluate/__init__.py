"""Evaluate: how good a model is, with the protocol beside every number."""
