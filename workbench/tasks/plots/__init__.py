"""Plotly figures of what the other tasks compute."""
