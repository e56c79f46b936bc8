"""Open the workbench in the browser: `python app.py` from a checkout, `python -m workbench.ui` anywhere."""

from workbench.ui.app import main

if __name__ == "__main__":
    main()
