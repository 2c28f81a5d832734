"""Clients of the server that tests/integration/real_clients/served.rs describes: `websocket-client` and `websockets`, each in
both of its manners. Each goes through everything below, and the process ends with status 1 at the first thing that is wrong.

    python clients.py MANNER URL [CA.pem]     create_connection, WebSocketApp, sync or asyncio, over ws or wss
    python clients.py compression URL...      `websockets`, to servers that compress with the parameters 0 to 15
"""

import asyncio
import faulthandler
import queue
import random
import ssl
import sys
import threading
import time
from urllib.parse import quote

import websocket
import websockets
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

# Before the test's own limit, with a word on where it hangs.
faulthandler.dump_traceback_later(50, exit=True)
PATIENCE = 20

# Around every length at which a frame's head changes, and enough for many reads and writes.
SIZES = [0, 1, 2, 125, 126, 127, 65_535, 65_536, 65_537, 1 << 20, 16 << 20]
CLOSINGS = [(1000, ""), (1001, "going down"), (1011, "überlastet"), (3000, ""), (4999, "x" * 123)]


class CreateConnection:
    """websocket.create_connection: nothing happens but in a call."""

    def __init__(self, url, authority, subprotocols=None, header=None):
        self.connection = websocket.create_connection(
            url,
            timeout=PATIENCE,
            sslopt={"ca_certs": authority},
            subprotocols=subprotocols,
            header=header,
            http_no_proxy=["*"],
            # Decoding looks at the same, and it does so byte by byte in Python.
            skip_utf8_validation=True,
        )
        self.subprotocol = self.connection.getsubprotocol()
        self.headers = self.connection.getheaders()

    def send(self, message):
        self.connection.send(message, websocket.ABNF.OPCODE_TEXT if isinstance(message, str) else websocket.ABNF.OPCODE_BINARY)

    def send_in_pieces(self, pieces, text):
        send_frames(self.connection, pieces, text)

    def recv(self):
        return self.connection.recv()

    def ping(self, payload):
        """Gives the payload of the pong."""
        self.connection.ping(payload)
        opcode, data = self.connection.recv_data(control_frame=True)
        assert opcode == websocket.ABNF.OPCODE_PONG, opcode
        return data

    def ended(self):
        """Waits for the server to close; gives code and reason."""
        try:
            opcode, data = self.connection.recv_data(control_frame=True)
        except (websocket.WebSocketConnectionClosedException, ConnectionResetError):
            return 1006, ""
        assert opcode == websocket.ABNF.OPCODE_CLOSE, opcode
        return int.from_bytes(data[:2], "big"), data[2:].decode()

    def close(self, code=1000, reason=""):
        self.connection.close(code, reason.encode())

    def drop(self):
        self.connection.shutdown()


class WebSocketApp:
    """websocket.WebSocketApp on a thread of its own."""

    # It looks at text in Python, byte by byte.
    sizes_of_text = [size for size in SIZES if size <= 1 << 20]

    def __init__(self, url, authority, subprotocols=None, header=None):
        self.calls = queue.Queue()
        self.app = websocket.WebSocketApp(
            url,
            header=header,
            subprotocols=subprotocols,
            on_open=lambda app: self.calls.put(("open", (app.sock.getsubprotocol(), app.sock.getheaders()))),
            on_message=lambda app, message: self.calls.put(("message", message)),
            on_pong=lambda app, payload: self.calls.put(("pong", payload)),
            on_error=lambda app, error: self.calls.put(("error", error)),
            on_close=lambda app, code, reason: self.calls.put(("close", (code, reason))),
        )
        options = {"sslopt": {"ca_certs": authority}, "http_no_proxy": ["*"]}
        self.thread = threading.Thread(target=self.app.run_forever, kwargs=options, daemon=True)
        self.thread.start()
        what, value = self.calls.get(timeout=PATIENCE)
        if what == "error":
            raise value
        self.subprotocol, self.headers = value

    def next(self, expected):
        what, value = self.calls.get(timeout=PATIENCE)
        assert what == expected, f"{what}: {value!r}"
        return value

    def send(self, message):
        self.app.send(message, websocket.ABNF.OPCODE_TEXT if isinstance(message, str) else websocket.ABNF.OPCODE_BINARY)

    def send_in_pieces(self, pieces, text):
        send_frames(self.app.sock, pieces, text)

    def recv(self):
        return self.next("message")

    def ping(self, payload):
        self.app.sock.ping(payload)
        return self.next("pong")

    def ended(self):
        what, value = self.calls.get(timeout=PATIENCE)
        if what == "error":
            # That of a connection that is lost; an app with an on_error still has its on_close.
            what, value = self.calls.get(timeout=PATIENCE)
        self.thread.join(PATIENCE)
        assert what == "close", f"{what}: {value!r}"
        return (1006, "") if value[0] is None else (value[0], value[1] or "")

    def close(self, code=1000, reason=""):
        # app.close() would read the server's answer on this thread, while the app's own waits for it.
        self.app.sock.send_close(code, reason.encode())
        same(self.ended(), (code, ""))

    def drop(self):
        self.app.sock.shutdown()


def send_frames(connection, pieces, text):
    opcode = websocket.ABNF.OPCODE_TEXT if text else websocket.ABNF.OPCODE_BINARY
    for i, piece in enumerate(pieces):
        fin = int(i == len(pieces) - 1)
        connection.send_frame(websocket.ABNF.create_frame(piece, opcode, fin))
        opcode = websocket.ABNF.OPCODE_CONT


class Sync:
    """websockets.sync.client."""

    def __init__(self, url, authority, subprotocols=None, header=None, **options):
        from websockets.sync.client import connect

        self.connection = connect(url, **settings(url, authority, subprotocols, header, options))
        self.subprotocol = self.connection.subprotocol
        self.headers = lower(self.connection.response.headers)

    def send(self, message):
        self.connection.send(message)

    def send_in_pieces(self, pieces, text):
        self.connection.send(iter(pieces), text=text)

    def recv(self):
        return self.connection.recv(timeout=PATIENCE)

    def ping(self, payload):
        assert self.connection.ping(payload).wait(PATIENCE)
        return payload

    def ended(self):
        try:
            message = self.connection.recv(timeout=PATIENCE)
        except websockets.ConnectionClosed:
            return self.connection.close_code, self.connection.close_reason
        raise AssertionError(f"received {message!r}")

    def close(self, code=1000, reason=""):
        self.connection.close(code, reason)
        # The server's, which repeats the code (RFC 6455 §5.5.1).
        same(self.connection.close_code, code)

    def drop(self):
        self.connection.socket.shutdown(2)


class Asyncio:
    """websockets.asyncio.client, in a loop that runs on a thread of its own."""

    def __init__(self, url, authority, subprotocols=None, header=None):
        from websockets.asyncio.client import connect

        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

        async def connected():
            return await connect(url, **settings(url, authority, subprotocols, header, {}))

        self.connection = self.run(connected())
        self.subprotocol = self.connection.subprotocol
        self.headers = lower(self.connection.response.headers)

    def run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(PATIENCE)

    def send(self, message):
        self.run(self.connection.send(message))

    def send_in_pieces(self, pieces, text):
        self.run(self.connection.send(iter(pieces), text=text))

    def recv(self):
        return self.run(self.connection.recv())

    def ping(self, payload):
        async def there_and_back():
            await (await self.connection.ping(payload))

        self.run(there_and_back())
        return payload

    def ended(self):
        self.run(self.connection.wait_closed())
        return self.connection.close_code, self.connection.close_reason

    def close(self, code=1000, reason=""):
        self.run(self.connection.close(code, reason))
        same(self.connection.close_code, code)

    def drop(self):
        self.loop.call_soon_threadsafe(self.connection.transport.abort)


def settings(url, authority, subprotocols, header, options):
    tls = ssl.create_default_context(cafile=authority) if url.startswith("wss:") else None
    return {
        "ssl": tls,
        "subprotocols": subprotocols,
        "additional_headers": header,
        "compression": None,
        "max_size": None,
        "ping_interval": None,
        "proxy": None,
        **options,
    }


def lower(headers):
    return {name.lower(): value for name, value in headers.raw_items()}


def text_of_every_size(open):
    connection = open("/echo")
    for size in getattr(connection, "sizes_of_text", SIZES):
        message = text(size)
        connection.send(message)
        same(connection.recv(), message)
    connection.close()


def binary_of_every_size(open):
    connection = open("/echo")
    for size in SIZES:
        message = random.Random(size).randbytes(size)
        connection.send(message)
        same(connection.recv(), message)
    connection.close()


def many_without_waiting(open):
    connection = open("/echo")
    for i in range(5_000):
        connection.send(f"message {i}")
    for i in range(5_000):
        same(connection.recv(), f"message {i}")
    connection.close()


def a_burst_of_the_server(open):
    connection = open("/burst?messages=5000")
    for i in range(5_000):
        same(connection.recv(), f"message {i}")
    connection.close()


def in_pieces_wherever_they_cut(open):
    connection = open("/echo")
    for size, length in [(1, 500), (3, 500), (1_000, 100_000), (65_537, 4 << 20)]:
        message = text(length)
        connection.send_in_pieces(pieces(message.encode(), size), True)
        same(connection.recv(), message)
        message = random.Random(size).randbytes(length)
        connection.send_in_pieces(pieces(message, size), False)
        same(connection.recv(), message)
    connection.close()


def our_pings(open):
    connection = open("/pinged")
    for payload in ["are you there?", "x" * 125, ""]:
        same(connection.ping(payload.encode()), payload.encode())
        same(connection.recv(), f"pinged: {payload}")
    connection.close()


def pings_of_the_server(open):
    connection = open("/ping")
    for payload in ["are you there?", "é", "x" * 125, ""]:
        connection.send(payload)
        same(connection.recv(), "pong")
    connection.close()


def closed_by_the_server(open):
    for code, reason in CLOSINGS:
        connection = open(f"/close?code={code}&reason={quote(reason)}")
        same(tuple(connection.ended()), (code, reason))
    same(tuple(open("/close").ended()), (1000, ""))


def closed_by_us(open):
    for code, reason in CLOSINGS:
        connection = open(f"/sink?id=close{code}")
        connection.send("one")
        connection.send(b"and two")
        connection.close(code, reason)
        same(report(open, f"close{code}"), f"{code} {reason}, by Peer, clean: 2 messages, 10 bytes")


def dropped_by_the_server(open):
    same(tuple(open("/abort").ended()), (1006, ""))


def dropped_by_us(open):
    connection = open("/sink?id=drop")
    connection.drop()
    same(report(open, "drop"), "1006 , by Lost, not clean: 0 messages, 0 bytes")


def subprotocols(open):
    for offered, chosen in [
        (["v1.telemetry", "v2.telemetry"], "v1.telemetry"),
        (["v9.telemetry", "v2.telemetry"], "v2.telemetry"),
        (["v9.telemetry"], None),
        (None, None),
    ]:
        try:
            connection = open("/request", subprotocols=offered)
        except websocket.WebSocketException:
            # `websocket-client` takes it for a mistake that none is chosen.
            same((offered, chosen), (["v9.telemetry"], None))
            continue
        same(connection.subprotocol, chosen)
        assert f"\nsubprotocol {chosen or 'none'}\n" in connection.recv()
        connection.close()


def what_the_server_knows(open):
    connection = open("/request?q=a%20b&r=%C3%A9", header={"X-Trace": "one", "Cookie": "a=1; session=abc"})
    same(connection.headers["x-served"], "yes")
    told = connection.recv().split("\n")
    for line in ["GET /request", "query q=a%20b&r=%C3%A9", "cookie abc", "local True", "X-Trace: one"]:
        assert line.lower() in [told.lower() for told in told], f"{line} is not in {told}"
    connection.close()


def refused(open):
    for status in [401, 404, 503]:
        try:
            open(f"/refuse?status={status}")
        except (websocket.WebSocketBadStatusException, websockets.InvalidStatus) as error:
            told = error.status_code if isinstance(error, websocket.WebSocketException) else error.response.status_code
            same(told, status)
        else:
            raise AssertionError("was not refused")


def report(open, id):
    connection = open(f"/report?id={id}")
    told = connection.recv()
    connection.close()
    return told


EVERYTHING = [
    text_of_every_size,
    binary_of_every_size,
    many_without_waiting,
    a_burst_of_the_server,
    in_pieces_wherever_they_cut,
    our_pings,
    pings_of_the_server,
    closed_by_the_server,
    closed_by_us,
    dropped_by_the_server,
    dropped_by_us,
    subprotocols,
    what_the_server_knows,
    refused,
]


def compression(urls):
    """The servers' parameters with our default offer, and our every offer with all of the servers' defaults and demands."""
    for number, url in enumerate(urls):
        compressed(url, number, {"client_max_window_bits": True}, number)
    for number in range(16):
        offer = {
            "server_no_context_takeover": bool(number & 1),
            "client_no_context_takeover": bool(number & 2),
            "server_max_window_bits": 9 if number & 4 else None,
            "client_max_window_bits": 12 if number & 8 else None,
        }
        # It need not repeat what binds only us (RFC 7692 §7.1.1.2, §7.1.2.2).
        compressed(urls[0], number, offer, number & 0b0101)
        # A server may not say what we do not know.
        compressed(urls[-1], number, offer, 0b0111)


PARAMETERS = ["server_no_context_takeover", "client_no_context_takeover", "server_max_window_bits", "client_max_window_bits"]


def compressed(url, number, offer, agreed):
    connection = Sync(url, None, extensions=[ClientPerMessageDeflateFactory(**offer)])
    answer = connection.headers["sec-websocket-extensions"]
    for bit, parameter in enumerate(PARAMETERS):
        assert not agreed & 1 << bit or parameter in answer, f"{parameter} is not in {answer} ({offer})"
    print(number, answer)
    for size in [0, 1, 100, 1_024, 65_536, 300_000]:
        for message in [text(size), random.Random(size).randbytes(size), b"\7" * size]:
            connection.send(message)
            same(connection.recv(), message)
            # What was said before may help.
            connection.send(message)
            same(connection.recv(), message)
    message = text(100_000)
    connection.send_in_pieces(pieces(message.encode(), 333), True)
    same(connection.recv(), message)
    connection.close()


def pieces(data, size):
    return [data[start : start + size] for start in range(0, len(data), size)]


def text(bytes):
    """So many bytes, with characters of every length in UTF-8."""
    line = "aé€😀"
    whole = line * (bytes // 10)
    return whole + "x" * (bytes - 10 * (bytes // 10))


def same(actual, expected):
    if actual != expected:
        raise AssertionError(f"expected {expected!r:.300}, it was {actual!r:.300}")


MANNERS = {"create_connection": CreateConnection, "WebSocketApp": WebSocketApp, "sync": Sync, "asyncio": Asyncio}


def main(manner, *arguments):
    if manner == "compression":
        return compression(arguments)
    url, authority = (*arguments, None)[:2]

    def open(path, **options):
        return MANNERS[manner](url + path, authority, **options)

    for thing in EVERYTHING:
        began = time.monotonic()
        print(thing.__name__, end=" ", flush=True)
        thing(open)
        print(f"{time.monotonic() - began:.1f} s", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
