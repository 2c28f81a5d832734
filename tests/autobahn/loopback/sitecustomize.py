"""Makes wstest listen on loopback only, which it has no option for: every Python process with this folder on its
PYTHONPATH runs this file first, and `run` puts it on that of wstest alone. Python 2.7 and 3."""

from twisted.internet import tcp

listen = tcp.Port.__init__


def listen_on_loopback(self, port, factory, backlog=50, interface='', reactor=None):
    listen(self, port, factory, backlog, interface or '127.0.0.1', reactor)


tcp.Port.__init__ = listen_on_loopback
