//! Somebody types and reads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use websocket_app::server::Client;
use websocket_app::{Message, OwnedMessage};

use crate::peers::{Peer, echo, recording, serve};
use crate::process::PATIENCE;
use crate::screen::Screen;

/// Everything that is said to all clients of a peer.
fn say(peer: &Peer, message: &str) {
    assert_eq!(peer.handle().broadcast(message).clients, 1);
}

#[test]
fn messages_commands_completion_and_history() {
    let Some(screen) = Screen::open() else { return };
    let peer = echo();
    screen.run(&peer.url());
    screen.wait_for_last(">");
    screen.enter("hello");
    screen.wait_for("< hello");
    screen.wait_for_last(">");
    screen.type_text("/pi");
    screen.press(&["Tab"]);
    screen.wait_for_last("> /ping");
    screen.press(&["Enter"]);
    screen.wait_for("* pong after");
    screen.enter("/binary 00 1b ff");
    screen.wait_for("< [3 bytes: 00 1b ff]");
    screen.enter("//etc");
    screen.wait_for("< /etc");
    screen.enter("/nonsense");
    screen.wait_for("* there is no /nonsense");
    screen.enter("/help");
    screen.wait_for("* /close [CODE [REASON]]");
    // Five lines up is the first message.
    screen.wait_for_last(">");
    screen.press(&["Up", "Up", "Up", "Up", "Up", "Up"]);
    screen.wait_for_last("> hello");
    screen.type_text(" again");
    screen.press(&["Enter"]);
    screen.wait_for("< hello again");
    screen.wait_for_last(">");
    screen.press(&["C-d"]);
    screen.wait_for("exit status 0");
    // It is there the next time too.
    screen.run(&peer.url());
    screen.wait_for_last(">");
    screen.press(&["Up"]);
    screen.wait_for_last("> hello again");
}

#[test]
fn what_comes_does_not_tear_the_line_that_is_typed() {
    let Some(screen) = Screen::open() else { return };
    let peer = recording(|server| server, |_, _| {});
    screen.run(&peer.url());
    screen.wait_for_last(">");
    screen.type_text("half of ");
    screen.wait_for_last("> half of");
    for i in 0..20 {
        say(&peer, &format!("news {i}"));
    }
    screen.wait_for("< news 19");
    screen.wait_for_last("> half of");
    let shown = screen.shown();
    for i in 0..20 {
        assert!(shown.lines().any(|line| line == format!("< news {i}")), "{shown}");
    }
    screen.enter("it");
    assert_eq!(peer.message(), "half of it");
}

#[test]
fn a_hostile_server_changes_nothing_on_the_terminal() {
    let Some(screen) = Screen::open() else { return };
    let peer = recording(|server| server, |_, _| {});
    screen.run(&peer.url());
    screen.wait_for_last(">");
    screen.type_text("mine");
    say(&peer, "\u{1b}[2J\u{1b}]0;title\u{7}\rback\u{9b}31m\u{202e}\n> fake\u{8}");
    screen.wait_for(r"< \u{1b}[2J\u{1b}]0;title\u{7}\rback\u{9b}31m\u{202e}");
    // The second line does not look like a line that is typed.
    screen.wait_for(r"  > fake\u{8}");
    screen.wait_for_last("> mine");
    peer.handle().clients()[0].close_with(4000, "\u{1b}[2Jbye").unwrap();
    screen.wait_for("exit status 8");
    let shown = screen.shown();
    assert!(shown.contains("mine") && shown.contains("bye"), "{shown}");
}

#[test]
fn the_server_ends_it_while_a_line_is_typed_and_the_terminal_is_as_before() {
    let Some(screen) = Screen::open() else { return };
    let peer = recording(|server| server, |_, _| {});
    screen.run_shell(&format!(
        "stty -a > before; {} {}; echo \"wsapp $?\"; stty -a | cmp - before",
        env!("CARGO_BIN_EXE_wsapp"),
        peer.url()
    ));
    screen.wait_for_last(">");
    screen.type_text("half");
    screen.wait_for_last("> half");
    peer.handle().clients()[0].close_with(4001, "token expired").unwrap();
    screen.wait_for("wsapp: ws://localhost");
    screen.wait_for("wsapp 8");
    screen.wait_for("exit status 0");
}

#[test]
fn ctrl_c_leaves_at_once() {
    let Some(screen) = Screen::open() else { return };
    // It does not answer the Close frame, for it is never read.
    let (enter, entered) = std::sync::mpsc::channel();
    let peer = recording(
        |server| server,
        move |_: &Client, _: &OwnedMessage| {
            let _ = enter.send(());
        },
    );
    screen.run(&peer.url());
    screen.wait_for_last(">");
    screen.enter("x");
    entered.recv_timeout(crate::process::PATIENCE).unwrap();
    screen.type_text("unsent");
    screen.press(&["C-c"]);
    screen.wait_for("exit status 130");
    assert_eq!(peer.message(), "x");
}

#[test]
fn a_signal_that_ends_it_leaves_the_terminal_as_before() {
    let Some(screen) = Screen::open() else { return };
    let peer = recording(|server| server, |_, _| {});
    for (signal, status) in [("TERM", 143), ("HUP", 129)] {
        let file = crate::temporary::temporary("pid");
        screen.run_shell(&format!(
            "stty -a > before; sh -c 'echo $$ > {file}; exec {} {}'; echo \"wsapp $?\"; stty -a | cmp - before",
            env!("CARGO_BIN_EXE_wsapp"),
            peer.url()
        ));
        screen.wait_for_last(">");
        screen.type_text("half");
        screen.wait_for_last("> half");
        let process = std::fs::read_to_string(&file).unwrap();
        let kill = std::process::Command::new("kill")
            .args([&format!("-{signal}"), process.trim()])
            .status();
        assert!(kill.unwrap().success());
        screen.wait_for(&format!("wsapp {status}"));
        screen.wait_for("exit status 0");
    }
}

#[test]
fn ctrl_z_leaves_the_terminal_as_before_and_fg_comes_back_to_the_line() {
    let Some(screen) = Screen::open() else { return };
    let peer = recording(|server| server, |_, _| {});
    screen.run_shell(&format!("stty -a > before; {} {}", env!("CARGO_BIN_EXE_wsapp"), peer.url()));
    screen.wait_for_last(">");
    for typed in ["half", " of", " it"] {
        screen.type_text(typed);
        screen.wait_until(|shown| shown.ends_with(typed), typed);
        screen.press(&["C-z"]);
        screen.wait_for_last("$");
        screen.enter("clear; stty -a | cmp - before; echo \"compared $?\"");
        screen.wait_for("compared 0");
        screen.enter("fg");
        screen.wait_until(|shown| shown.ends_with(typed), typed);
        say(&peer, typed);
        screen.wait_for(&format!("< {typed}"));
        screen.wait_until(|shown| shown.ends_with(typed), typed);
    }
    screen.press(&["Enter"]);
    assert_eq!(peer.message(), "half of it");
    screen.wait_for_last(">");
    screen.press(&["C-d"]);
    screen.wait_for_last("$");
    screen.enter("clear; stty -a | cmp - before; echo \"compared $?\"");
    screen.wait_for("compared 0");
}

/// Nobody could have it go on.
#[test]
#[cfg(target_os = "linux")]
fn ctrl_z_stops_nothing_where_there_is_no_shell() {
    let Some(screen) = Screen::open() else { return };
    let peer = echo();
    let wsapp = env!("CARGO_BIN_EXE_wsapp");
    // In a session of its own, whose terminal this is.
    screen.run_shell(&format!("script -qec '{wsapp} {}' /dev/null", peer.url()));
    screen.wait_for_last(">");
    screen.press(&["C-z"]);
    screen.enter("hello");
    screen.wait_for("< hello");
    screen.wait_for_last(">");
    screen.press(&["C-d"]);
    screen.wait_for("exit status 0");
}

#[test]
fn a_second_ctrl_c_that_is_typed_ends_it_at_once_with_the_terminal_as_before() {
    let Some(screen) = Screen::open() else { return };
    // It does not answer the Close frame, for which a second is waited after the first.
    let url = format!("ws://{}/", crate::peers::says_nothing_more());
    let quick = (0..20).any(|_| {
        screen.run_shell(&format!(
            "stty -a > before; {} {url}; echo \"wsapp $?\"; stty -a | cmp - before",
            env!("CARGO_BIN_EXE_wsapp"),
        ));
        screen.wait_for_last(">");
        let began = std::time::Instant::now();
        screen.press(&["C-c"]);
        screen.press(&["C-c"]);
        // Maybe behind the line that was being typed.
        screen.wait_until(|shown| shown.contains("wsapp 130"), "its end");
        let quick = began.elapsed() < Duration::from_secs(1);
        screen.wait_until(|shown| shown.contains("exit status 0"), "the terminal as before");
        quick
    });
    assert!(quick);
}

/// The number of the system call `write`.
#[cfg(target_os = "linux")]
const WRITE: u32 = if cfg!(target_arch = "x86_64") { 1 } else { 64 };

/// How many threads a process has.
#[cfg(target_os = "linux")]
fn threads_of(process: &str) -> usize {
    std::fs::read_dir(format!("/proc/{process}/task")).map_or(0, Iterator::count)
}

#[test]
#[cfg(target_os = "linux")]
fn a_line_that_ends_when_all_is_over_leaves_the_terminal_as_before() {
    let Some(screen) = Screen::open() else { return };
    let peer = recording(|server| server, |_, _| {});
    let (fifo, pid) = (crate::temporary::temporary("fifo"), crate::temporary::temporary("pid"));
    // Nobody reads what it says of its end, which so takes a while.
    screen.run_shell(&format!(
        "stty -a > before; mkfifo {fifo}; exec 3<> {fifo}; head -c 65536 /dev/zero >&3; \
         sh -c 'echo $$ > {pid}; exec {} {} 2>&3'; echo \"wsapp $?\"; stty -a | cmp - before",
        env!("CARGO_BIN_EXE_wsapp"),
        peer.url()
    ));
    screen.wait_for_last(">");
    screen.type_text("half");
    screen.wait_for_last("> half");
    let process = std::fs::read_to_string(&pid).unwrap();
    let process = process.trim();
    peer.handle().clients()[0].close_with(4001, "token expired").unwrap();
    let wait_until = |is_so: &dyn Fn() -> bool| {
        let until = std::time::Instant::now() + PATIENCE;
        while !is_so() {
            assert!(std::time::Instant::now() < until);
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    // Its first thread writes.
    let call = || std::fs::read_to_string(format!("/proc/{process}/syscall")).unwrap_or_default();
    wait_until(&|| call().starts_with(&format!("{} 0x2 ", WRITE)));
    let before = threads_of(process);
    screen.press(&["Enter"]);
    // The thread that reads lines has ended.
    wait_until(&|| threads_of(process) < before);
    let _ = std::fs::File::open(&fifo)
        .and_then(|mut file| std::io::Read::read_exact(&mut file, &mut vec![0; 65536]));
    screen.wait_for("wsapp 8");
    screen.wait_for("exit status 0");
}

#[test]
fn as_json_lines_what_comes_is_json() {
    let Some(screen) = Screen::open() else { return };
    let peer = echo();
    screen.run(&format!("{} --json-lines", peer.url()));
    screen.wait_for_last(">");
    screen.enter(r#"{"type":"binary","data":"AQID"}"#);
    screen.wait_for(r#"< {"type":"binary","data":"AQID"}"#);
    screen.wait_for_last(">");
    screen.press(&["C-d"]);
    screen.wait_for("exit status 0");
}

/// Sends to each client that comes all the time.
fn flood() -> Peer {
    serve(|server| {
        server.on_open(|client| {
            let client = client.clone();
            std::thread::spawn(move || while client.send("again and again").is_ok() {});
        })
    })
}

#[test]
fn a_stream_of_messages_holds_up_no_key() {
    let Some(screen) = Screen::open() else { return };
    let peer = flood();
    for (keys, status) in [("C-c", 130), ("C-d", 0)] {
        screen.run(&format!("{} --wait 0", peer.url()));
        screen.wait_for("< again and again");
        for i in 0..20 {
            screen.enter(&format!("/help {i}"));
            screen.enter(&format!("line {i}"));
        }
        screen.press(&[keys]);
        screen.wait_for(&format!("exit status {status}"));
    }
}

/// Counts to each client that comes, some thousands a second, until it says `stop`, and then closes.
/// The other end hears how far.
fn counting() -> (Peer, Receiver<u64>) {
    let (tell, told) = channel();
    let stopped = Arc::new(AtomicBool::new(false));
    let heard = Arc::clone(&stopped);
    let peer = serve(|server| {
        server
            .on_open(move |client| {
                let (client, stopped, tell) = (client.clone(), Arc::clone(&stopped), tell.clone());
                std::thread::spawn(move || {
                    let mut count = 0;
                    while !stopped.load(Ordering::Relaxed) {
                        for _ in 0..5 {
                            if client.send(format!("number {count}.")).is_err() {
                                return;
                            }
                            count += 1;
                        }
                        std::thread::sleep(Duration::from_millis(1));
                    }
                    tell.send(count).unwrap();
                    let _ = client.close_with(1000, "");
                });
            })
            .on_message(move |_, message: Message<'_>| {
                heard.fetch_or(message.as_text() == Some("stop"), Ordering::Relaxed);
            })
    });
    (peer, told)
}

/// The numbers within `number 17.` of what a terminal got.
fn numbers(shown: &str) -> Vec<u64> {
    let number = |text: &str| text.split_once('.').and_then(|(number, _)| number.parse().ok());
    shown.split("< number ").skip(1).filter_map(number).collect()
}

#[test]
fn messages_keep_their_order_while_lines_are_entered() {
    let Some(screen) = Screen::open() else { return };
    let (peer, told) = counting();
    screen.keep_all();
    screen.run(&format!("{} --wait forever", peer.url()));
    screen.wait_for("< number");
    for _ in 0..20 {
        screen.press(&["Enter"; 100]);
        for _ in 0..10 {
            screen.press(&["Enter"]);
        }
    }
    screen.type_text("stop");
    // The second is pressed while something waits to be shown.
    screen.press(&["Enter", "C-d"]);
    let shown = numbers(&screen.kept_until("exit status 0"));
    let count = told.recv_timeout(PATIENCE).unwrap();
    let wrong = shown.iter().zip(0..).find(|(shown, expected)| **shown != *expected);
    let lost = (0..count).filter(|number| !shown.contains(number)).count();
    assert_eq!(wrong, None, "{lost} of {count} are lost");
    assert_eq!(shown.len() as u64, count);
}

#[test]
#[cfg(target_os = "linux")]
fn keys_behind_a_line_are_neither_taken_nor_shown_by_the_terminal() {
    let Some(screen) = Screen::open() else { return };
    let peer = recording(|server| server, |_, _| {});
    screen.run(&format!("{} --wait forever", peer.url()));
    // Else it would be shown in a line that follows.
    screen.wait_for("* connected");
    screen.wait_for_last(">");
    assert!(screen.modes().contains("-iexten"));
    screen.press(&["C-d"]);
    // The line has ended, and no other follows: it is as between two.
    screen.wait_until(|_| !screen.modes().contains("-iexten"), "the end of the line");
    let modes = screen.modes();
    assert!(modes.contains("-icanon") && modes.contains("-echo "), "{modes}");
    screen.press(&["C-c"]);
    screen.wait_for("exit status 130");
}

#[test]
fn what_a_server_says_last_is_shown() {
    let Some(screen) = Screen::open() else { return };
    let peer = recording(
        |server| server,
        |client, _| {
            for i in 0..20 {
                client.send(format!("last words {i}")).unwrap();
            }
            client.close_with(1000, "").unwrap();
        },
    );
    for _ in 0..5 {
        screen.run(&peer.url());
        screen.wait_for_last(">");
        screen.enter("bye");
        screen.wait_for("exit status 0");
        let shown = screen.shown();
        assert!(shown.contains("< last words 0") && shown.contains("< last words 19"), "{shown}");
    }
}

#[test]
fn colours_are_for_those_who_want_them() {
    let Some(screen) = Screen::open() else { return };
    let peer = echo();
    let wsapp = env!("CARGO_BIN_EXE_wsapp");
    for (line, coloured) in [
        (format!("{wsapp} {}", peer.url()), true),
        (format!("NO_COLOR=1 {wsapp} {}", peer.url()), false),
        (format!("{wsapp} {} --no-color", peer.url()), false),
    ] {
        screen.run_shell(&line);
        screen.wait_for_last(">");
        screen.enter("green");
        screen.wait_for("< green");
        let shown = screen.shown_with_colours();
        let message = shown.lines().find(|line| line.contains("< green")).unwrap();
        assert_eq!(message.contains('\u{1b}'), coloured, "{line}: {message:?}");
        screen.wait_for_last(">");
        screen.press(&["C-d"]);
        screen.wait_for("exit status 0");
    }
}

#[test]
fn a_pipe_that_ends_on_a_terminal_is_escaped() {
    let Some(screen) = Screen::open() else { return };
    let peer = echo();
    let wsapp = env!("CARGO_BIN_EXE_wsapp");
    let url = peer.url();
    screen.run_shell(&format!("printf '\\033[2Jred\\na\\n' | {wsapp} {url} -n 2"));
    screen.wait_for(r"\u{1b}[2Jred");
    screen.wait_for("exit status 0");
}

#[test]
fn whatever_the_format_a_terminal_is_not_changed() {
    let Some(screen) = Screen::open() else { return };
    let peer = serve(|server| {
        server.on_open(|client| {
            client.send("\u{1b}[2Jred\u{7f}\u{9b}31m\u{202e}")?;
            client.close_with(1000, "")
        })
    });
    let (wsapp, url) = (env!("CARGO_BIN_EXE_wsapp"), peer.url());
    let escaped = r"\u{1b}[2Jred\u{7f}\u{9b}31m\u{202e}";
    for (option, shown) in [
        ("--null", escaped),
        ("--stream", escaped),
        ("--receive-file -", escaped),
        ("--json-lines", r#"{"type":"text","data":"\u001b[2Jred\u007f\u009b31m\u202e"}"#),
    ] {
        screen.run_shell(&format!("{wsapp} {url} {option} < /dev/null"));
        screen.wait_until(|now| now.contains(shown), option);
        screen.wait_until(|now| now.contains("exit status 0"), option);
    }
}

#[test]
fn a_server_that_goes_and_comes() {
    let Some(screen) = Screen::open() else { return };
    let peer = serve(|server| {
        server.on_message(|client, message: Message<'_>| match message.as_text() {
            Some("go") => {
                client.abort();
                Ok(())
            }
            _ => client.send(message),
        })
    });
    screen.run(&format!("{} --reconnect=0.05", peer.url()));
    screen.wait_for_last(">");
    screen.type_text("go");
    screen.press(&["Enter"]);
    screen.wait_for("* connected again");
    screen.enter("back");
    screen.wait_for("< back");
    screen.enter("/close 1000 done");
    screen.wait_for("exit status 0");
}

#[test]
fn a_terminal_that_can_do_nothing() {
    let Some(screen) = Screen::open() else { return };
    let peer = echo();
    screen.run_shell(&format!("TERM=dumb {} {}", env!("CARGO_BIN_EXE_wsapp"), peer.url()));
    screen.wait_for("* connected");
    screen.enter("plain");
    screen.wait_for("< plain");
    screen.press(&["C-d"]);
    screen.wait_for("exit status 0");
}
