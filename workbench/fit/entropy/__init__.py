"""Fitting the entropy models of a tokenizer."""
