"""The extended binary Golay code and its trio of octads."""
