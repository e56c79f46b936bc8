"""`python -m workbench.ui` opens the app."""

from workbench.ui.app import main

if __name__ == "__main__":
    main()
