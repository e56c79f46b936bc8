"""Learning: one engine that survives interruptions, and the tasks and recipes that run on it."""
