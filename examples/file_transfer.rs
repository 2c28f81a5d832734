//! Sends a file as binary messages, gets it back, and compares. A file of any size: it is never
//! held in memory whole.
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
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{self, ExitCode};
use std::thread;
use std::time::Instant;

use websocket_app::{OwnedMessage, Sender, WebSocket};

/// How much of the file a message carries.
const PIECE: usize = 64 << 10;
/// The text message that says that all of the file was sent.
const END: &str = "end of file";

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
    let mut ws = WebSocket::connect(local_echo::url(url)?)?;
    let start = Instant::now();

    // One thread sends while this one receives, so the server is never kept from sending back.
    // Whichever fails closes the connection, which ends the other too.
    let sender = ws.sender();
    let sending = thread::spawn(move || send(sent_from, &sender).inspect_err(|_| sender.close()));
    let compared = compare(&mut ws, &mut compared_with);
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

/// Sends piece by piece. `send` waits while too much is on its way, so a fast disk does not fill
/// the memory.
fn send(mut file: File, ws: &Sender) -> Result<(), AnyError> {
    let mut piece = vec![0; PIECE];
    loop {
        let length = file.read(&mut piece)?;
        if length == 0 {
            ws.send(END)?;
            return Ok(());
        }
        ws.send(&piece[..length])?;
    }
}

/// Receives until the end and compares each piece with the file. Gives the number of bytes.
fn compare(ws: &mut WebSocket, file: &mut File) -> Result<u64, AnyError> {
    let mut total = 0;
    let mut expected = Vec::new();
    loop {
        match ws.recv()? {
            OwnedMessage::Binary(piece) => {
                expected.resize(piece.len(), 0);
                file.read_exact(&mut expected)?;
                if piece != expected {
                    return Err(format!(
                        "the {} bytes from byte {total} on came back changed",
                        piece.len()
                    )
                    .into());
                }
                total += piece.len() as u64;
            }
            OwnedMessage::Text(text) if text == END => return Ok(total),
            OwnedMessage::Text(text) => println!("the server says: {text}"),
        }
    }
}
