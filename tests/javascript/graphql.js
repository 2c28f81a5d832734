// A GraphQL server for examples/graphql_ws.rs, of npm's graphql-ws, ws and graphql: environment.js gets them.
//
//     NODE_PATH=$(node environment.js /tmp/packages) node graphql.js PORT
"use strict";

const { buildSchema } = require("graphql");
const { useServer } = require("graphql-ws/lib/use/ws");
const { WebSocketServer } = require("ws");

const schema = buildSchema(`
  type Query {
    hello: String!
    add(a: Int!, b: Int!): Int!
    fails: String
    # How often each of what is below was asked for.
    count(key: String!): Int!
    # Whether a ping of the protocol's own was answered with its payload.
    pinged: Boolean!
  }
  type Mutation {
    # Counts, and drops the connection instead of answering.
    countAndDrop(key: String!): Int!
  }
  type Subscription {
    greetings: String!
    countdown(from: Int!): Int!
    # The first time "before", and the connection is dropped; then "after".
    flaky(key: String!): String!
  }
`);

const counts = new Map();
function count(key) {
  counts.set(key, (counts.get(key) ?? 0) + 1);
  return counts.get(key);
}

const roots = {
  query: {
    hello: () => "world",
    add: ({ a, b }) => a + b,
    fails: () => {
      throw new Error("as it should");
    },
    count: ({ key }) => counts.get(key) ?? 0,
    pinged: (_, { socket }) =>
      new Promise((resolve) => {
        socket.on("message", (data) => {
          const { type, payload } = JSON.parse(data);
          if (type === "pong") resolve(payload.said === "hello");
        });
        socket.send(JSON.stringify({ type: "ping", payload: { said: "hello" } }));
      }),
  },
  mutation: {
    countAndDrop: ({ key }, { socket }) => {
      count(key);
      socket.terminate();
      return new Promise(() => {});
    },
  },
  subscription: {
    async *greetings() {
      for (const greetings of ["Hi", "Bonjour", "Hola"]) yield { greetings };
    },
    async *countdown({ from }) {
      for (let countdown = from; countdown >= 0; countdown--) yield { countdown };
    },
    async *flaky({ key }, { socket }) {
      if (count(key) > 1) return yield { flaky: "after" };
      yield { flaky: "before" };
      socket.terminate();
    },
  },
};

const server = new WebSocketServer({ host: "127.0.0.1", port: Number(process.argv[2]), path: "/graphql" });
useServer(
  {
    schema,
    roots,
    context: ({ extra }) => ({ socket: extra.socket }),
    onConnect: ({ connectionParams }) => connectionParams?.token !== "wrong",
  },
  server,
);
