//! Files as messages: one that is read goes out in fragments, and one that comes is written as it
//! arrives, so that neither has to fit into memory.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal, Read, Write};
use std::mem;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender as Channel;
use websocket_app::{Fragment, MessageKind, SendError, Sender};

use super::conversation::Happening;
use super::feed::InputEnd;
use super::input::Awaited;
use crate::escape;
use crate::failure::Failure;
use crate::seconds::FOREVER;
use crate::status::Status;
use crate::threads;

/// How much is read at a time.
const CHUNK: usize = 256 << 10;

/// A file to be sent; opened before there is a connection, so that one that is not there costs none.
pub(crate) struct Outgoing {
    name: String,
    from: Box<dyn Read + Send>,
    length: Option<u64>,
}

impl Outgoing {
    /// Opens it; `-` is standard input.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let name = name_of(path);
        if path == Path::new("-") {
            return Ok(Outgoing { name, from: Box::new(io::stdin()), length: None });
        }
        let failed = |error| Failure::io(&format!("--send-file {name}"), &error);
        let file = File::open(path).map_err(failed)?;
        let meta = file.metadata().map_err(failed)?;
        if meta.is_dir() {
            return Err(Failure::usage(format!("--send-file {name}: is a directory")));
        }
        // A pipe has none.
        let length = meta.is_file().then_some(meta.len());
        Ok(Outgoing { name, from: Box::new(file), length })
    }

    /// Sends it on a thread of its own.
    pub(crate) fn start(
        mut self,
        sender: Sender,
        binary: bool,
        awaited: &Awaited,
        happenings: Channel<Happening>,
    ) -> Result<(), Failure> {
        self.from = Box::new(awaited.watch(self.from));
        let thread = threads::spawn(move || {
            let kind = if binary { MessageKind::Binary } else { MessageKind::Text };
            let end = self.send(&sender, kind).map_or_else(|end| end, |()| InputEnd::Sent);
            // Once the main thread is gone nobody wants to know.
            let _ = happenings.send(Happening::InputEnd(end));
        });
        thread.map(drop)
    }

    fn send(&mut self, sender: &Sender, kind: MessageKind) -> Result<(), InputEnd> {
        let name = self.name.clone();
        let unsent = |error: SendError| match error {
            SendError::NotConnected { .. } => InputEnd::Unsent(name.clone()),
            error => InputEnd::Failed(Failure::unsent(&name, &error)),
        };
        let mut message = sender.message_writer(kind).map_err(&unsent)?;
        let mut bar = Bar::new(format!("sent {}", self.name), self.length);
        let mut chunk = vec![0; CHUNK];
        loop {
            let read = match self.from.read(&mut chunk) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(InputEnd::Failed(Failure::io(&self.name, &error))),
            };
            if let Err(error) = message.write_all(&chunk[..read]) {
                return Err(match error.kind() {
                    io::ErrorKind::NotConnected => InputEnd::Unsent(name),
                    _ => InputEnd::Failed(Failure::io(&format!("{name} was not sent"), &error)),
                });
            }
            bar.add(read);
        }
        message.finish().map_err(&unsent)?;
        // That the system has it all is what the end of the bar says.
        loop {
            match sender.flush(FOREVER) {
                Ok(()) => break,
                Err(SendError::Unwritten { .. }) => {}
                Err(error) => return Err(unsent(error)),
            }
        }
        bar.end();
        Ok(())
    }
}

/// Returns what a file that is sent is called in what is said.
pub(crate) fn name_of(path: &Path) -> String {
    if path == Path::new("-") {
        return "standard input".into();
    }
    path.display().to_string()
}

/// A message on its way into a file.
pub(crate) struct Incoming {
    to: Destination,
    /// How it is called in what is said.
    name: String,
    /// Where it is until it is whole, once it has begun.
    part_path: Option<PathBuf>,
    part: Option<(Box<dyn Write + Send>, Bar)>,
    /// Whether something has been written.
    begun: bool,
}

/// Where a message goes.
enum Destination {
    Stdout,
    /// A file, which has another name until it is whole.
    File(PathBuf),
    /// What is there and is no file: a pipe, a device. It is written to as it is.
    Other(PathBuf),
}

/// How many links may lead to a file; systems have such a limit too.
const LINKS: usize = 40;

/// How many names are tried for what is not whole.
const NAMES: usize = 1000;

impl Incoming {
    /// Makes sure that there can be such a file.
    pub(crate) fn create(path: &Path) -> Result<Self, Failure> {
        let name = path.display().to_string();
        let failed = |error| Failure::io(&format!("--receive-file {name}"), &error);
        let to = Destination::of(path).map_err(failed)?;
        let incoming =
            Incoming { to, name: name.clone(), part_path: None, part: None, begun: false };
        if let Destination::File(path) = &incoming.to {
            // Nothing stays behind where nothing comes.
            let (part_path, _) = create_part(path).map_err(failed)?;
            fs::remove_file(part_path).map_err(failed)?;
        }
        Ok(incoming)
    }

    pub(crate) fn is_stdout(&self) -> bool {
        matches!(self.to, Destination::Stdout)
    }

    /// Opens what the message is written to.
    fn open(&mut self) -> io::Result<Box<dyn Write + Send>> {
        let begun = mem::replace(&mut self.begun, true);
        if begun && !matches!(self.to, Destination::File(_)) {
            return Err(io::Error::other(
                "the connection was lost and the message began anew; what was written of it cannot be taken back",
            ));
        }
        Ok(match &self.to {
            Destination::Stdout if io::stdout().is_terminal() => Box::new(Shown(io::stdout())),
            Destination::Stdout => Box::new(io::stdout()),
            Destination::Other(path) => Box::new(OpenOptions::new().write(true).open(path)?),
            Destination::File(path) => Box::new(match &self.part_path {
                // It is ours, of a connection that has been lost.
                Some(part_path) => File::create(part_path)?,
                None => {
                    let (part_path, file) = create_part(path)?;
                    self.part_path = Some(part_path);
                    file
                }
            }),
        })
    }

    /// Writes a piece. Returns whether it was the last.
    pub(crate) fn take(&mut self, fragment: &Fragment<'_>) -> io::Result<bool> {
        let (mut to, mut bar) = match self.part.take() {
            Some(part) if !fragment.first => part,
            _ => {
                let to = self.open()?;
                let mut bar = Bar::new(format!("received {}", self.name), fragment.message_len);
                // It would stand within what is received.
                bar.shows &= !(self.is_stdout() && io::stdout().is_terminal());
                (to, bar)
            }
        };
        let data = fragment.data.as_bytes();
        to.write_all(data)?;
        bar.add(data.len());
        if !fragment.last {
            self.part = Some((to, bar));
            return Ok(false);
        }
        to.flush()?;
        bar.end();
        if let (Destination::File(path), Some(part_path)) = (&self.to, self.part_path.take()) {
            if let Ok(old) = fs::metadata(path) {
                // Who might read the one that was there may read this.
                fs::set_permissions(&part_path, old.permissions())?;
            }
            fs::rename(part_path, path)?;
        }
        Ok(true)
    }

    /// What is said where the whole of it has not come.
    pub(crate) fn missing(path: &Path) -> Failure {
        let what = format!("--receive-file {}: the message did not come whole", path.display());
        Failure::new(Status::Other, what)
    }
}

impl Destination {
    fn of(path: &Path) -> io::Result<Self> {
        if path == Path::new("-") {
            return Ok(Destination::Stdout);
        }
        match fs::metadata(path) {
            Ok(meta) if meta.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
            Ok(meta) if !meta.is_file() => Ok(Destination::Other(path.into())),
            // A link stays one: it is what it leads to that is replaced.
            Ok(_) => Ok(Destination::File(fs::canonicalize(path)?)),
            // A link may lead to what is yet to be.
            Err(_) => {
                let mut path = path.to_owned();
                for _ in 0..LINKS {
                    match fs::read_link(&path) {
                        Ok(target) => path = path.parent().unwrap_or(Path::new("")).join(target),
                        Err(_) => break,
                    }
                }
                Ok(Destination::File(path))
            }
        }
    }
}

/// Creates the file that a message is in until it is whole: beside the one that it is to be, with .part
/// behind the name, and a number where there is such a file.
fn create_part(path: &Path) -> io::Result<(PathBuf, File)> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if let Ok(old) = fs::metadata(path) {
        use std::os::unix::fs::{MetadataExt, OpenOptionsExt};

        // Who might not read the one that is there is not to read this meanwhile.
        options.mode(old.mode() & 0o777 | 0o600);
    }
    for number in 1..NAMES {
        let mut name = OsString::from(path);
        name.push(".part");
        if number > 1 {
            name.push(number.to_string());
        }
        match options.open(&name) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            created => return Ok((name.into(), created?)),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// A terminal, which nothing that is written may change.
struct Shown<W>(W);

impl<W: Write> Write for Shown<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let mut shown = String::new();
        escape::push_lines(&mut shown, data);
        self.0.write_all(shown.as_bytes())?;
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// How far a file is, on standard error where that is a terminal.
struct Bar {
    name: String,
    length: Option<u64>,
    done: u64,
    began: Instant,
    shown: Option<Instant>,
    shows: bool,
}

/// How often it is shown.
const TICK: Duration = Duration::from_millis(100);

/// How wide it is, in characters.
const WIDTH: u64 = 30;

impl Bar {
    fn new(name: String, length: Option<u64>) -> Self {
        let shows = io::stderr().is_terminal();
        Bar { name, length, done: 0, began: Instant::now(), shown: None, shows }
    }

    fn add(&mut self, bytes: usize) {
        self.done += bytes as u64;
        if self.shows && self.shown.is_none_or(|shown| shown.elapsed() >= TICK) {
            self.show("");
            self.shown = Some(Instant::now());
        }
    }

    fn end(&mut self) {
        if self.shows {
            self.show("\n");
        }
    }

    fn show(&self, end: &str) {
        // Nobody to tell it to.
        let _ = write!(io::stderr(), "\r\u{1b}[K{}{end}", self.line());
    }

    fn line(&self) -> String {
        let Bar { name, done, .. } = self;
        let megabytes = *done as f64 / 1e6;
        let rate = megabytes / self.began.elapsed().as_secs_f64().max(1e-6);
        match self.length.filter(|length| *length > 0) {
            Some(length) => {
                let filled = (done.min(&length) * WIDTH / length) as usize;
                let bar = "█".repeat(filled) + &" ".repeat(WIDTH as usize - filled);
                let percent = *done as f64 / length as f64 * 100.0;
                format!(
                    "{name} │{bar}│ {percent:.0} % of {:.1} MB, {rate:.1} MB/s",
                    length as f64 / 1e6
                )
            }
            None => format!("{name} {megabytes:.1} MB, {rate:.1} MB/s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_fills_up() {
        let mut bar = Bar::new("sent x".into(), Some(2_000_000));
        bar.add(1_000_000);
        assert!(bar.line().starts_with(&format!(
            "sent x │{}{}│ 50 %",
            "█".repeat(15),
            " ".repeat(15)
        )));
        bar.add(1_000_000);
        assert!(bar.line().contains("100 % of 2.0 MB"), "{}", bar.line());
    }
}
