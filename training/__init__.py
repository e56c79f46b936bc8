"""Runnable training scripts, thin over `workbench.tasks.fit`."""
