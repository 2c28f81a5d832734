//! [`Temporary`]: a path in a folder of its own, which goes with it.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A path at which there is nothing yet. What is at it or beside it at the end of the test is removed,
/// also where the test has failed.
#[derive(Debug)]
pub(crate) struct Temporary {
    folder: PathBuf,
    path: String,
}

/// A path for a file, or a folder, of this test's alone.
pub(crate) fn temporary(name: &str) -> Temporary {
    within(Path::new(env!("CARGO_TARGET_TMPDIR")), name)
}

/// The same for a socket, whose path may not be long.
#[cfg(unix)]
pub(crate) fn temporary_socket() -> Temporary {
    within(&std::env::temp_dir(), "socket")
}

fn within(place: &Path, name: &str) -> Temporary {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let folder = place.join(format!("wsapp-test-{}-{number}", std::process::id()));
    // Of a process of that number that was killed.
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name).to_str().unwrap().to_owned();
    Temporary { folder, path }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // A process that the test has left running may just be writing.
        let _ = fs::remove_dir_all(&self.folder).or_else(|_| fs::remove_dir_all(&self.folder));
    }
}

impl Deref for Temporary {
    type Target = str;

    fn deref(&self) -> &str {
        &self.path
    }
}

impl fmt::Display for Temporary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.fmt(f)
    }
}

impl AsRef<Path> for Temporary {
    fn as_ref(&self) -> &Path {
        Path::new(&self.path)
    }
}

impl AsRef<OsStr> for Temporary {
    fn as_ref(&self) -> &OsStr {
        OsStr::new(&self.path)
    }
}

#[test]
fn what_is_temporary_goes_with_its_test_also_where_that_fails() {
    let failed = std::thread::spawn(|| {
        let file = temporary("file");
        fs::write(&file, "x").unwrap();
        fs::write(format!("{file}.part"), "x").unwrap();
        std::panic::panic_any(file.folder.clone());
    });
    let folder = failed.join().unwrap_err().downcast::<PathBuf>().unwrap();
    assert!(!folder.exists());
    assert!(folder.parent().unwrap().exists());
}
