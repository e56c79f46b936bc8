"""Heads: from a transformer's features to a law on the codewords, three kinds behind one interface (`head.py`)."""
