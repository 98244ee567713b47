"""Settings of gunicorn for gevent workers of a preloaded application: all is patched before that is imported."""

from gevent import monkey  # type: ignore[import-untyped]

monkey.patch_all()
