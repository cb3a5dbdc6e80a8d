"""Lets `python -m syncline` do what the `syncline` command does."""

from syncline.cli import main

if __name__ == "__main__":
    main()
