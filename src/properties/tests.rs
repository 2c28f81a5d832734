//! Each property with what fuzzing has found worth keeping, and with pieces of it put together by
//! chance.

use std::fs;
use std::path::Path;

use super::Splits;

/// How many inputs are made for each: fuzzing makes more.
const MADE: u64 = 200;

#[test]
fn any_split_of_the_bytes_gives_the_same_events() {
    holds("decoder", super::decoder);
}

#[test]
fn from_the_response_head_on_too() {
    holds("receive_path", super::receive_path);
}

#[cfg(feature = "server")]
#[test]
fn a_request_is_answered_as_the_rfc_has_it_however_it_arrives() {
    holds("request", super::request);
}

#[cfg(feature = "server")]
#[test]
fn a_server_receives_the_same_however_it_arrives() {
    holds("serve_path", super::serve_path);
}

#[test]
fn what_is_sent_is_received_as_it_was() {
    holds("encode", super::encode);
}

#[test]
fn what_is_accepted_becomes_the_request_that_was_asked_for_and_errors_show_no_credentials() {
    holds("input", super::input);
}

#[test]
fn reconnecting_keeps_to_its_policy() {
    holds("backoff", super::backoff);
}

fn holds(property: &str, check: fn(&[u8])) {
    let corpus = corpus(property);
    for (name, input) in &corpus {
        checked(name, input, check);
    }
    for seed in 0..MADE {
        checked(&format!("made from {seed}"), &made(&corpus, seed), check);
    }
}

fn checked(name: &str, input: &[u8], check: fn(&[u8])) {
    // Shown where it fails.
    println!("{name}: {}", input.escape_ascii());
    check(input);
}

/// What is committed beside the fuzz targets, by name. A release does not contain it.
fn corpus(property: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(property);
    let files = fs::read_dir(folder).into_iter().flatten().map(Result::unwrap);
    let mut files: Vec<_> = files
        .map(|file| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap()))
        .collect();
    files.sort();
    files
}

/// The beginning of one input, the end of another, and a few other bytes; or bytes alone.
fn made(corpus: &[(String, Vec<u8>)], seed: u64) -> Vec<u8> {
    let mut chance = Splits::new(seed);
    let mut below = |bound: usize| chance.number() as usize % bound.max(1);
    let mut input = Vec::new();
    if !corpus.is_empty() {
        let (begin, end) = (&corpus[below(corpus.len())].1, &corpus[below(corpus.len())].1);
        input.extend(&begin[..below(begin.len() + 1)]);
        input.extend(&end[below(end.len() + 1)..]);
    }
    for _ in 0..below(8) {
        let at = below(input.len() + 1);
        let byte = below(256) as u8;
        if at == input.len() || below(3) == 0 { input.insert(at, byte) } else { input[at] ^= byte }
    }
    input
}
