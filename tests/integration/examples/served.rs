//! Servers of other people's making, for the examples that are their clients: a script of ours each.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use crate::program::{Program, skip};
use crate::python::servers as python;

/// Starts a script of `tests/javascript` with npm's packages. `None`, said on standard error, where
/// there is no Node with npm.
pub(super) fn by_node(script: &str) -> Option<Program> {
    match packages() {
        Ok(packages) => Program::start("node", |_folder, port| {
            let mut node = Command::new("node");
            node.arg(javascript(script)).arg(port.to_string()).env("NODE_PATH", &packages);
            node
        }),
        Err(why) => {
            skip(&format!("needs node with npm: {why}"));
            None
        }
    }
}

/// Starts a script of `tests/python` with PyPI's packages. `None`, said on standard error, where
/// there is no Python with venv and pip.
pub(super) fn by_python(script: &str) -> Option<Program> {
    match python::environment() {
        Ok(path) => Program::start("python3", |_folder, port| {
            let mut python = Command::new(&path);
            python.arg(python::script(script)).arg(port.to_string());
            python
        }),
        Err(why) => {
            skip(&format!("needs python3 with venv and pip: {why}"));
            None
        }
    }
}

/// Gives the folder of the packages, made where it is missing, or why there is none.
fn packages() -> Result<String, String> {
    // Not by each of the tests that begin at the same time.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let made = Command::new("node")
        .arg(javascript("environment.js"))
        .arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("javascript"))
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("node: {error}"))?;
    match made.status.success() {
        true => Ok(String::from_utf8_lossy(&made.stdout).trim().to_owned()),
        false => Err(String::from_utf8_lossy(&made.stderr).trim().to_owned()),
    }
}

fn javascript(script: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/javascript").join(script)
}
