"""Serve the workbench as a Space: on all addresses, on the port that the hub forwards to."""

from workbench.ui.app import main

if __name__ == "__main__":
    main(["--host", "0.0.0.0", "--port", "7860", "--no-browser"])
