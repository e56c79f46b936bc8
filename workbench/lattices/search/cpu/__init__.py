"""Search kernels for the CPU."""
