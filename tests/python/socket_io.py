"""A Socket.IO server for examples/socket_io.rs, made with Flask-SocketIO.

    python socket_io.py PORT

    add A B...      is acknowledged with the sum
    echo V...       comes back as the event "echoed"
    ask V           the server emits "question" V, and "answered" with what that is acknowledged with
    drop            the server drops the connection, but for the second and later times, when it acknowledges "again"
    kick            the server leaves, for good

Who connects with the auth {"token": "wrong"} is refused.
"""

import sys

from flask import Flask, request
from flask_socketio import ConnectionRefusedError, SocketIO, disconnect, emit

app = Flask(__name__)
socketio = SocketIO(app, async_mode="threading", cors_allowed_origins=[])
drops = []


@socketio.on("connect")
def connect(auth=None):
    if (auth or {}).get("token") == "wrong":
        raise ConnectionRefusedError("who are you?")


@socketio.on("add")
def add(*numbers):
    return sum(numbers)


@socketio.on("echo")
def echo(*values):
    emit("echoed", values)


@socketio.on("ask")
def ask(value):
    sid = request.sid

    def answered(*values):
        socketio.emit("answered", values, to=sid)

    socketio.emit("question", value, to=sid, callback=answered)


@socketio.on("drop")
def drop():
    drops.append(1)
    if len(drops) > 1:
        return "again"
    # Of Engine.IO, below: for Socket.IO that is a loss.
    socketio.server.eio.disconnect(socketio.server.manager.eio_sid_from_sid(request.sid, "/"))


@socketio.on("kick")
def kick():
    disconnect()


if __name__ == "__main__":
    socketio.run(app, host="127.0.0.1", port=int(sys.argv[1]), allow_unsafe_werkzeug=True)
