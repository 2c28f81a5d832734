//! Node's `ws`: `tests/javascript/node.js`.

use std::path::Path;
use std::process::{Command, Stdio};

use super::{over_ws_and_wss, run_to_the_end};
use crate::program::skip;

/// Where Debian has them, which a node from elsewhere does not know.
const PACKAGES: &str = "/usr/share/nodejs";

#[test]
fn goes_through_all() {
    if is_there() {
        over_ws_and_wss(|served| run_to_the_end(node().args(served.arguments())));
    }
}

/// Each combination of the parameters of permessage-deflate, the client's and the server's.
#[cfg(feature = "deflate")]
#[test]
fn compresses_with_every_parameter() {
    if is_there() {
        let servers = super::served::compressing();
        let urls = servers.iter().map(|served| served.url(""));
        run_to_the_end(node().arg("compression").args(urls));
    }
}

/// Node with the script.
fn node() -> Command {
    let mut node = Command::new("node");
    node.env("NODE_PATH", PACKAGES);
    node.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/javascript/node.js"));
    node
}

/// Returns whether there is a Node that finds `ws`.
fn is_there() -> bool {
    let mut asked = Command::new("node");
    asked.args(["--eval", "require('ws')"]).env("NODE_PATH", PACKAGES);
    let found = asked.stdin(Stdio::null()).output().is_ok_and(|output| output.status.success());
    if !found {
        skip("needs node with the package ws: nodejs and node-ws");
    }
    found
}
