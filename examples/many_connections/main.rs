//! Many connections on one thread: what one of them costs in memory, what they cost while nothing
//! happens, and how long an echo takes among them.
//!
//! ```text
//! cargo run --release --example many_connections              # 10,000 connections
//! cargo run --release --example many_connections -- 500
//! ```
//!
//! Tested in `tests/integration/examples/alone.rs`.
//!
//! The server is a process of its own, so that only the client is measured: this program starts
//! itself a second time. The limit of open files is raised as far as the system allows. Memory and
//! wake-ups are read from /proc, which is Linux's.

mod measure;
mod server;

use std::env;
use std::error::Error;
use std::process::ExitCode;
use std::sync::mpsc::{self, Receiver, Sender as Channel};
use std::thread;
use std::time::{Duration, Instant};

use websocket_app::{AppHandle, EventLoop, WebSocketApp};

use self::measure::{Percentiles, wake_ups};
use self::server::Server;

const CONNECTIONS: usize = 10_000;
/// A connection that is being made has a thread and two more open files for as long as that takes.
/// So not all at once.
const AT_ONCE: usize = 100;
const IDLE: Duration = Duration::from_secs(5);
const ECHOES: usize = 2_000;
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the callbacks tell: the connection's number.
enum News {
    Open,
    Echo(usize),
    Closed(usize, String),
}

fn main() -> ExitCode {
    let result = match env::args().nth(1).as_deref() {
        Some(server::ARGUMENT) => server::serve(),
        Some(number) => match number.parse() {
            Err(_) | Ok(0) => Err("usage: many_connections [CONNECTIONS]".into()),
            Ok(connections) => run(connections),
        },
        None => run(CONNECTIONS),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(wanted: usize) -> Result<(), Box<dyn Error>> {
    let connections = measure::what_the_system_allows(wanted, 3 * AT_ONCE)?;
    let server = Server::start()?;
    println!("server: process {}, {}", server.id(), server.url());

    let event_loop = EventLoop::new()?;
    let (news, received) = mpsc::channel();
    let before = measure::resident_memory();
    let started = Instant::now();
    let apps = open(&event_loop, server.url(), connections, &news, &received)?;
    println!("open: {connections} connections on one thread, in {:.1?}", started.elapsed());
    if let (Some(before), Some(now)) = (before, measure::resident_memory()) {
        let each = now.saturating_sub(before) as f64 / connections as f64;
        println!(
            "memory: {:.1} MiB, {:.1} KiB for each connection",
            now as f64 / 1048576.0,
            each / 1024.0
        );
    }
    idle();
    echo(&apps, &received)?;

    let started = Instant::now();
    apps.iter().for_each(AppHandle::close);
    for app in apps {
        app.join()?;
    }
    event_loop.join()?;
    println!("closed: all of them, in {:.1?}", started.elapsed());
    Ok(())
}

/// Opens so many connections, some at a time.
fn open(
    event_loop: &EventLoop,
    url: &str,
    connections: usize,
    news: &Channel<News>,
    received: &Receiver<News>,
) -> Result<Vec<AppHandle>, Box<dyn Error>> {
    let mut apps = Vec::with_capacity(connections);
    for opened in 0..connections {
        while apps.len() < connections.min(opened + AT_ONCE) {
            apps.push(event_loop.add(app(url, apps.len(), news))?);
        }
        match received.recv_timeout(PATIENCE)? {
            News::Open => {}
            News::Closed(number, why) => return Err(format!("connection {number}: {why}").into()),
            News::Echo(number) => {
                return Err(format!("connection {number} received what nobody sent").into());
            }
        }
    }
    Ok(apps)
}

fn app(url: &str, number: usize, news: &Channel<News>) -> WebSocketApp {
    let (on_open, on_message, on_close) = (news.clone(), news.clone(), news.clone());
    WebSocketApp::new(url)
        .on_open(move |_ws| on_open.send(News::Open))
        .on_message(move |_ws, _message| on_message.send(News::Echo(number)))
        .on_error(move |_ws, error| eprintln!("connection {number}: {error}"))
        // When all are closed at the end, nobody listens any more.
        .on_close(move |_ws, close| drop(on_close.send(News::Closed(number, close.to_string()))))
}

/// Counts how often a thread wakes up while nothing happens.
fn idle() {
    // The last of those that connected may still be on their way to sleep.
    thread::sleep(IDLE / 10);
    let Some(before) = wake_ups() else {
        return println!("idle: wake-ups are not counted on this system");
    };
    thread::sleep(IDLE);
    let Some(after) = wake_ups() else { return };
    let per_second = |thread: &str| {
        let count =
            after.get(thread).unwrap_or(&0).saturating_sub(*before.get(thread).unwrap_or(&0));
        count as f64 / IDLE.as_secs_f64()
    };
    // This one slept, and reads /proc.
    let others: Vec<_> = after.keys().filter(|thread| !measure::is_main(thread)).collect();
    let each: Vec<_> =
        others.iter().map(|thread| format!("{thread}: {:.1}", per_second(thread))).collect();
    let sum: f64 = others.iter().map(|thread| per_second(thread)).sum();
    println!("idle: {sum:.1} wake-ups per second during {IDLE:?} ({})", each.join(", "));
    println!("      (the keepalive pings each connection every 30 s; none is due yet)");
}

/// Times echoes, one after the other, spread over all connections, and then one on each at once.
fn echo(apps: &[AppHandle], received: &Receiver<News>) -> Result<(), Box<dyn Error>> {
    let wait_for = |wanted: Option<usize>| match received.recv_timeout(PATIENCE) {
        Ok(News::Echo(number)) if wanted.is_none_or(|wanted| wanted == number) => Ok(()),
        Ok(News::Closed(number, why)) => Err(format!("connection {number}: {why}")),
        Ok(_) => Err("an answer that was not asked for".into()),
        Err(_) => Err(format!("no echo within {PATIENCE:?}")),
    };
    let mut times = Vec::with_capacity(ECHOES);
    for i in 0..ECHOES {
        // Steps of a size that has no factor in common with most numbers, so that neighbours do not
        // follow each other.
        let number = i * 7919 % apps.len();
        let sent = Instant::now();
        apps[number].sender().send("hello")?;
        wait_for(Some(number))?;
        times.push(sent.elapsed());
    }
    println!("echo: {}", Percentiles::of(times));

    let started = Instant::now();
    for app in apps {
        app.sender().send("hello")?;
    }
    for _ in apps {
        wait_for(None)?;
    }
    println!(
        "echo: one on each of {} connections at once, all back after {:.1?}",
        apps.len(),
        started.elapsed()
    );
    Ok(())
}
