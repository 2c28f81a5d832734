//! RabbitMQ, which the example `stomp` is a client of, as Debian has it.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::program::{Program, skip};

/// Starts RabbitMQ with STOMP over WebSockets, on `/ws`, and with nothing else that listens. `None`,
/// said on standard error, where it is not installed.
pub(super) fn start() -> Option<Program> {
    // Where Debian has it; beside the script are all of its plugins.
    let Ok(script) = fs::canonicalize("/usr/lib/rabbitmq/bin/rabbitmq-server") else {
        skip("needs rabbitmq-server");
        return None;
    };
    let home = script.ancestors().nth(2).expect("it is in a folder's sbin").to_owned();
    // It takes five seconds of a processor, of which there may be little to have.
    Program::start_within(Duration::from_secs(240), "rabbitmq", |folder, port| {
        erlang(&home, folder, port)
    })
}

/// Erlang as that script would run it, but as one process that can be ended, and known to no other
/// node: that takes a port of its own, and a process that outlives this.
fn erlang(home: &Path, folder: &Path, port: u16) -> Command {
    let config = format!(
        "listeners.tcp = none\nstomp.listeners.tcp = none\n\
         web_stomp.tcp.ip = 127.0.0.1\nweb_stomp.tcp.port = {port}\n"
    );
    fs::write(folder.join("rabbitmq.conf"), config).unwrap();
    fs::write(folder.join("enabled_plugins"), "[rabbitmq_web_stomp].\n").unwrap();
    fs::write(folder.join("env.conf"), "").unwrap();
    let mut erl = Command::new("erl");
    erl.args(["-noinput", "-boot", "start_sasl", "-s", "rabbit", "boot"])
        .args(["-sname", "tested@localhost", "-setcookie", "none"])
        .args(["-dist_listen", "false", "-start_epmd", "false"])
        .env("ERL_LIBS", home.join("plugins"))
        .current_dir(folder)
        .env("RABBITMQ_HOME", home)
        .env("RABBITMQ_PLUGINS_DIR", home.join("plugins"))
        .env("RABBITMQ_NODENAME", "tested@localhost")
        .env("RABBITMQ_LOGS", "-")
        .env("HOME", folder);
    for (name, file) in [
        ("CONFIG_FILE", "rabbitmq.conf"),
        ("ENABLED_PLUGINS_FILE", "enabled_plugins"),
        ("CONF_ENV_FILE", "env.conf"),
        ("GENERATED_CONFIG_DIR", "generated"),
        ("FEATURE_FLAGS_FILE", "feature_flags"),
        ("MNESIA_BASE", "mnesia"),
        ("LOG_BASE", "logs"),
    ] {
        erl.env(format!("RABBITMQ_{name}"), folder.join(file));
    }
    erl
}
