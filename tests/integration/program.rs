//! Programs of other people as counterparts: each started by a test on a free port of the loopback
//! interface, with its files in a folder of its own, and ended by it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{env, thread};

use crate::watchdog::PATIENCE;

/// A running program that listens on a port. Dropping it ends it.
pub(crate) struct Program {
    process: Child,
    port: u16,
    folder: PathBuf,
}

/// Notes that this test is skipped, or fails it where the environment variable `CI` is set.
pub(crate) fn skip(why: &str) {
    let test = thread::current().name().unwrap_or("a test").to_owned();
    assert!(env::var_os("CI").is_none(), "not to be skipped where CI is set: {why}");
    // Past the harness, which keeps what a passing test prints to itself.
    io::stderr().write_all(format!("skipped {test}: {why}\n").as_bytes()).unwrap();
}

impl Program {
    /// Starts a program on a free port and waits until it listens. `command` writes what files it
    /// needs into the folder and says how to run it; a relative path to a program is looked up
    /// where systems keep them. `None` where it is not installed.
    pub(crate) fn start(name: &str, command: impl Fn(&Path, u16) -> Command) -> Option<Program> {
        Program::start_within(PATIENCE, name, command)
    }

    /// Does the same with one that takes its time to start.
    pub(crate) fn start_within(
        limit: Duration,
        name: &str,
        command: impl Fn(&Path, u16) -> Command,
    ) -> Option<Program> {
        // What is free now may be taken by the time the program asks for it.
        for _ in 0..5 {
            let port = free_port();
            let folder = folder(name);
            let mut command = command(&folder, port);
            let log = File::create(folder.join("log")).unwrap();
            let spawned =
                command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn();
            let mut program = match spawned {
                Ok(process) => Program { process, port, folder },
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    fs::remove_dir_all(folder).unwrap();
                    skip(&format!("needs {name}"));
                    return None;
                }
                Err(error) => panic!("{name}: {error}"),
            };
            if program.comes_up(limit) {
                return Some(program);
            }
        }
        panic!("{name} does not start");
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    fn comes_up(&mut self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        while TcpStream::connect(self.addr()).is_err() {
            if self.process.try_wait().unwrap().is_some() {
                println!("it has ended: {}", self.log());
                return false;
            }
            assert!(
                Instant::now() < deadline,
                "it does not listen within {limit:?}: {}",
                self.log()
            );
            thread::sleep(Duration::from_millis(1));
        }
        self.process.try_wait().unwrap().is_none()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if thread::panicking() {
            println!("its log: {}", self.log());
        }
        // Asked first, so that one of several processes ends the others.
        let _no_such_command = Command::new("kill").arg(self.process.id().to_string()).status();
        let deadline = Instant::now() + PATIENCE / 5;
        while self.process.try_wait().unwrap().is_none() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
        let _gone_already = self.process.kill();
        self.process.wait().unwrap();
        fs::remove_dir_all(&self.folder).unwrap();
    }
}

/// Returns a port that nobody listens on, and that the operating system gives to nobody who does not
/// ask for it: one that it gives out may be another test's before the program has it.
pub(crate) fn free_port() -> u16 {
    // Linux gives out those from 32,768 on, others from 49,152 (RFC 6335 §6).
    let candidates = std::iter::repeat_with(|| rand::random_range(10_000..32_768));
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    candidates.take(1_000).find(is_free).expect("a free port")
}

/// Finds a program among the system's, the administrator's too.
pub(crate) fn system(name: &str) -> Command {
    let folders = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&folders).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    let found = folders.map(|folder| folder.join(name)).find(|path| path.is_file());
    Command::new(found.unwrap_or_else(|| name.into()))
}

fn folder(name: &str) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("{name}-{}-{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder).unwrap();
    folder
}
