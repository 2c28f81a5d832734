//! Frames as the server reads and writes them, compressed where the client offers that: whatever
//! happens is a result, not a failed test, but for what does not inflate.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use socket2::SockRef;
use tungstenite::handshake::derive_accept_key;

use crate::frame::{Frame, PING, TEXT};
use crate::zlib::Zlib;

pub(super) struct Wire {
    tcp: TcpStream,
    unread: Vec<u8>,
    /// Write byte by byte.
    pub(super) chopped: bool,
    /// What was agreed to.
    zlib: Option<Zlib>,
}

impl Wire {
    pub(super) fn new(tcp: TcpStream) -> io::Result<Self> {
        tcp.set_nodelay(true)?;
        tcp.set_write_timeout(Some(Duration::from_secs(10)))?;
        Ok(Wire { tcp, unread: Vec::new(), chopped: false, zlib: None })
    }

    /// Reads the request and gives its path, and the answer that accepts it, with compression if
    /// that is offered.
    pub(super) fn request(&mut self) -> io::Result<(String, String)> {
        let end = loop {
            if let Some(end) = self.unread.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            self.read(Duration::from_secs(10))?;
        };
        let head = String::from_utf8_lossy(&self.unread[..end]).into_owned();
        self.unread.drain(..end);
        let path = head.split(' ').nth(1).unwrap_or_default().trim_start_matches('/').to_owned();
        let header = |name| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let accept = derive_accept_key(header("Sec-WebSocket-Key:").unwrap_or_default().as_bytes());
        let upgrade =
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
        let mut acceptance = format!("{upgrade}Sec-WebSocket-Accept: {accept}\r\n");
        if let Some(offer) = header("Sec-WebSocket-Extensions:") {
            // That a window may be chosen is no parameter of an answer (RFC 7692 §7.1.2.2).
            let answer = offer.replace("; client_max_window_bits", "");
            acceptance += &format!("Sec-WebSocket-Extensions: {answer}\r\n");
            self.zlib = Some(Zlib::new(&answer));
        }
        Ok((path, acceptance + "\r\n"))
    }

    /// Gives the next frame, if one comes in this time. Pings are answered.
    pub(super) fn next(&mut self, patience: Duration) -> io::Result<Option<Frame>> {
        if let Some(frame) = self.take() {
            return self.answered(frame);
        }
        match self.read(patience) {
            Ok(()) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        }
        self.take().map_or(Ok(None), |frame| self.answered(frame))
    }

    fn answered(&mut self, mut frame: Frame) -> io::Result<Option<Frame>> {
        if frame.opcode == PING {
            // After the end of our stream nobody hears it.
            let _best_effort = self.send(Frame::pong(frame.payload));
            return Ok(None);
        }
        if frame.rsv != 0 {
            let zlib = self.zlib.as_mut().ok_or(ErrorKind::InvalidData)?;
            frame.payload = zlib.inflate(&frame);
        }
        Ok(Some(frame))
    }

    fn read(&mut self, patience: Duration) -> io::Result<()> {
        self.tcp.set_read_timeout(Some(patience.max(Duration::from_millis(1))))?;
        let mut piece = [0; 1 << 14];
        match self.tcp.read(&mut piece)? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            read => {
                self.unread.extend_from_slice(&piece[..read]);
                Ok(())
            }
        }
    }

    /// Takes a whole frame off what was read.
    fn take(&mut self) -> Option<Frame> {
        let bytes = &self.unread;
        let (fin, rsv, opcode) = (bytes.first()? & 0x80 != 0, bytes[0] >> 4 & 7, bytes[0] & 15);
        let (length, mask) = match bytes.get(1)? & 0x7f {
            126 => (u64::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)), 4),
            127 => (u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?), 10),
            short => (u64::from(short), 2),
        };
        let (start, end) = (mask + 4, mask + 4 + length as usize);
        let key: [u8; 4] = bytes.get(mask..start)?.try_into().ok()?;
        let masked = bytes.get(start..end)?;
        let payload: Vec<u8> =
            masked.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
        self.unread.drain(..end);
        Some(Frame { fin, rsv, ..Frame::new(opcode, payload) })
    }

    pub(super) fn send(&mut self, frame: Frame) -> io::Result<()> {
        let frame = match &mut self.zlib {
            Some(zlib) if frame.opcode == TEXT => zlib.frame(frame),
            _ => frame,
        };
        self.write(&frame.encode())
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.chopped {
            true => bytes.chunks(1).try_for_each(|byte| self.tcp.write_all(byte)),
            false => self.tcp.write_all(bytes),
        }
    }

    /// Ends our half of the stream.
    pub(super) fn end_stream(&self) -> io::Result<()> {
        self.tcp.shutdown(Shutdown::Write)
    }

    pub(super) fn reset(self) -> io::Result<()> {
        SockRef::from(&self.tcp).set_linger(Some(Duration::ZERO))
    }
}
