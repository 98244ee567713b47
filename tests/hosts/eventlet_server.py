"""The Flask application on eventlet's web server, with everything patched: ``python -m eventlet_server <socket>``."""

import signal
import socket
import sys
import warnings


def main(listener: int) -> None:
    # It says so of itself, to everybody who imports it.
    warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")
    import eventlet  # type: ignore[import-not-found]

    eventlet.monkey_patch()
    from eventlet import wsgi

    from hosts.flask_app import app

    # It ends like a server that is asked to.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    wsgi.server(socket.socket(fileno=listener), app, log_output=False)


if __name__ == "__main__":
    main(int(sys.argv[1]))
