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

#[test]
fn the_readme_names_no_option_that_there_is_not() {
    let mut known = String::new();
    for command in ["", "serve", "bench", "ping", "replay"] {
        let args: Vec<&str> =
            [command, "--help"].into_iter().filter(|arg| !arg.is_empty()).collect();
        known += &String::from_utf8(run(&args, "").with(0).stdout).unwrap();
    }
    let options = |text: &str| -> Vec<String> {
        let ends = |c: char| !c.is_ascii_alphanumeric() && c != '-';
        text.split(ends)
            .filter(|word| word.starts_with("--") && !word.ends_with('-'))
            .map(str::to_owned)
            .collect()
    };
    let known = options(&known);
    let readme = include_str!("../../README.md");
    let peers = readme.split_once("## Coming from others").unwrap().1;
    // Of the tables the second column, of the rest everything that is not cargo's.
    let ours = peers.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").nth(1));
    let ours: Vec<String> = ours.flat_map(options).collect();
    assert!(ours.len() > 40, "{ours:?}");
    let before = readme.split_once("## Coming from others").unwrap().0;
    let before = before.lines().filter(|line| !line.contains("cargo "));
    for option in ours.into_iter().chain(before.flat_map(options)) {
        assert!(known.contains(&option), "{option}");
    }
}
