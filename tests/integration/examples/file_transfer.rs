//! `file_transfer`, with its own echo server and with scripted ones that do not echo.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use crossbeam_channel::unbounded;

use self::example::{local_echo, transfer};
use crate::frame::Frame;
use crate::peer::Peer;
use crate::watchdog::within;

#[allow(dead_code, clippy::duplicate_mod)] // Others have the echo server too.
#[path = "../../../examples/file_transfer.rs"]
mod example;

/// A file that is gone with the test.
struct Temporary(PathBuf);

impl Temporary {
    fn of(data: &[u8]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("transfer-{}-{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::write(&path, data).unwrap();
        Temporary(path)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        fs::remove_file(&self.0).unwrap();
    }
}

/// Transfers these, and gives the result and each line of bars.
fn run(data: Vec<u8>, url: String) -> (Result<u64, String>, Vec<String>) {
    within("the transfer", move || {
        let (file, (show, shown)) = (Temporary::of(&data), unbounded());
        let result = transfer(&file.0, url, |bars| show.send(bars.to_owned()).unwrap());
        (result.map_err(|error| error.to_string()), shown.try_iter().collect())
    })
}

/// The two numbers of a line.
fn percents(bars: &str) -> [u32; 2] {
    let mut words = bars.split(" %");
    [(); 2].map(|()| words.next().unwrap().rsplit(' ').next().unwrap().parse().unwrap())
}

#[test]
fn both_bars_grow_to_the_end() {
    let data: Vec<u8> = (0..5_000_001_u32).map(|i| (i % 251) as u8).collect();
    let (result, shown) = run(data, local_echo::url(None).unwrap());
    assert_eq!(result, Ok(5_000_001));
    let percents: Vec<[u32; 2]> = shown.iter().map(|bars| percents(bars)).collect();
    assert!(percents.windows(2).all(|two| two[0] != two[1]), "{percents:?}");
    for way in [0, 1] {
        assert!(percents.iter().map(|two| two[way]).is_sorted(), "{percents:?}");
    }
    let full = format!("[{}] 100 %", "#".repeat(20));
    assert_eq!(*shown.last().unwrap(), format!("sent {full}   received {full}"));
}

#[test]
fn an_empty_file_is_no_exception() {
    assert_eq!(run(Vec::new(), local_echo::url(None).unwrap()).0, Ok(0));
}

#[test]
fn what_does_not_come_back_as_it_was_is_told() {
    for (answer, says) in
        [("abcdeX", "came back changed"), ("abc", "less came back"), ("abcdefg", "more came back")]
    {
        let peer = Peer::start(move |listener| {
            let mut client = listener.open();
            while !client.read_frame().fin {}
            client.send(Frame::binary(answer));
            client.answer_close_or_end();
        });
        let error = run(b"abcdef".to_vec(), peer.url()).0.unwrap_err();
        assert!(error.contains(says), "{answer}: {error}");
    }
}

#[test]
fn a_loss_on_the_way_ends_both_ways() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.read_frame();
        client.reset();
    });
    let error = run(vec![7; 50 << 20], peer.url()).0.unwrap_err();
    assert!(error.contains("lost") || error.contains("not sent"), "{error}");
}
