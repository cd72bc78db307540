"""``python -m minihv`` is the command ``minihv``."""

from minihv.cli.main import main

if __name__ == "__main__":
    main()
