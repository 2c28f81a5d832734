//! A terminal: `tmux`, to which keys are sent and whose screen is read.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::process::PATIENCE;
use crate::temporary::{Temporary, temporary};

/// A terminal with a shell in it, which ends with the test.
pub(crate) struct Screen {
    socket: String,
    /// Where the shell is, and the history.
    folder: Temporary,
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.tmux(&["kill-server"]);
    }
}

impl Screen {
    /// Opens one; `None` where there is no tmux and nobody insists on it.
    pub(crate) fn open() -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        if Command::new("tmux").arg("-V").output().is_err() {
            assert!(std::env::var_os("CI").is_none(), "there is no tmux");
            println!("skipped: there is no tmux");
            return None;
        }
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = temporary("folder");
        std::fs::create_dir(&folder).unwrap();
        let shell = format!(
            "env -u NO_COLOR -u http_proxy -u all_proxy XDG_STATE_HOME={folder} PS1='$ ' sh"
        );
        let screen = Screen { socket: format!("wsapp-{}-{number}", std::process::id()), folder };
        screen
            .tmux(&["-f", "/dev/null", "new-session", "-d", "-x", "100", "-y", "30", &shell])
            .unwrap();
        screen.wait_for("$");
        Some(screen)
    }

    fn tmux(&self, args: &[&str]) -> Result<String, String> {
        let output = Command::new("tmux")
            .args(["-L", &self.socket])
            .args(args)
            .current_dir(&*self.folder)
            .output()
            .unwrap();
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }

    /// Types a line into the shell that runs the command with these arguments, and then says its
    /// exit status.
    pub(crate) fn run(&self, args: &str) {
        self.run_shell(&format!("{} {args}", env!("CARGO_BIN_EXE_wsapp")));
    }

    pub(crate) fn run_shell(&self, line: &str) {
        // The shell's own line is gone from the screen before it runs.
        self.type_text(&format!("clear; {line}; printf '\\nexit status %s\\n' \"$?\""));
        self.press(&["Enter"]);
    }

    /// Returns in which mode it is, as `stty` says that.
    pub(crate) fn modes(&self) -> String {
        let terminal = self.tmux(&["display-message", "-p", "#{pane_tty}"]).unwrap();
        let stty = Command::new("stty").args(["-a", "-F", terminal.trim()]).output().unwrap();
        String::from_utf8_lossy(&stty.stdout).into_owned()
    }

    /// Has everything that is written to it from here on kept in a file.
    pub(crate) fn keep_all(&self) {
        self.tmux(&["pipe-pane", "cat > all"]).unwrap();
    }

    /// Returns what was kept until these words of the shell.
    #[track_caller]
    pub(crate) fn kept_until(&self, words: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let kept = std::fs::read(format!("{}/all", self.folder)).unwrap_or_default();
            let kept = String::from_utf8_lossy(&kept).into_owned();
            if let Some(end) = kept.rfind(&format!("\n{words}")) {
                return kept[..end].to_owned();
            }
            assert!(Instant::now() < until, "{words:?} does not come");
            // A program of tmux's writes it.
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Types text as it is.
    pub(crate) fn type_text(&self, text: &str) {
        self.tmux(&["send-keys", "-l", text]).unwrap();
    }

    /// Presses keys by their names, `Enter`, `Tab`, `C-d`.
    pub(crate) fn press(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat()).unwrap();
    }

    pub(crate) fn enter(&self, text: &str) {
        self.type_text(text);
        self.press(&["Enter"]);
    }

    /// Returns what is shown, without what stands behind the last character of a line.
    pub(crate) fn shown(&self) -> String {
        let shown = self.tmux(&["capture-pane", "-p"]).unwrap();
        shown.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim_end().to_owned()
    }

    /// The same with colours as escape sequences.
    pub(crate) fn shown_with_colours(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-e"]).unwrap()
    }

    /// Waits until a line begins with this.
    #[track_caller]
    pub(crate) fn wait_for(&self, line: &str) {
        self.wait_until(|shown| shown.lines().any(|shown| shown.starts_with(line)), line);
    }

    /// Waits until the last line is this.
    #[track_caller]
    pub(crate) fn wait_for_last(&self, line: &str) {
        self.wait_until(|shown| shown.lines().last() == Some(line), line);
    }

    #[track_caller]
    pub(crate) fn wait_until(&self, is_there: impl Fn(&str) -> bool, what: &str) {
        let until = Instant::now() + PATIENCE;
        while !is_there(&self.shown()) {
            assert!(Instant::now() < until, "{what:?} does not come:\n{}", self.shown());
            // A terminal tells nobody when it changes.
            thread::sleep(Duration::from_millis(20));
        }
    }
}
