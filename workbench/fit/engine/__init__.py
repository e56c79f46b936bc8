"""The training engine: loop, state, checkpoints, processes, cost."""
