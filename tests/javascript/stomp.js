// A STOMP broker for examples/stomp, npm's stomp-broker-js: environment.js gets it.
//
//     NODE_PATH=$(node environment.js /tmp/packages) node stomp.js PORT
//
// Who sends to /control/drop has it drop the connections of all who have subscribed to something.
"use strict";

const http = require("node:http");
const StompServer = require("stomp-broker-js");

const server = http.createServer();
const broker = new StompServer({ server, path: "/stomp", heartbeat: [10_000, 10_000] });
broker.on("send", ({ dest }) => {
  if (dest === "/control/drop") Object.values(broker.subscribes).forEach(({ socket }) => socket.terminate());
});
// Its 1.3.0 forgets whom to give a receipt to for what was sent.
const onSend = broker.onSend;
broker.onSend = function (socket, args, taken) {
  const isTaken = onSend.call(broker, socket, args);
  taken?.(isTaken);
  return isTaken;
};
server.listen(Number(process.argv[2]), "127.0.0.1");
