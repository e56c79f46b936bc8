"""Search kernels for NVIDIA GPUs."""
