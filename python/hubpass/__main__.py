"""Entry point of `python -m hubpass`."""

from hubpass.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
