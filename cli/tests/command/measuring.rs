//! `bench` and `ping`.

use crate::peers::{echo, nobody, recording, says, serve};
use crate::process::{run, run_without_reader, start};
use crate::screen::Screen;

fn json(ended: &crate::process::Ended) -> serde_json::Value {
    serde_json::from_slice(&ended.stdout).unwrap()
}

#[test]
fn bench_counts_what_goes_there_and_back() {
    let peer = echo();
    let url = peer.url();
    let args = ["bench", &url, "-c", "3", "-f", "2", "-d", "0.3", "--size", "100", "--json"];
    let measured = json(&run(&args, "").with(0));
    let received = measured["received"].as_u64().unwrap();
    assert!(received > 0, "{measured}");
    assert_eq!(measured["connections"], 3);
    assert_eq!(measured["size"], 100);
    assert_eq!(measured["lost"], 0);
    assert_eq!(measured["connect_us"]["count"], 3);
    // All came back: the rate is without the last, the latencies are not.
    assert_eq!(measured["latency_us"]["count"], measured["sent"]);
    let stats = peer.handle().stats();
    assert_eq!(measured["sent"], stats.messages_received);
    assert_eq!(stats.bytes_received, stats.messages_received * 100);
    let latency = &measured["latency_us"];
    let of = |name: &str| latency[name].as_f64().unwrap();
    assert!(
        of("min") <= of("p50") && of("p50") <= of("p99.99") && of("p99.99") <= of("max"),
        "{latency}"
    );
}

#[test]
fn bench_keeps_a_rate() {
    let peer = echo();
    let url = peer.url();
    let args = ["bench", &url, "-r", "50", "-d", "2", "--json", "--binary", "-f", "1000"];
    let mut rates = (0..5).map(|_| {
        let measured = json(&run(&args, "").with(0));
        let sent = measured["sent"].as_u64().unwrap();
        // Never more than were due by the end.
        assert!(sent <= 100, "{measured}");
        sent
    });
    // Nor many fewer, unless the machine does something else for half a second at the end: not each time.
    assert!(rates.any(|sent| sent >= 75));
    for wrong in ["0", "-1", "inf", "x"] {
        run(&["bench", &url, &format!("--rate={wrong}")], "").with(2).said(&["--rate"]);
    }
}

#[test]
fn bench_and_ping_end_as_the_server_does() {
    for (code, status) in [(1000, 0), (4000, 8)] {
        let peer = serve(|server| {
            server.on_message(move |client, message| {
                client.send(message)?;
                client.close_with(code, "enough")
            })
        });
        run(&["bench", &peer.url(), "-d", "30"], "").with(status);
        for count in ["5", "0"] {
            let peer = serve(|server| {
                server.on_pong(|_, _| ()).on_ping(move |client, _| {
                    client.close_with(code, "enough").unwrap();
                })
            });
            run(&["ping", &peer.url(), "-c", count, "-i", "0.01"], "").with(status);
            let peer = serve(|server| {
                server.on_open(move |client| client.close_with(code, "enough").unwrap())
            });
            run(&["ping", &peer.url(), "-c", count, "-i", "0.01"], "").with(status);
        }
    }
    let mute = recording(|server| server, |_, _| {});
    run(&["bench", &mute.url(), "-d", "0.1"], "").with(7).said(&["no message came back"]);
}

#[test]
fn bench_waits_for_all_servers_that_do_not_close_together() {
    let url = format!("ws://{}/", crate::peers::says_nothing_more());
    // Five seconds each would be 40.
    let running = crate::process::start(&["bench", &url, "-c", "8", "-t", "8", "-d", "0.1"]);
    running.wait_within(std::time::Duration::from_secs(30)).with(7);
}

#[test]
fn nobody_who_reads_is_no_failure() {
    let peer = echo();
    let url = peer.url();
    run_without_reader(&["bench", &url, "-d", "0.1"]).with(0).silently();
    run_without_reader(&["bench", &url, "-d", "0.1", "--json"]).with(0).silently();
    run_without_reader(&["ping", &url, "-c", "0", "-i", "0.01"]).with(0).silently();
    run_without_reader(&["completions", "bash"]).with(0).silently();
    run_without_reader(&["man"]).with(0).silently();
    run_without_reader(&[&url, "-x", "x", "--receive-file", "-"]).with(0).silently();
}

#[test]
fn bench_counts_a_latency_from_when_its_message_was_due() {
    // It answers one message a 20 ms, and the rate is ten times that: the longer, the later.
    let peer = serve(|server| {
        server.on_message(|client, message| {
            std::thread::sleep(std::time::Duration::from_millis(20));
            client.send(message)
        })
    });
    let url = peer.url();
    let args = ["bench", &url, "-r", "500", "-d", "0.4", "--json"];
    let measured = json(&run(&args, "").with(0));
    // With one under way at a time each takes little more than 20 ms; what it waited for its turn is
    // most of it.
    assert!(measured["latency_us"]["max"].as_f64().unwrap() > 200_000.0, "{measured}");
}

#[test]
fn bench_says_in_words_and_with_a_plot() {
    let peer = echo();
    let ended = run(&["bench", &peer.url(), "-d", "0.2"], "").with(0);
    let text = String::from_utf8(ended.stdout).unwrap();
    for word in ["there and back", "a second", "connecting", "99.9 %", "max", "│█"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    // Standard error is no terminal.
    assert_eq!(ended.stderr, "");
}

/// The words of a line of a report behind these, without commas.
fn words<'a>(report: &'a str, line: &str) -> Vec<String> {
    let line =
        report.lines().find_map(|shown: &'a str| shown.split_once(line)).map(|(_, rest)| rest);
    let line = line.unwrap_or_else(|| panic!("{line:?} is not in {report}"));
    line.split_whitespace().map(|word| word.replace(',', "")).collect()
}

#[test]
fn bench_says_the_same_in_each_of_its_numbers_and_as_the_server() {
    const UNDER_WAY: u64 = 2 * 3;
    let peer = echo();
    let url = peer.url();
    let args = ["bench", &url, "-c", "2", "-f", "3", "-d", "0.5", "--size", "100"];
    let ended = run(&args, "").with(0);
    let text = String::from_utf8(ended.stdout).unwrap();
    let counted = peer.handle().stats().messages_received;
    let header = text.lines().next().unwrap().replace(',', "");
    let options = "2 connections 100 bytes up to 3 under way on each";
    assert!(header.contains(options), "{text}");
    let seconds: f64 = header.split_whitespace().nth_back(1).unwrap().parse().unwrap();
    assert!(seconds >= 0.5, "{text}");
    // `1234 messages 2468 a second 246.8 kB/s each way`
    let found = words(&text, "there and back");
    let number = |index: usize| found[index].parse::<f64>().unwrap();
    let (messages, rate, bytes) = (number(0), number(2), number(5));
    // What was under way at the end belongs to no rate.
    assert!(messages > 0.0 && messages <= counted as f64, "{counted} came: {text}");
    assert!(counted as f64 <= messages + UNDER_WAY as f64, "{counted} came: {text}");
    // The time is shown with one digit behind the point.
    let rates = messages / (seconds + 0.051)..=messages / (seconds - 0.051);
    assert!(rates.contains(&rate), "{rates:?}: {text}");
    let unit = match &*found[6] {
        "B/s" => 1.0,
        "kB/s" => 1e3,
        "MB/s" => 1e6,
        other => panic!("{other}: {text}"),
    };
    assert!((bytes * unit / (rate * 100.0) - 1.0).abs() < 0.05, "{text}");
    for absent in ["lost", "did not return", "unexpected"] {
        assert!(!text.contains(absent), "{text}");
    }

    let measured = json(&run(&[&args[..], &["--json"]].concat(), "").with(0));
    let of = |name: &str| measured[name].as_f64().unwrap();
    let counted = (peer.handle().stats().messages_received - counted) as f64;
    assert_eq!(of("sent"), counted, "{measured}");
    assert!(
        of("received") <= counted && counted <= of("received") + UNDER_WAY as f64,
        "{measured}"
    );
    let close = |a: f64, b: f64| (a / b - 1.0).abs() < 1e-9;
    assert!(close(of("messages_per_second"), of("received") / of("seconds")), "{measured}");
    assert!(close(of("bytes_per_second"), of("messages_per_second") * 100.0), "{measured}");
    for name in ["connect_us", "latency_us"] {
        let of = |quantile: &str| measured[name][quantile].as_f64().unwrap();
        let mut last = of("min");
        for quantile in ["p50", "p90", "p99", "p99.9", "p99.99", "max"] {
            assert!(of(quantile) >= last, "{name} {quantile}: {measured}");
            last = of(quantile);
        }
        assert!((of("min")..=of("max")).contains(&of("mean")), "{name}: {measured}");
    }
}

#[test]
fn bench_counts_what_does_not_come_back_and_what_nobody_asked_for() {
    // Keeps each tenth message for itself.
    let kept = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let count = std::sync::Arc::clone(&kept);
    let peer = serve(move |server| {
        let number = std::sync::atomic::AtomicU64::new(1);
        server.on_message(move |client, message| {
            match number.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % 10 {
                0 => drop(count.fetch_add(1, std::sync::atomic::Ordering::Relaxed)),
                _ => return client.send(message),
            }
            Ok(())
        })
    });
    let ended = run(&["bench", &peer.url(), "-d", "0.5", "-f", "5", "-r", "200"], "").with(0);
    let text = String::from_utf8(ended.stdout).unwrap();
    let kept = kept.load(std::sync::atomic::Ordering::Relaxed);
    assert!(kept > 0, "{text}");
    assert_eq!(words(&text, "did not return")[0], kept.to_string(), "{text}");

    // Says everything twice.
    let peer = serve(|server| {
        server.on_message(|client, message| {
            client.send(message)?;
            client.send(message)
        })
    });
    let args = ["bench", &peer.url(), "-d", "0.3", "--json", "-r", "50", "-f", "1000"];
    let measured = json(&run(&args, "").with(0));
    assert_eq!(measured["unexpected"], measured["sent"], "{measured}");
}

#[test]
fn bench_tells_of_servers_that_are_not_there_or_go() {
    let address = format!("ws://{}/", nobody());
    run(&["bench", &address, "-c", "2"], "").with(3).said(&["refused"]);
    let peer = recording(|server| server, |client, _| client.abort());
    let ended = run(&["bench", &peer.url(), "-d", "30", "--json"], "").with(3);
    assert_eq!(json(&ended)["lost"], 1);
}

#[test]
fn bench_shows_progress_on_a_terminal_and_ends_with_ctrl_c() {
    let Some(screen) = Screen::open() else { return };
    let peer = echo();
    screen.run(&format!("bench {} -d 100", peer.url()));
    screen.wait_until(|shown| shown.contains("messages a second"), "progress");
    screen.press(&["C-c"]);
    screen.wait_for("exit status 130");
    assert!(screen.shown().contains("latency"), "{}", screen.shown());
}

#[test]
fn ping_says_how_far_away_a_server_is() {
    let ended = run(&["ping", &echo().url(), "-c", "3", "-i", "0.01"], "").with(0);
    let text = String::from_utf8(ended.stdout).unwrap();
    for word in ["connected to 127.0.0.1:", "number 3", "3 pings, 3 pongs", "mean"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    // The same in each of its numbers, within what is rounded.
    let before =
        |line: &str| -> Option<f64> { line.strip_suffix(" ms")?.rsplit(' ').next()?.parse().ok() };
    let times: Vec<f64> =
        text.lines().filter(|line| line.starts_with("pong")).filter_map(before).collect();
    assert_eq!(times.len(), 3, "{text}");
    let summary = text.lines().last().unwrap();
    let found: Vec<f64> = summary.split([';', ',']).skip(2).filter_map(before).collect();
    let least = times.iter().copied().fold(f64::MAX, f64::min);
    let most = times.iter().copied().fold(0.0, f64::max);
    let mean = times.iter().sum::<f64>() / 3.0;
    for (found, expected) in found.iter().zip([least, mean, most]) {
        assert!((found - expected).abs() < 0.0011, "{text}");
    }
    assert_eq!(found.len(), 3, "{text}");
}

#[test]
fn ping_tells_of_servers_that_are_not_there_or_do_not_answer() {
    run(&["ping", &format!("ws://{}/", nobody())], "").with(3).said(&["refused"]);
    let mute = format!("ws://{}/", says(b""));
    let ended = run(&["ping", &mute, "-c", "1", "-W", "0.2", "--close-timeout", "0.1"], "").with(7);
    assert!(String::from_utf8_lossy(&ended.stdout).contains("no pong"), "{ended:?}");
    let peer = serve(|server| server.on_ping(|client, _| client.close_with(4000, "no").unwrap()));
    run(&["ping", &peer.url(), "-c", "100", "-i", "0.01"], "").with(8).said(&["4000"]);
}

#[test]
fn ping_ends_with_ctrl_c() {
    let peer = echo();
    let mut running = start(&["ping", &peer.url(), "-c", "0", "-i", "100"]);
    assert!(running.line().starts_with("connected"));
    assert!(running.line().starts_with("pong"));
    running.signal("INT");
    running.wait().with(130);
}
