"""Entry point of `python -m hubpass.emulator`."""

from hubpass.emulator.command_line import main

if __name__ == "__main__":
    raise SystemExit(main())
