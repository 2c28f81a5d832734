// What any WebSocket of the browsers' kind can do with the server of tests/integration/real_clients/served.rs. Each function
// takes that server's URL, and throws where something is wrong. It is the script of the server's page; node.js runs it too.
"use strict";

const PATIENCE = 20_000;

// A WebSocket, whose events are waited for one after the other. What nobody waited for is wrong.
class Connection {
  constructor(url, ...protocols) {
    this.socket = new WebSocket(url, ...protocols);
    this.socket.binaryType = "arraybuffer";
    this.events = [];
    // It comes before "close", and tells a page no more.
    this.socket.addEventListener("error", () => {});
    for (const type of ["open", "message", "close"]) {
      this.socket.addEventListener(type, (event) => {
        this.events.push(event);
        this.arrived?.();
      });
    }
  }

  async next(type) {
    const late = setTimeout(() => this.arrived?.(), PATIENCE);
    if (!this.events.length) await new Promise((resolve) => (this.arrived = resolve));
    clearTimeout(late);
    if (!this.events.length) throw new Error(`no ${type} within ${PATIENCE} ms`);
    const event = this.events.shift();
    if (event.type !== type) throw new Error(`${event.type} instead of ${type}: ${event.data ?? event.code}`);
    return event;
  }

  send(data) {
    this.socket.send(data);
  }

  async received() {
    return (await this.next("message")).data;
  }

  // Waits for the end, and tells how it came.
  async closed() {
    const event = await this.next("close");
    same(this.socket.readyState, 3);
    return `${event.code} ${event.reason} ${event.wasClean ? "clean" : "not clean"}`;
  }

  // Closes in order, with nothing left unseen.
  async close() {
    this.socket.close(1000);
    same(await this.closed(), "1000  clean");
  }
}

async function open(url, ...protocols) {
  const connection = new Connection(url, ...protocols);
  await connection.next("open");
  return connection;
}

async function texts(server) {
  const connection = await open(`${server}/echo`);
  for (const length of [0, 1, 2, 125, 126, 127, 65_535, 65_536, 1 << 20]) {
    const text = "aé€😀".repeat(length / 10) + "x".repeat(length % 10);
    connection.send(text);
    same(await connection.received(), text);
  }
  await connection.close();
}

// There as every kind that can be sent, back as both that can be had.
async function binaries(server) {
  const connection = await open(`${server}/echo`);
  for (const length of [0, 1, 125, 126, 65_535, 65_536, 1 << 20]) {
    const bytes = Uint8Array.from({ length }, (_, i) => (i * 31) % 251);
    connection.socket.binaryType = "arraybuffer";
    for (const data of [bytes, bytes.buffer]) {
      connection.send(data);
      const received = await connection.received();
      if (!(received instanceof ArrayBuffer)) throw new Error(`not an ArrayBuffer, but ${received}`);
      same_bytes(new Uint8Array(received), bytes);
    }
    if (globalThis.document) {
      connection.socket.binaryType = "blob";
      connection.send(new Blob([bytes]));
      const received = await connection.received();
      if (!(received instanceof Blob)) throw new Error(`not a Blob, but ${received}`);
      same_bytes(new Uint8Array(await received.arrayBuffer()), bytes);
    }
  }
  await connection.close();
}

async function bursts(server) {
  const connection = await open(`${server}/echo`);
  for (let i = 0; i < 10_000; i++) connection.send(`message ${i}`);
  for (let i = 0; i < 10_000; i++) same(await connection.received(), `message ${i}`);
  await connection.close();
  const flooded = await open(`${server}/burst?messages=10000`);
  for (let i = 0; i < 10_000; i++) same(await flooded.received(), `message ${i}`);
  await flooded.close();
}

async function subprotocols(server) {
  for (const [offered, chosen] of [
    [["v1.telemetry", "v2.telemetry"], "v1.telemetry"],
    [["v9.telemetry", "v2.telemetry"], "v2.telemetry"],
    [[], ""],
  ]) {
    const connection = await open(`${server}/request`, offered);
    same(connection.socket.protocol, chosen);
    if (!(await connection.received()).includes(`\nsubprotocol ${chosen || "none"}\n`)) throw new Error("the server knows another");
    await connection.close();
  }
}

// There are clients that fail the connection then (https://websockets.spec.whatwg.org/#websocket-opening-handshake).
async function no_subprotocol_in_common(server) {
  const connection = new Connection(`${server}/request`, ["v9.telemetry"]);
  same(await connection.closed(), "1006  not clean");
}

// And there are clients that go on without one: Firefox.
async function without_subprotocol(server) {
  const connection = await open(`${server}/request`, ["v9.telemetry"]);
  same(connection.socket.protocol, "");
  if (!(await connection.received()).includes("\nsubprotocol none\n")) throw new Error("the server knows one");
  await connection.close();
}

const CLOSINGS = [[1000, ""], [1000, "done"], [3000, "x".repeat(123)], [4999, "über"]];

async function closed_by_the_server(server) {
  for (const [code, reason] of CLOSINGS) {
    const connection = await open(`${server}/close?code=${code}&reason=${encodeURIComponent(reason)}`);
    same(await connection.closed(), `${code} ${reason} clean`);
  }
}

async function closed_by_us(server) {
  for (const [code, reason] of CLOSINGS) {
    const id = `${code}${reason.length}`;
    const connection = await open(`${server}/sink?id=${id}`);
    connection.send("one");
    connection.send(new Uint8Array(7));
    connection.socket.close(code, reason);
    // The server repeats the code (RFC 6455 §5.5.1).
    same(await connection.closed(), `${code}  clean`);
    same(await report(server, id), `${code} ${reason}, by Peer, clean: 2 messages, 10 bytes`);
  }
  // An empty Close frame.
  const connection = await open(`${server}/sink?id=empty`);
  connection.socket.close();
  same(await connection.closed(), "1005  clean");
  same(await report(server, "empty"), "1005 , by Peer, clean: 0 messages, 0 bytes");
}

async function report(server, id) {
  const connection = await open(`${server}/report?id=${id}`);
  const told = await connection.received();
  await connection.close();
  return told;
}

async function dropped(server) {
  const connection = await open(`${server}/abort`);
  same(await connection.closed(), "1006  not clean");
}

async function refused(server) {
  const connection = new Connection(`${server}/refuse?status=401`);
  same(await connection.closed(), "1006  not clean");
}

// What the server does not read waits here, and goes when it reads again. `release` has it do so.
async function buffered(server, release) {
  const connection = await open(`${server}/hold?id=buffered`);
  connection.send("begin");
  same(await connection.received(), "held");
  // More than sockets, and all that is behind them, hold.
  const data = new Uint8Array(1 << 20);
  for (let i = 0; i < 64; i++) connection.send(data);
  const before = connection.socket.bufferedAmount;
  if (!(before > 0)) throw new Error(`nothing waits: ${before}`);
  await release();
  const end = Date.now() + PATIENCE;
  while (connection.socket.bufferedAmount > 0) {
    if (Date.now() > end) throw new Error(`${connection.socket.bufferedAmount} of ${before} bytes wait still`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await connection.close();
}

// What only pages have, below.

async function compressed(server) {
  const connection = await open(`${server}/echo`);
  if (!connection.socket.extensions.includes("permessage-deflate")) throw new Error(`only ${connection.socket.extensions}`);
  for (const text of ["", "x", "aé€😀".repeat(10_000), "aé€😀".repeat(100_000), "short again", "short again"]) {
    connection.send(text);
    same(await connection.received(), text);
  }
  const random = new Uint8Array(200_000);
  for (let i = 0; i < random.length; i += 65_536) crypto.getRandomValues(random.subarray(i, i + 65_536));
  connection.send(random);
  same_bytes(new Uint8Array(await connection.received()), random);
  await connection.close();
}

// What the server knows of us, of which so much must be.
async function known(server, ...lines) {
  const connection = await open(`${server}/request?q=a%20b`);
  const told = (await connection.received()).split("\n");
  for (const line of lines) if (!told.includes(line)) throw new Error(`no ${line} in ${told}`);
  await connection.close();
}

// Of a page of another site's.
async function foreign(server) {
  const connection = new Connection(`${server}/echo`);
  same(await connection.closed(), "1006  not clean");
}

// Until the server is gone, of which `lost` tells.
async function stay(server) {
  globalThis.staying = await open(`${server}/echo`);
  // Then the server has it among its clients.
  staying.send("here");
  same(await staying.received(), "here");
}

async function lost() {
  same(await staying.closed(), "1006  not clean");
}

function same(actual, expected) {
  const short = (value) => `${typeof value} ${String(value).slice(0, 300)}`;
  if (actual !== expected) throw new Error(`expected ${short(expected)}, it was ${short(actual)}`);
}

function same_bytes(actual, expected) {
  same(actual.length, expected.length);
  const i = expected.findIndex((byte, i) => byte !== actual[i]);
  if (i >= 0) throw new Error(`byte ${i} is ${actual[i]}, not ${expected[i]}`);
}
