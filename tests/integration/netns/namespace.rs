//! A network namespace with one link to this one, and processes of this test binary that run in it.
//! Everything is taken away when it is dropped; what a run that was killed has left, the next one
//! takes away.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{self, Child, ChildStdout, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{env, mem, thread};

use socket2::SockRef;

use crate::connection::Connection;
use crate::frame::{CLOSE, Frame, PING, PONG, TEXT};
use crate::watchdog::{PATIENCE, Task, wait_until};

/// What the server says first.
pub(super) const WELCOME: &str = "welcome";

/// What a process of this test binary is to be.
const ROLE: &str = "WEBSOCKET_APP_TEST_ROLE";

/// Where its server is.
#[cfg(feature = "server")]
const URL: &str = "WEBSOCKET_APP_TEST_URL";

/// Begins the names of the namespaces; the process's number follows.
const PREFIX: &str = "wsapp-";

/// For benchmarks between networks (RFC 2544): no other network is there.
const NETWORK: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 0);

pub(super) fn is_role(role: &str) -> bool {
    env::var(ROLE).is_ok_and(|is| is == role)
}

/// The server of the clients that this process is to be.
#[cfg(feature = "server")]
pub(super) fn url_of_server() -> String {
    env::var(URL).unwrap()
}

pub(super) struct Namespace {
    name: String,
    link: String,
    here: Ipv4Addr,
    there: Ipv4Addr,
}

impl Namespace {
    /// Makes one, or says why it cannot.
    pub(super) fn new() -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let (process, count) = (process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        remove_leftovers();
        // Four addresses each: the network, here, there, and all.
        let first = u32::from(NETWORK) + (process.wrapping_mul(16) + count) % (1 << 15) * 4;
        let namespace = Namespace {
            name: format!("{PREFIX}{process}-{count}"),
            link: format!("wsa{process}n{count}"),
            here: Ipv4Addr::from(first + 1),
            there: Ipv4Addr::from(first + 2),
        };
        match namespace.make() {
            Ok(()) => Some(namespace),
            Err(why) => {
                is_skipped("no network namespaces here", &why);
                None
            }
        }
    }

    fn make(&self) -> Result<(), String> {
        let Namespace { name, link, here, there } = self;
        for line in [
            format!("netns add {name}"),
            format!("link add {link} type veth peer name eth0 netns {name}"),
            format!("addr add {here}/30 dev {link}"),
            format!("link set {link} up"),
            format!("-n {name} addr add {there}/30 dev eth0"),
            format!("-n {name} link set eth0 up"),
            format!("-n {name} link set lo up"),
        ] {
            ip(&line)?;
        }
        // The kernel takes a moment to hear of its own link, and until then what is sent is lost.
        wait_until("the link is up", || {
            let both = [ip(&format!("link show {link}")), ip(&format!("-n {name} link show eth0"))];
            both.iter().all(|shown| shown.as_ref().is_ok_and(|shown| shown.contains("state UP")))
        });
        Ok(())
    }

    pub(super) fn pull_the_link(&self) {
        self.ip("link set eth0 down");
    }

    pub(super) fn plug_the_link(&self) {
        self.ip("link set eth0 up");
    }

    /// What the other side sends disappears before it leaves.
    pub(super) fn lose_the_way(&self) {
        self.ip(&format!("route add blackhole {}/32", self.here));
    }

    pub(super) fn find_the_way(&self) {
        self.ip(&format!("route del blackhole {}/32", self.here));
    }

    /// Lets no more than so many megabits a second through, each way, and holds few of them. Says why
    /// it cannot, where the kernel cannot.
    pub(super) fn thin_the_link(&self, megabits: u32) -> bool {
        let Namespace { name, link, .. } = self;
        let thin = format!("root tbf rate {megabits}mbit burst 16kbit latency 20ms");
        let both = [
            tool("tc", &format!("qdisc add dev {link} {thin}")),
            tool("tc", &format!("-n {name} qdisc add dev eth0 {thin}")),
        ];
        both.into_iter()
            .all(|made| made.inspect_err(|why| is_skipped("no thin links here", why)).is_ok())
    }

    fn ip(&self, line: &str) {
        ip(&format!("-n {} {line}", self.name)).unwrap();
    }

    /// Where a server of this process is found, from the namespace.
    #[cfg(feature = "server")]
    pub(super) fn url_of_here(&self, port: u16) -> String {
        format!("ws://{}:{port}/", self.here)
    }

    /// A name server for the namespace that never answers.
    pub(super) fn name_server(&self) -> UdpSocket {
        fs::create_dir_all(self.settings()).unwrap();
        let resolver = format!("nameserver {}\noptions timeout:1 attempts:1\n", self.here);
        fs::write(self.settings().join("resolv.conf"), resolver).unwrap();
        UdpSocket::bind((self.here, 53)).unwrap()
    }

    /// Gives a name several addresses: the preferred ones are IPv6, and what is sent there
    /// disappears; the last is the namespace itself. Says why it cannot, where there is no IPv6.
    pub(super) fn give_a_name_with_dead_ipv6(&self, name: &str) -> bool {
        if !Path::new("/proc/net/if_inet6").exists() {
            is_skipped("no IPv6 here", "/proc/net/if_inet6 is missing");
            return false;
        }
        // For documentation (RFC 3849), and yet preferred to IPv4 (RFC 6724), as an address that
        // leads somewhere would be.
        self.ip("addr add 2001:db8::1/64 dev eth0 nodad");
        for dead in ["2001:db8::2", "2001:db8::3"] {
            self.ip(&format!("neigh add {dead} lladdr 02:00:00:00:00:02 dev eth0 nud permanent"));
        }
        fs::create_dir_all(self.settings()).unwrap();
        let hosts =
            format!("2001:db8::2 {name}\n2001:db8::3 {name}\n{} {name}\n", Ipv4Addr::LOCALHOST);
        fs::write(self.settings().join("hosts"), hosts).unwrap();
        true
    }

    /// Where iproute2 finds the files of `/etc` that differ in the namespace.
    fn settings(&self) -> PathBuf {
        Path::new("/etc/netns").join(&self.name)
    }

    /// Runs a test of this binary in the namespace, in a role.
    pub(super) fn run_test(&self, test: &str, role: &str) {
        let mut child =
            self.command(test, role).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let deadline = Instant::now() + 2 * PATIENCE;
        while child.try_wait().unwrap().is_none() {
            if Instant::now() > deadline {
                child.kill().unwrap();
            }
            thread::sleep(Duration::from_millis(10));
        }
        let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
        let [stdout, stderr] =
            [stdout, stderr].map(|output| String::from_utf8_lossy(&output).into_owned());
        assert!(
            status.success() && stdout.contains("1 passed"),
            "{test}: {status}\n{stdout}\n{stderr}"
        );
    }

    pub(super) fn start_server(&self) -> Server {
        let mut command = self.command("netns::the_server_in_the_namespace", "server");
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(process.stdout.take().expect("it is piped"));
        let mut server = Server { process, stdout: Some(stdout), url: String::new() };
        server.url = format!("ws://{}:{}/", self.there, server.hear("port "));
        server
    }

    /// Starts clients of the server there, which come again whenever they can, until what is returned
    /// is dropped.
    #[cfg(feature = "server")]
    pub(super) fn start_clients(&self, url: &str) -> Clients {
        let mut command = self.command("netns::served::the_clients_in_the_namespace", "clients");
        command.env(URL, url).stdin(Stdio::piped()).stdout(Stdio::null());
        Clients(command.spawn().unwrap())
    }

    fn command(&self, test: &str, role: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(env::current_exe().unwrap());
        command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(ROLE, role);
        command
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // What was not made is not there.
        let _not_made = ip(&format!("link del {}", self.link));
        let _not_made = ip(&format!("netns del {}", self.name));
        let _not_made = fs::remove_dir_all(self.settings());
        // Not empty where somebody else has some.
        let _others = self.settings().parent().map(fs::remove_dir);
    }
}

/// Counts the sockets of this process's namespace that are connecting by IPv6.
pub(super) fn attempts_by_ipv6() -> usize {
    const SYN_SENT: &str = "02";
    let sockets = fs::read_to_string("/proc/self/net/tcp6").unwrap();
    sockets.lines().skip(1).filter(|line| line.split_whitespace().nth(3) == Some(SYN_SENT)).count()
}

fn is_skipped(what: &str, why: &str) {
    let test = thread::current().name().unwrap_or("a test").to_owned();
    let note = format!("{what}, so {test} is skipped: {why}\n");
    // Past the harness, which keeps what a passing test prints to itself.
    io::stderr().write_all(note.as_bytes()).unwrap();
}

fn ip(line: &str) -> Result<String, String> {
    tool("ip", line)
}

/// Runs a tool of iproute2.
fn tool(name: &str, line: &str) -> Result<String, String> {
    let output =
        Command::new(name).args(line.split(' ')).output().map_err(|e| format!("{name}: {e}"))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(format!("{name} {line}: {}", String::from_utf8_lossy(&output.stderr).trim())),
    }
}

fn remove_leftovers() {
    for line in ip("netns list").unwrap_or_default().lines() {
        let name = line.split(' ').next().unwrap_or_default();
        let process = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        if process.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
            // Others may do the same.
            let _gone = ip(&format!("netns del {name}"));
            let _gone = fs::remove_dir_all(Path::new("/etc/netns").join(name));
        }
    }
}

/// The process in the namespace that has clients. It ends with its standard input.
#[cfg(feature = "server")]
pub(super) struct Clients(Child);

#[cfg(feature = "server")]
impl Drop for Clients {
    fn drop(&mut self) {
        let _gone_already = self.0.kill();
        self.0.wait().unwrap();
    }
}

/// The process in the namespace that serves. It ends with its standard input.
pub(super) struct Server {
    process: Child,
    /// Away while it is read.
    stdout: Option<BufReader<ChildStdout>>,
    url: String,
}

impl Server {
    pub(super) fn url(&self) -> String {
        self.url.clone()
    }

    /// `half`: writes half a frame to every client. `forget`: drops every connection with a reset.
    /// Returns when it is done.
    pub(super) fn tell(&mut self, what: &str) {
        let stdin = self.process.stdin.as_mut().expect("it is piped");
        writeln!(stdin, "{what}").unwrap();
        self.hear("done ");
    }

    /// Waits for what it says with this before.
    fn hear(&mut self, before: &'static str) -> String {
        let mut stdout = self.stdout.take().expect("nobody else reads");
        let (heard, stdout) = Task::start("a word from the server", move || {
            let mut line = String::new();
            loop {
                line.clear();
                assert!(stdout.read_line(&mut line).unwrap() > 0, "the server has ended");
                // The test harness has put the test's name before the first.
                if let Some((_, heard)) = line.trim_end().rsplit_once(before) {
                    return (heard.to_owned(), stdout);
                }
            }
        })
        .join();
        self.stdout = Some(stdout);
        heard
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _gone_already = self.process.kill();
        self.process.wait().unwrap();
    }
}

/// Welcomes every client and echoes text, until standard input ends.
pub(super) fn serve() {
    let clients: Arc<Mutex<Listening>> = Arc::default();
    let accepted = Arc::clone(&clients);
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    println!("port {}", listener.local_addr().unwrap().port());
    thread::spawn(move || {
        for tcp in listener.incoming().map(Result::unwrap) {
            let mut clients = accepted.lock().unwrap();
            let number = clients.next;
            clients.next += 1;
            clients.listening.insert(number, tcp.try_clone().unwrap());
            let clients = Arc::clone(&accepted);
            thread::spawn(move || {
                talk(Connection::new(tcp, |tcp| Ok(Box::new(tcp))), number, &clients)
            });
        }
    });
    for line in io::stdin().lines().map(Result::unwrap) {
        for (_, mut client) in mem::take(&mut clients.lock().unwrap().listening) {
            match line.as_str() {
                "half" => client.write_all(&Frame::text("x".repeat(100)).encode()[..50]).unwrap(),
                "forget" => {
                    SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
                    // Who reads is to let go of it.
                    client.shutdown(Shutdown::Read).unwrap();
                }
                other => panic!("{other}?"),
            }
        }
        println!("done {line}");
    }
    process::exit(0);
}

/// Those that are answered: not those that were left in the middle of a frame.
#[derive(Default)]
struct Listening {
    listening: BTreeMap<u32, TcpStream>,
    next: u32,
}

fn talk(mut client: Connection, number: u32, clients: &Mutex<Listening>) -> Option<()> {
    client.try_upgrade().ok()?;
    let mut answer = Some(Frame::text(WELCOME));
    loop {
        // Held while writing, so that nothing gets into the middle of a frame.
        let clients = clients.lock().unwrap();
        if let Some(frame) = answer.filter(|_| clients.listening.contains_key(&number)) {
            client.try_write(frame.encode()).ok()?;
        }
        drop(clients);
        let frame = client.try_read_frame().ok()?;
        answer = match frame.opcode {
            PING => Some(Frame::new(PONG, frame.payload)),
            TEXT | CLOSE => Some(frame),
            _ => None,
        };
    }
}
