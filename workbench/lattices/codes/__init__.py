"""Codes: the Leech shells, smaller lattices, random and Fibonacci points, and their registry."""
