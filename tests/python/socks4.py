"""A SOCKS 4 and 4a proxy, Twisted's, on a free port that it prints. Ends with its input, so that a parent that dies
leaves nothing behind. One of the peers of tests/integration/proxy.
"""

import sys

from twisted.internet import reactor
from twisted.protocols.socks import SOCKSv4Factory

port = reactor.listenTCP(0, SOCKSv4Factory(None), interface="127.0.0.1")
print(port.getHost().port, flush=True)
reactor.callInThread(lambda: (sys.stdin.read(), reactor.callFromThread(reactor.stop)))
reactor.run()
