"""Runnable training scripts, thin over `workbench.fit`."""
