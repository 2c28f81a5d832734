// The `ws` package as a client of the server of tests/integration/real_clients/served.rs: what browsers do too (clients.js),
// then what only it does. Ends with status 1 at the first thing that is wrong.
//
//     node node.js URL [CA.pem]
//     node node.js compression URL...      servers that compress with the parameters 0 to 15
//
// The package is found where Debian has it, too: NODE_PATH=/usr/share/nodejs.
"use strict";

const fs = require("node:fs");
const path = require("node:path");
const vm = require("node:vm");
const ws = require("ws");

// Before the test's own limit, with a word on where it hangs.
let at = "the beginning";
setTimeout(() => {
  console.error(`hangs: ${at}`);
  process.exit(1);
}, 50_000).unref();

const options = { perMessageDeflate: false };
globalThis.WebSocket = class extends ws {
  constructor(url, protocols, own) {
    super(url, protocols, { ...options, ...own });
  }
};
vm.runInThisContext(fs.readFileSync(path.join(__dirname, "clients.js"), "utf8"), "clients.js");

async function pings(server) {
  const connection = await open(`${server}/pinged`);
  for (const payload of ["are you there?", "x".repeat(125), ""]) {
    const ponged = once(connection.socket, "pong");
    connection.socket.ping(payload);
    same(String(await ponged), payload);
    same(await connection.received(), `pinged: ${payload}`);
  }
  await connection.close();
}

async function pings_of_the_server(server) {
  const connection = await open(`${server}/ping`);
  for (const payload of ["are you there?", "x".repeat(125), ""]) {
    const pinged = once(connection.socket, "ping");
    connection.send(payload);
    same(String(await pinged), payload);
    same(await connection.received(), "pong");
  }
  await connection.close();
}

async function fragments(server, sizes = [1, 3, 1_000], ...own) {
  const connection = await open(`${server}/echo`, [], ...own);
  const data = Buffer.from("aé€😀".repeat(1_000));
  for (const size of sizes) {
    for (const binary of [false, true]) {
      for (let start = 0; start < data.length; start += size) {
        const fin = start + size >= data.length;
        connection.socket.send(data.subarray(start, start + size), { binary, fin });
      }
      const received = await connection.received();
      same(binary ? Buffer.from(received).toString() : received, data.toString());
    }
  }
  await connection.close();
}

async function terminated(server) {
  const connection = await open(`${server}/sink?id=terminated`);
  connection.socket.terminate();
  await connection.next("close");
  same(await report(server, "terminated"), "1006 , by Lost, not clean: 0 messages, 0 bytes");
}

async function statuses(server) {
  for (const status of [401, 404, 503]) {
    const socket = new WebSocket(`${server}/refuse?status=${status}`);
    same((await once(socket, "error")).message, `Unexpected server response: ${status}`);
  }
}

async function large(server) {
  const connection = await open(`${server}/echo`);
  const data = Buffer.alloc(16 << 20, "0123456789abcdef-");
  connection.send(data);
  same(data.equals(Buffer.from(await connection.received())), true);
  await connection.close();
}

// The servers' parameters with the default offer, and every offer with all of the servers' defaults and demands.
async function compression(servers) {
  for (const server of servers) await compressed_by(server, {});
  for (let number = 0; number < 16; number++) {
    const offer = {
      // It takes `false` for "never", so that a server may not demand it.
      ...(number & 1 && { serverNoContextTakeover: true }),
      ...(number & 2 && { clientNoContextTakeover: true }),
      ...(number & 4 && { serverMaxWindowBits: 9 }),
      ...(number & 8 && { clientMaxWindowBits: 12 }),
    };
    await compressed_by(servers[0], offer);
    await compressed_by(servers.at(-1), offer);
  }
}

async function compressed_by(server, offer) {
  at = `${server} ${JSON.stringify(offer)}`;
  const own = { perMessageDeflate: { threshold: 0, ...offer } };
  const connection = await open(`${server}/echo`, [], own);
  console.log(at, connection.socket.extensions, connection.socket._extensions?.["permessage-deflate"]?.params);
  same(connection.socket.extensions, "permessage-deflate");
  for (const text of ["", "x", "aé€😀".repeat(100), "aé€😀".repeat(30_000), "short again", "short again"]) {
    connection.send(text);
    same(await connection.received(), text);
  }
  const random = require("node:crypto").randomBytes(200_000);
  connection.send(random);
  same(random.equals(Buffer.from(await connection.received())), true);
  await connection.close();
  await fragments(server, [100, 1_001], own);
}

function once(emitter, name) {
  return new Promise((resolve) => emitter.once(name, resolve));
}

async function main(first, second, ...others) {
  if (first === "compression") return compression([second, ...others]);
  if (second) options.ca = fs.readFileSync(second);
  // It gives up where it has offered subprotocols and none is chosen, as Chromium does.
  const everything = [
    texts,
    binaries,
    bursts,
    subprotocols,
    no_subprotocol_in_common,
    closed_by_the_server,
    closed_by_us,
    dropped,
    refused,
    pings,
    pings_of_the_server,
    fragments,
    terminated,
    statuses,
    large,
  ];
  for (const thing of everything) {
    at = thing.name;
    console.log(at);
    await thing(first);
  }
}

main(...process.argv.slice(2)).catch((problem) => {
  console.error(`${at}: ${problem.stack}`);
  process.exit(1);
});
