"""``python -m manylabel``: the command line without an installed script."""

from manylabel.cli import main

if __name__ == "__main__":
    main()
