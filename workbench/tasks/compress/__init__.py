"""Compress: picture, tokens, bytes of a file, and back."""
