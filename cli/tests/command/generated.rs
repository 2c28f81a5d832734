//! Completion scripts and manual pages, by the argument parser's own generators.

use std::process::{Command, Stdio};

use crate::process::run;

#[test]
fn completion_scripts_are_such() {
    for (shell, word) in [
        ("bash", "complete -F _wsapp"),
        ("zsh", "#compdef wsapp"),
        ("fish", "complete -c wsapp"),
        ("powershell", "Register-ArgumentCompleter"),
    ] {
        let ended = run(&["completions", shell], "").with(0);
        let script = String::from_utf8(ended.stdout).unwrap();
        for word in [word, "json-lines", "in-flight", "serve"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
        if shell == "bash" {
            let mut bash = Command::new("bash").arg("-n").stdin(Stdio::piped()).spawn().unwrap();
            std::io::Write::write_all(&mut bash.stdin.take().unwrap(), script.as_bytes()).unwrap();
            assert!(bash.wait().unwrap().success());
        }
    }
}

#[test]
fn manual_pages_name_options_and_exit_statuses() {
    let page = String::from_utf8(run(&["man"], "").with(0).stdout).unwrap();
    for word in [".TH wsapp", "json\\-lines", "Exit status", "wsapp\\-serve"] {
        assert!(page.contains(word), "{word}: {page}");
    }
    let page = String::from_utf8(run(&["man", "serve"], "").with(0).stdout).unwrap();
    assert!(page.contains("wsapp\\-serve") && page.contains("broadcast"), "{page}");
    run(&["man", "nothing"], "").with(2).said(&["nothing"]);
}

#[test]
fn every_command_has_help() {
    for command in ["serve", "bench", "ping", "record", "replay", "completions", "man"] {
        let ended = run(&[command, "--help"], "").with(0);
        assert!(
            String::from_utf8_lossy(&ended.stdout).contains(&format!("wsapp {command}")),
            "{ended:?}"
        );
    }
    run(&["--version"], "").with(0).wrote(concat!("wsapp ", env!("CARGO_PKG_VERSION"), "\n"));
}
