"""From a real vector to an index and back, with a gradient."""
