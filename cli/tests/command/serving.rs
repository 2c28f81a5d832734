//! `serve` in each of its ways.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;

use websocket_app::{Event, WebSocket, WebSocketApp, WebSocketBuilder};

#[cfg(unix)]
use crate::process::command_that_hears_of_hangups;
use crate::process::{PATIENCE, Running, command, run, start, start_command};
use crate::temporary::temporary;
#[cfg(unix)]
use crate::temporary::temporary_socket;

/// Starts a server with these arguments, and returns its URL too.
fn server(args: &[&str]) -> (Running, String) {
    let running = start(&[&["serve", "127.0.0.1:0"], args].concat());
    let url = running.address();
    (running, url)
}

fn connect(url: &str) -> WebSocket {
    builder(url).connect().unwrap()
}

fn builder(url: &str) -> WebSocketBuilder {
    WebSocket::builder(url).no_proxy()
}

#[track_caller]
fn next(ws: &mut WebSocket) -> String {
    ws.recv_timeout(PATIENCE).unwrap().expect("a message").into_text().unwrap()
}

/// Waits until the server closes, and returns its code.
#[track_caller]
fn close_code(ws: &mut WebSocket) -> u16 {
    match ws.recv_timeout(PATIENCE) {
        Err(websocket_app::Error::Closed(close)) => close.code,
        other => panic!("{other:?} instead of a Close frame"),
    }
}

#[test]
fn echo_sends_back_and_ctrl_c_closes_with_1001() {
    let (running, url) = server(&["--echo"]);
    let mut ws = connect(&url);
    ws.send("hello").unwrap();
    assert_eq!(next(&mut ws), "hello");
    running.signal("INT");
    assert_eq!(close_code(&mut ws), 1001);
    running.wait().with(130);
}

#[test]
fn echo_loses_nothing_of_a_client_that_reads_late() {
    let (running, url) = server(&["--echo"]);
    let events = WebSocketApp::new(&url).no_proxy().max_send_buffer(1 << 30).events(1);
    assert!(matches!(events.recv_timeout(PATIENCE), Some(Event::Open)));
    // More than there is room for on the way, before the first is read.
    let (count, mut message) = (100, vec![7; 1 << 20]);
    for i in 0..count {
        message[0] = i;
        events.sender().send(&message).unwrap();
    }
    for i in 0..count {
        match events.recv_timeout(PATIENCE) {
            Some(Event::Message(message)) => {
                assert_eq!((message.len(), message.as_bytes()[0]), (1 << 20, i));
            }
            other => panic!("{other:?} instead of message {i}"),
        }
    }
    events.close();
    running.signal("INT");
    running.wait().with(130);
}

#[test]
fn broadcast_sends_to_all() {
    let (running, url) = server(&["--broadcast"]);
    let (mut a, mut b) = (connect(&url), connect(&url));
    // Each hears both.
    for ws in [&mut a, &mut b] {
        ws.send("here").unwrap();
    }
    for ws in [&mut a, &mut b] {
        assert_eq!([next(ws), next(ws)], ["here", "here"]);
    }
    a.send("news").unwrap();
    assert_eq!(next(&mut a), "news");
    assert_eq!(next(&mut b), "news");
    running.signal("INT");
    running.wait().with(130);
}

#[test]
fn exec_runs_a_command_for_each_client() {
    let (running, url) = server(&["--exec", "echo $WSAPP_PATH $WSAPP_QUERY; tr a-z A-Z"]);
    // Upper case only at the end of its input, for it buffers what it writes to a pipe.
    let mut ws = connect(&format!("{url}path?query"));
    assert_eq!(next(&mut ws), "/path query");
    drop(ws);
    running.signal("INT");
    running.wait().with(130);

    let (running, url) = server(&[
        "--exec",
        "while read line; do echo \"<$line>\"; [ \"$line\" = end ] && exit; done",
    ]);
    let (mut a, mut b) = (connect(&url), connect(&url));
    a.send("one").unwrap();
    b.send("two").unwrap();
    assert_eq!(next(&mut a), "<one>");
    assert_eq!(next(&mut b), "<two>");
    a.send("end").unwrap();
    assert_eq!(next(&mut a), "<end>");
    assert_eq!(close_code(&mut a), 1000);
    running.signal("INT");
    running.wait().with(130);
}

#[test]
fn exec_ends_commands_of_clients_that_go_and_tells_of_those_that_fail() {
    let gone = temporary("gone");
    let (running, url) = server(&[
        "--exec",
        &format!("cat > /dev/null; echo ended > {gone}.part; mv {gone}.part {gone}"),
    ]);
    drop(connect(&url));
    let until = std::time::Instant::now() + PATIENCE;
    while fs::metadata(&gone).is_err() {
        assert!(std::time::Instant::now() < until, "the command does not end");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    running.signal("INT");
    running.wait().with(130);

    let (running, url) = server(&["--exec", "exit 3"]);
    assert_eq!(close_code(&mut connect(&url)), 1011);
    running.signal("INT");
    running.wait().with(130);
}

/// Waits until there is no such process.
#[cfg(unix)]
#[track_caller]
fn wait_for_end_of(process: &str) {
    let until = std::time::Instant::now() + PATIENCE;
    let is_there = || std::process::Command::new("kill").args(["-0", process]).output().unwrap();
    while is_there().status.success() {
        assert!(std::time::Instant::now() < until, "process {process} does not end");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// A command that says the number of a process that it starts, and its own, and ends neither with its
/// input nor when it is asked to.
#[cfg(unix)]
const STUBBORN: &str = "trap '' TERM; sleep 1000 & echo $!; echo $$; while :; do sleep 1000; done";

#[test]
#[cfg(unix)]
fn exec_leaves_nothing_behind_of_clients_that_go() {
    let (running, url) = server(&["--exec", STUBBORN, "--grace", "0.2"]);
    let mut ws = connect(&url);
    let processes = [next(&mut ws), next(&mut ws)];
    drop(ws);
    for process in processes {
        wait_for_end_of(&process);
    }
    // One that is asked, and does.
    let (asked, url) = server(&["--exec", "echo $$; exec sleep 1000", "--grace", "0.2"]);
    let mut ws = connect(&url);
    let process = next(&mut ws);
    drop(ws);
    wait_for_end_of(&process);
    for running in [running, asked] {
        running.signal("INT");
        running.wait().with(130);
    }
}

#[test]
#[cfg(unix)]
fn exec_leaves_nothing_behind_at_ctrl_c() {
    let (running, url) = server(&["--exec", STUBBORN]);
    let mut clients = [connect(&url), connect(&url)];
    let processes: Vec<String> = clients.iter_mut().flat_map(|ws| [next(ws), next(ws)]).collect();
    running.signal("INT");
    for ws in &mut clients {
        assert_eq!(close_code(ws), 1001);
    }
    running.wait().with(130);
    for process in processes {
        wait_for_end_of(&process);
    }
}

/// Waits until somebody has written a file.
#[track_caller]
fn wait_for_file(path: &str) {
    let until = std::time::Instant::now() + PATIENCE;
    while fs::metadata(path).is_err() {
        assert!(std::time::Instant::now() < until, "{path} does not come");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

#[test]
#[cfg(unix)]
fn exec_leaves_nothing_behind_whichever_signal_ends_the_server() {
    for (signal, status) in [("TERM", 143), ("HUP", 129)] {
        let args = ["serve", "127.0.0.1:0", "--exec", STUBBORN];
        let running = start_command(command_that_hears_of_hangups(&args));
        let mut ws = connect(&running.address());
        let processes = [next(&mut ws), next(&mut ws)];
        running.signal(signal);
        assert_eq!(close_code(&mut ws), 1001);
        running.wait().with(status);
        for process in processes {
            wait_for_end_of(&process);
        }
    }
}

#[test]
#[cfg(unix)]
fn exec_leaves_nothing_behind_at_the_second_ctrl_c() {
    // Without the second it takes half a second at least; with it far less, unless the machine does other things.
    let quick = (0..40).any(|_| {
        let (running, url) = server(&["--exec", STUBBORN]);
        let mut ws = connect(&url);
        let processes = [next(&mut ws), next(&mut ws)];
        let began = std::time::Instant::now();
        running.signal("INT");
        // It is ending: the commands have been asked, and do not.
        assert_eq!(close_code(&mut ws), 1001);
        running.signal("INT");
        running.wait().with(130);
        let elapsed = began.elapsed();
        for process in processes {
            wait_for_end_of(&process);
        }
        elapsed < std::time::Duration::from_millis(500)
    });
    assert!(quick);
}

#[test]
#[cfg(unix)]
fn exec_gives_what_a_command_has_started_its_time_too() {
    // The shell ends with its input, and what it has started a while later.
    let file = temporary("late-result");
    let command = format!("(sleep 0.5; echo done > {file}.new; mv {file}.new {file}) & cat");
    let (running, url) = server(&["--exec", &command, "--grace", "30"]);
    let mut ws = connect(&url);
    ws.send("there").unwrap();
    assert_eq!(next(&mut ws), "there");
    drop(ws);
    wait_for_file(&file);
    running.signal("INT");
    running.wait().with(130);

    // SIGTERM is what it gets first.
    let file = temporary("asked-to-end");
    let child = format!("trap 'echo > {file}; exit' TERM; echo ready; while :; do sleep 0.1; done");
    let (running, url) = server(&["--exec", &format!("({child}) & read line"), "--grace", "0.5"]);
    let mut ws = connect(&url);
    assert_eq!(next(&mut ws), "ready");
    drop(ws);
    wait_for_file(&file);
    running.signal("INT");
    running.wait().with(130);
}

#[test]
#[cfg(unix)]
fn exec_gives_commands_their_time_where_a_process_and_its_group_get_the_signal() {
    let file = temporary("orderly");
    let child = format!(
        "trap 'sleep 0.1; echo > {file}; exit' TERM; echo ready; while :; do sleep 0.02; done"
    );
    let (running, url) = server(&["--exec", &child]);
    let mut ws = connect(&url);
    assert_eq!(next(&mut ws), "ready");
    let kill = format!("kill -TERM {0}; sleep 0.02; kill -TERM {0}", running.id());
    assert!(std::process::Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    running.wait().with(143);
    assert!(fs::metadata(&file).is_ok());
}

#[test]
#[cfg(unix)]
fn exec_bounds_the_commands_that_run_with_those_of_clients_that_have_gone() {
    let (running_file, go) = (temporary("running"), temporary("go"));
    let command =
        format!("echo here; echo >> {running_file}; while [ ! -e {go} ]; do sleep 0.05; done");
    let (running, url) = server(&["--exec", &command, "--max-connections", "2", "--grace", "1000"]);
    // One that has gone may be counted for a moment.
    let visit = || {
        let until = std::time::Instant::now() + PATIENCE;
        loop {
            match builder(&url).connect() {
                Ok(ws) => return ws,
                Err(error) => assert!(std::time::Instant::now() < until, "{error}"),
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    };
    for _ in 0..4 {
        assert_eq!(next(&mut visit()), "here");
    }
    assert_eq!(close_code(&mut visit()), 1013);
    assert_eq!(fs::read_to_string(&running_file).unwrap(), "\n".repeat(4));
    // When they end there is room again.
    fs::write(&go, "").unwrap();
    let until = std::time::Instant::now() + PATIENCE;
    while next_or_close(&mut visit()).is_none() {
        assert!(std::time::Instant::now() < until, "there is no room");
    }
    running.signal("INT");
    running.wait().with(130).said(&["4 run already"]);
}

/// Returns a message, or nothing where the server closes.
#[cfg(unix)]
fn next_or_close(ws: &mut WebSocket) -> Option<String> {
    ws.recv_timeout(PATIENCE).ok().map(|message| message.unwrap().into_text().unwrap())
}

#[test]
fn exec_tells_of_a_line_that_cannot_be_sent_and_goes_on() {
    let long = "a".repeat(200);
    let lines = format!(
        r#"{{"type":"close","code":1}}
{{"type":"ping","data":"{long}"}}
{{"type":"text","data":"after"}}"#
    );
    let command = format!("echo '{lines}'; cat > /dev/null");
    let (running, url) = server(&["--exec", &command, "--json-lines"]);
    let mut ws = connect(&url);
    assert_eq!(next(&mut ws), "after");
    drop(ws);
    running.signal("INT");
    running.wait().with(130).said(&["client 1: its command: ", "125"]);
}

#[test]
#[cfg(target_os = "linux")]
fn messages_that_cannot_be_written_are_told_of() {
    let mut serve = command(&["serve", "127.0.0.1:0"]);
    serve.stdout(fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    serve.stdin(std::process::Stdio::piped());
    let mut running = start_command(serve);
    let url = running.address();
    let mut ws = connect(&url);
    ws.send("lost").unwrap();
    running.says("standard output cannot be written");
    // Lines of its input still go out.
    running.write("from the server\n");
    assert_eq!(next(&mut ws), "from the server");
    running.signal("INT");
    running.wait().with(130);
}

/// More than there are callbacks at a time.
#[cfg(unix)]
const MANY: usize = 70;

#[test]
#[cfg(unix)]
fn exec_of_commands_that_do_not_read_holds_up_nobody_else() {
    let command = "case $WSAPP_PATH in /deaf) exec sleep 1000;; *) exec cat;; esac";
    let (running, url) = server(&["--exec", command]);
    // More than a pipe and a queue hold.
    let message = vec![b'x'; (1 << 20) + (1 << 17)];
    let deaf = |_| {
        let app = WebSocketApp::new(format!("{url}deaf")).no_proxy().max_send_buffer(1 << 30);
        let events = app.events(8);
        assert!(matches!(events.recv_timeout(PATIENCE), Some(Event::Open)));
        events.sender().send(&message).unwrap();
        events.sender().send("more").unwrap();
        events
    };
    let stuck: Vec<_> = (0..MANY).map(deaf).collect();
    let mut ws = connect(&url);
    ws.send("still there?").unwrap();
    assert_eq!(next(&mut ws), "still there?");
    for events in &stuck {
        loop {
            match events.recv_timeout(PATIENCE) {
                Some(Event::Close(close)) => break assert_eq!(close.code, 1013),
                Some(_) => {}
                None => panic!("no end"),
            }
        }
    }
    // And Ctrl-C while some wait.
    let stuck: Vec<_> = (0..8).map(deaf).collect();
    running.signal("INT");
    running.wait().with(130);
    drop(stuck);
}

/// Asks for a path as it is, and returns the whole answer.
fn get(url: &str, path: &str) -> String {
    let address = url.trim_start_matches("ws://").trim_end_matches('/');
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn dir_has_the_files_of_a_directory_and_no_others() {
    let directory = temporary("site");
    fs::create_dir_all(format!("{directory}/sub dir")).unwrap();
    fs::write(format!("{directory}/index.html"), "<h1>home</h1>").unwrap();
    fs::write(format!("{directory}/sub dir/app.js"), "let x").unwrap();
    fs::write(format!("{directory}/.secret"), "s3cret").unwrap();
    fs::write(format!("{directory}-outside"), "s3cret").unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(format!("{directory}-outside"), format!("{directory}/link"))
        .unwrap();
    let (running, url) = server(&["--dir", &directory, "--echo"]);
    let home = get(&url, "/");
    assert!(home.starts_with("HTTP/1.1 200") && home.ends_with("<h1>home</h1>"), "{home}");
    assert!(home.to_lowercase().contains("content-type: text/html"), "{home}");
    let script = get(&url, "/sub%20dir/app.js?version=1");
    assert!(
        script.ends_with("let x") && script.to_lowercase().contains("text/javascript"),
        "{script}"
    );
    assert!(get(&url, "/sub%20dir").to_lowercase().contains("location: /sub%20dir/"));
    let outside = directory.rsplit('/').next().unwrap();
    for path in [
        "/nothing",
        "/.secret",
        "/../x",
        "/link",
        "/%2e%2e/x",
        "/..%2f..%2fetc/passwd",
        "//etc/passwd",
        "/%00",
        &format!("/../{outside}-outside"),
        &format!("/%2e%2e%2f{outside}-outside"),
    ] {
        let answer = get(&url, path);
        assert!(
            answer.starts_with("HTTP/1.1 404") || answer.starts_with("HTTP/1.1 400"),
            "{path}: {answer}"
        );
        assert!(!answer.contains("s3cret"), "{path}: {answer}");
    }
    // The same port is that of the WebSocket.
    let mut ws = connect(&url);
    ws.send("hello").unwrap();
    assert_eq!(next(&mut ws), "hello");
    running.signal("INT");
    running.wait().with(130);
}

#[test]
fn without_a_mode_lines_go_to_all_and_messages_are_written() {
    let (mut running, url) = server(&[]);
    let mut ws = connect(&url);
    ws.send("from the client").unwrap();
    assert_eq!(running.line(), "from the client");
    running.write("from the server\n");
    assert_eq!(next(&mut ws), "from the server");
    running.signal("INT");
    running.wait().with(130);
}

#[test]
fn it_serves_over_tls_and_unix_sockets() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (cert, key) = (temporary("cert.pem"), temporary("key.pem"));
    fs::write(&cert, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let (running, url) = server(&["--echo", "--cert", &cert, "--key", &key]);
    assert!(url.starts_with("wss://"), "{url}");
    let url = url.replace("127.0.0.1", "localhost");
    run(&[&url, "--ca", &cert, "-x", "secure", "-n", "1"], "").with(0).wrote("secure\n");
    running.signal("INT");
    running.wait().with(130);

    let socket = temporary_socket();
    let running = start_command(command(&["serve", "--echo", &format!("unix:{socket}")]));
    running.address_line();
    run(&[&format!("ws+unix:{socket}:/"), "-x", "near", "-n", "1"], "").with(0).wrote("near\n");
    running.signal("INT");
    running.wait().with(130);
}

#[test]
fn an_address_that_is_taken_is_told() {
    let (running, url) = server(&["--echo"]);
    let address = url.trim_start_matches("ws://").trim_end_matches('/');
    let ended = run(&["serve", address], "");
    assert!(matches!(ended.status, Some(1..=3)), "{ended:?}");
    let _ = ended.said(&[address]);
    running.signal("INT");
    running.wait().with(130);
}
