//! Sends a file as one message, gets it back, and compares, with a progress bar for either way. A
//! file of any size: neither side of it is ever in memory whole. To read: `transfer`.
//!
//! ```text
//! cargo run --example file_transfer                               # a file that it makes, a server that it starts
//! cargo run --example file_transfer -- FILE
//! cargo run --example file_transfer -- FILE wss://echo.example/
//! ```
//!
//! Tested in `tests/integration/examples/file_transfer.rs`.

pub(crate) mod local_echo;
pub(crate) mod progress;

use std::env;
use std::error::Error;
use std::fs::{self, File};
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{self, ExitCode};
use std::thread;
use std::time::Instant;

use websocket_app::{MessageKind, MessageReader, Sender, WebSocket};

use self::progress::{Progress, RECEIVED, SENT};

/// How much is read and compared at once.
const PIECE: usize = 64 << 10;

type AnyError = Box<dyn Error + Send + Sync>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), AnyError> {
    let mut args = env::args().skip(1);
    let made = if args.len() == 0 { Some(make_file()?) } else { None };
    let path = made.clone().or(args.next().map(PathBuf::from)).unwrap_or_default();
    let url = local_echo::url(args.next())?;
    let start = Instant::now();
    let result = transfer(&path, url, |bars| {
        // Over the same line of a terminal; a log gets none of it.
        if io::stderr().is_terminal() {
            eprint!("\r{bars}");
        }
    });
    eprintln!();
    made.map_or(Ok(()), fs::remove_file)?;
    let (path, bytes, took) = (path.display(), result?, start.elapsed());
    println!("{path}: {bytes} bytes sent, received and equal, in {took:.2?}");
    Ok(())
}

/// Makes a file in which no two pieces are the same.
fn make_file() -> io::Result<PathBuf> {
    let path = env::temp_dir().join(format!("websocket-app-file-transfer-{}", process::id()));
    let data: Vec<u8> =
        (0..1_u32 << 20).flat_map(|i| i.wrapping_mul(0x9e37_79b9).to_le_bytes()).collect();
    fs::write(&path, data)?;
    Ok(path)
}

/// Returns the number of bytes. Both bars are shown as one line, whenever that changes.
pub(crate) fn transfer(
    path: &Path,
    url: String,
    show: impl Fn(&str) + Send + Sync,
) -> Result<u64, AnyError> {
    let (sent_from, mut compared_with) = (open(path)?, open(path)?);
    let progress = Progress::new(sent_from.metadata()?.len(), show);
    // A large file is many fragments.
    let mut ws = WebSocket::builder(url).max_fragments(usize::MAX).connect()?;

    // One thread sends while this one receives, so the server is never kept from sending back.
    // Whichever fails closes the connection, which ends the other too.
    let sender = ws.sender();
    thread::scope(|scope| {
        let sending = || send(sent_from, &sender, &progress).inspect_err(|_| sender.close());
        let sending = scope.spawn(sending);
        let compared = ws.recv_reader().map_err(AnyError::from);
        let compared = compared.and_then(|message| compare(message, &mut compared_with, &progress));
        let closed = ws.close();
        sending.join().map_err(|_| "the sending thread panicked")??;
        closed?;
        compared
    })
}

fn open(path: &Path) -> Result<File, AnyError> {
    File::open(path).map_err(|error| format!("{}: {error}", path.display()).into())
}

/// Sends the file as one message. A write waits while too much is on its way, so a fast disk does
/// not fill the memory.
fn send(mut file: File, ws: &Sender, progress: &Progress<impl Fn(&str)>) -> Result<(), AnyError> {
    let mut message = ws.message_writer(MessageKind::Binary)?;
    let mut piece = vec![0; PIECE];
    loop {
        let length = file.read(&mut piece)?;
        if length == 0 {
            return Ok(message.finish()?);
        }
        message.write_all(&piece[..length])?;
        progress.add(SENT, length);
    }
}

/// Receives to the end and compares with the file. Returns the number of bytes.
fn compare(
    mut message: MessageReader<'_>,
    file: &mut File,
    progress: &Progress<impl Fn(&str)>,
) -> Result<u64, AnyError> {
    let (mut piece, mut expected, mut total) = (vec![0; PIECE], vec![0; PIECE], 0);
    loop {
        let length = message.read(&mut piece)?;
        if length == 0 {
            let is_all = file.read(&mut expected)? == 0;
            return if is_all { Ok(total) } else { Err("less came back".into()) };
        }
        file.read_exact(&mut expected[..length]).map_err(|_| "more came back")?;
        if piece[..length] != expected[..length] {
            return Err(format!("the {length} bytes from byte {total} on came back changed").into());
        }
        progress.add(RECEIVED, length);
        total += length as u64;
    }
}
