"""Nearest codeword, exact on every device."""
