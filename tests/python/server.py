"""The peer of tests/integration/python.rs: servers made with the `websockets` package, which a path tells what to do.

    python server.py DIR

One server is plain, `ws`, and one more, `ws6`, where IPv6 is, and there is one over TLS for each NAME.pem in DIR, a file
with a certificate, its chain and its key. `deflate0` to `deflate15` are plain and agree to compress with the parameters
that the bits of the number say; the others agree to no compression. They listen on loopback, each on a free port. A line
of JSON tells the ports by name: {"ws": 40001, "ws6": 40002, "NAME": 40003}. The process ends when its standard input does, so that it never
outlives the test.

    /echo                           sends every message back
    /echo?fragments=N               in fragments of N bytes, text too, wherever that cuts its characters
    /ping                           pings with each message's text, and says "pong" when the right pong came
    /pong?payload=P                 sends a pong that nobody asked for
    /close?code=C&reason=R          closes; without a code, with an empty Close frame
    /abort                          drops the connection
    /request                        sends the request that opened the connection: its first line, then the headers
    /sink?id=I                      takes messages
    /report?id=I                    sends how /sink?id=I ended: "CODE REASON: N messages, M bytes"
"""

import asyncio
import json
import logging
import os
import ssl
import sys
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory

SUBPROTOCOLS = ["v2.telemetry", "v1.telemetry"]
# By id: what there is to report of a connection, once it has ended.
reports = {}


def report_of(id):
    return reports.setdefault(id, asyncio.get_running_loop().create_future())


async def handle(websocket):
    parts = urlsplit(websocket.request.path)
    try:
        await PATHS[parts.path](websocket, dict(parse_qsl(parts.query)))
    except ConnectionClosed:
        pass


async def echo(websocket, query):
    size = int(query.get("fragments", 0))
    async for message in websocket:
        if size:
            is_text = isinstance(message, str)
            await websocket.send(pieces(message.encode() if is_text else message, size), text=is_text)
        else:
            await websocket.send(message)


async def pieces(data, size):
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def ping(websocket, query):
    async for message in websocket:
        await (await websocket.ping(message))
        await websocket.send("pong")


async def pong(websocket, query):
    await websocket.pong(query["payload"])
    await websocket.wait_closed()


async def close(websocket, query):
    if "code" in query:
        await websocket.close(int(query["code"]), query.get("reason", ""))
    else:
        # The package has no public way to leave the code out.
        async with websocket.send_context():
            websocket.protocol.send_close()
        await websocket.wait_closed()


async def abort(websocket, query):
    websocket.transport.abort()


async def request(websocket, query):
    headers = [f"{name}: {value}" for name, value in websocket.request.headers.raw_items()]
    await websocket.send("\n".join([f"GET {websocket.request.path}", *headers]))
    await websocket.wait_closed()


async def sink(websocket, query):
    messages = bytes = 0
    try:
        async for message in websocket:
            messages += 1
            bytes += len(message)
    except ConnectionClosed:
        pass
    await websocket.wait_closed()
    ending = f"{websocket.close_code} {websocket.close_reason}"
    report_of(query["id"]).set_result(f"{ending}: {messages} messages, {bytes} bytes")


async def report(websocket, query):
    await websocket.send(await report_of(query["id"]))
    await websocket.wait_closed()


PATHS = {
    "/echo": echo,
    "/ping": ping,
    "/pong": pong,
    "/close": close,
    "/abort": abort,
    "/request": request,
    "/sink": sink,
    "/report": report,
}


def select_subprotocol(websocket, offered):
    return next((name for name in SUBPROTOCOLS if name in offered), None)


def deflate(number):
    """Demands of the client, and does itself, what the bits of the number say."""
    return ServerPerMessageDeflateFactory(
        server_no_context_takeover=bool(number & 1),
        client_no_context_takeover=bool(number & 2),
        server_max_window_bits=10 if number & 4 else None,
        client_max_window_bits=11 if number & 8 else None,
    )


async def start(host, tls=None, extensions=None):
    """Starts a server and gives its port."""
    server = await serve(
        handle,
        host,
        0,
        ssl=tls,
        compression=None,
        extensions=extensions,
        max_size=None,
        # No ping but those a test asks for.
        ping_interval=None,
        subprotocols=SUBPROTOCOLS,
        select_subprotocol=select_subprotocol,
    )
    return server, server.sockets[0].getsockname()[1]


async def main(folder):
    logging.getLogger("websockets").setLevel(logging.CRITICAL)
    servers = {"ws": await start("127.0.0.1")}
    try:
        servers["ws6"] = await start("::1")
    except OSError:
        pass
    for file in sorted(Path(folder).glob("*.pem")):
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(file)
        servers[file.stem] = await start("127.0.0.1", tls)
    for number in range(16):
        servers[f"deflate{number}"] = await start("127.0.0.1", extensions=[deflate(number)])
    print(json.dumps({name: port for name, (_, port) in servers.items()}), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
