//! The proxies, as their programs want to be told.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::program::{Program, skip, system};
use crate::python::servers::{environment, script};
use crate::watchdog::Task;

/// HTTP.
pub(super) fn tinyproxy(options: &str) -> Option<Program> {
    Program::start("tinyproxy", |folder, port| {
        let file = folder.join("conf");
        let more = "Timeout 60\nMaxClients 20\nAllow 127.0.0.1\n";
        fs::write(&file, format!("Port {port}\nListen 127.0.0.1\n{more}{options}\n")).unwrap();
        let mut command = system("tinyproxy");
        command.args(["-d", "-c"]).arg(file);
        command
    })
}

/// HTTP.
pub(super) fn squid(options: &str) -> Option<Program> {
    Program::start("squid", |folder, port| {
        squid_command(folder, &format!("http_port 127.0.0.1:{port}\n{options}\n"))
    })
}

/// HTTP within TLS, for `localhost`.
#[cfg(feature = "__tls")]
pub(super) fn squid_tls(certificate: &str, key: &str) -> Option<Program> {
    Program::start("squid", |folder, port| {
        let file = folder.join("certificate.pem");
        fs::write(&file, certificate).unwrap();
        let key_file = folder.join("key.pem");
        fs::write(&key_file, key).unwrap();
        let (file, key_file) = (file.display(), key_file.display());
        squid_command(
            folder,
            &format!("https_port 127.0.0.1:{port} tls-cert={file} tls-key={key_file}\n"),
        )
    })
}

fn squid_command(folder: &Path, options: &str) -> Command {
    let file = folder.join("conf");
    let quiet = "cache deny all\naccess_log none\ncache_log /dev/stderr\npid_filename none\npinger_enable off\n";
    let rest = "http_access allow localhost\nshutdown_lifetime 0 seconds\n";
    // Its names of shared things are made from its service name.
    let service = folder.file_name().unwrap().to_string_lossy().replace('-', "");
    fs::write(&file, format!("{options}{quiet}{rest}")).unwrap();
    let mut command = system("squid");
    command.args(["-N", "-n", &service, "-f"]).arg(file);
    command
}

/// SOCKS 5, with a login.
pub(super) fn microsocks(user: &str, password: &str) -> Option<Program> {
    Program::start("microsocks", |_, port| {
        let mut command = system("microsocks");
        command.args(["-i", "127.0.0.1", "-p", &port.to_string(), "-u", user, "-P", password]);
        command
    })
}

/// SOCKS 4 and 5, without a login.
pub(super) fn dante(options: &str) -> Option<Program> {
    Program::start("danted", |folder, port| {
        let file = folder.join("conf");
        let to_all = "from: 127.0.0.0/8 to: 0.0.0.0/0";
        let rules = format!(
            "client pass {{ {to_all} }}\n{options}\nsocks pass {{ {to_all} protocol: tcp }}\n"
        );
        let listen = format!("internal: 127.0.0.1 port = {port}\nexternal: 127.0.0.1\n");
        fs::write(
            &file,
            format!("logoutput: stderr\n{listen}clientmethod: none\nsocksmethod: none\n{rules}"),
        )
        .unwrap();
        let mut command = system("danted");
        command.arg("-f").arg(file);
        command
    })
}

/// SOCKS 4 and 4a: Twisted's. It finds a port itself.
pub(super) struct Twisted {
    process: Child,
    pub(super) addr: SocketAddr,
}

pub(super) fn twisted() -> Option<Twisted> {
    let python = match environment() {
        Ok(python) => python,
        Err(why) => {
            skip(&format!("needs python3 with venv and pip: {why}"));
            return None;
        }
    };
    let mut command = Command::new(python);
    command.arg(script("socks4.py")).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut process = command.spawn().unwrap();
    let stdout = process.stdout.take().expect("it is piped");
    let port = Task::start("the proxy's port", || {
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        line.trim().parse::<u16>().unwrap()
    });
    Some(Twisted { process, addr: ([127, 0, 0, 1], port.join()).into() })
}

impl Drop for Twisted {
    fn drop(&mut self) {
        let _gone_already = self.process.kill();
        self.process.wait().unwrap();
    }
}
