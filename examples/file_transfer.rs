//! Sends a file as one message, gets it back, and compares. A file of any size: neither side of it
//! is ever in memory whole.
//!
//! ```text
//! cargo run --example file_transfer                               # a file that it makes, a server that it starts
//! cargo run --example file_transfer -- FILE
//! cargo run --example file_transfer -- FILE wss://echo.example/
//! ```

mod local_echo;

use std::env;
use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{self, ExitCode};
use std::thread;
use std::time::Instant;

use websocket_app::{MessageKind, MessageReader, Sender, WebSocket};

/// How much is read and compared at once.
const PIECE: usize = 64 << 10;

/// After so many bytes each side says how far it is.
const STEP: u64 = 64 << 20;

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
    if let Some(path) = args.next() {
        return transfer(Path::new(&path), args.next());
    }
    let path = make_file()?;
    let result = transfer(&path, None);
    fs::remove_file(path)?;
    result
}

/// Makes a file in which no two pieces are the same.
fn make_file() -> io::Result<PathBuf> {
    let path = env::temp_dir().join(format!("websocket-app-file-transfer-{}", process::id()));
    let data: Vec<u8> =
        (0..1_u32 << 20).flat_map(|i| i.wrapping_mul(0x9e37_79b9).to_le_bytes()).collect();
    fs::write(&path, data)?;
    Ok(path)
}

fn transfer(path: &Path, url: Option<String>) -> Result<(), AnyError> {
    let (sent_from, mut compared_with) = (open(path)?, open(path)?);
    // A large file is many fragments.
    let mut ws = WebSocket::builder(local_echo::url(url)?).max_fragments(usize::MAX).connect()?;
    let start = Instant::now();

    // One thread sends while this one receives, so the server is never kept from sending back.
    // Whichever fails closes the connection, which ends the other too.
    let sender = ws.sender();
    let sending = thread::spawn(move || send(sent_from, &sender).inspect_err(|_| sender.close()));
    let compared = ws.recv_reader().map_err(AnyError::from);
    let compared = compared.and_then(|message| compare(message, &mut compared_with));
    let closed = ws.close();
    sending.join().map_err(|_| "the sending thread panicked")??;

    let bytes = compared?;
    println!(
        "{}: {bytes} bytes sent, received and equal, in {:.2?}",
        path.display(),
        start.elapsed()
    );
    println!("closed: {}", closed?);
    Ok(())
}

fn open(path: &Path) -> Result<File, AnyError> {
    File::open(path).map_err(|error| format!("{}: {error}", path.display()).into())
}

/// Sends the file as one message. A write waits while too much is on its way, so a fast disk does
/// not fill the memory.
fn send(mut file: File, ws: &Sender) -> Result<(), AnyError> {
    let size = file.metadata()?.len();
    let mut message = ws.message_writer(MessageKind::Binary)?;
    let (mut piece, mut total) = (vec![0; PIECE], 0);
    loop {
        let length = file.read(&mut piece)?;
        if length == 0 {
            return Ok(message.finish()?);
        }
        message.write_all(&piece[..length])?;
        tell("sent", &mut total, length, Some(size));
    }
}

/// Receives to the end and compares with the file. Returns the number of bytes.
fn compare(mut message: MessageReader<'_>, file: &mut File) -> Result<u64, AnyError> {
    let size = message.message_len();
    let (mut piece, mut expected, mut total) = (vec![0; PIECE], vec![0; PIECE], 0);
    loop {
        let length = message.read(&mut piece)?;
        if length == 0 {
            let is_all = file.read(&mut expected)? == 0;
            return if is_all { Ok(total) } else { Err("less came back".into()) };
        }
        file.read_exact(&mut expected[..length])?;
        if piece[..length] != expected[..length] {
            return Err(format!("the {length} bytes from byte {total} on came back changed").into());
        }
        tell("received", &mut total, length, size);
    }
}

/// Counts so many bytes more, and says now and then how far that is.
fn tell(what: &str, total: &mut u64, bytes: usize, size: Option<u64>) {
    let before = *total;
    *total += bytes as u64;
    if *total / STEP > before / STEP {
        let percent = size.map(|size| format!(", {} %", *total * 100 / size.max(1)));
        println!("{what}: {} MiB{}", *total >> 20, percent.unwrap_or_default());
    }
}
