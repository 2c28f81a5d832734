//! The scripted peer's end of one connection: what it reads is checked as RFC 6455 asks of a
//! server, what it writes is not.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use socket2::SockRef;
use tungstenite::handshake::derive_accept_key;

use crate::frame::{BINARY, CLOSE, CONTINUATION, Frame, PING, PONG, TEXT};
use crate::watchdog::PATIENCE;

/// A TCP connection, or TLS over one.
pub(crate) trait Io: Read + Write + Send {}
impl<T: Read + Write + Send> Io for T {}

pub(crate) struct Connection {
    io: BufReader<Box<dyn Io>>,
    tcp: TcpStream,
    request: Request,
    /// The masking keys seen, in order.
    pub(crate) masks: Vec<[u8; 4]>,
    /// RSV1, which says that a message is compressed, may be set on its first frame (RFC 7692 §6).
    may_compress: bool,
}

/// The opening request.
#[derive(Clone, Default)]
pub(crate) struct Request {
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, String)>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

/// Opening.
impl Connection {
    pub(crate) fn new(
        tcp: TcpStream,
        secure: impl FnOnce(TcpStream) -> Result<Box<dyn Io>, String>,
    ) -> Self {
        Connection::try_new(tcp, secure).unwrap()
    }

    pub(crate) fn try_new(
        tcp: TcpStream,
        secure: impl FnOnce(TcpStream) -> Result<Box<dyn Io>, String>,
    ) -> Result<Self, String> {
        tcp.set_nodelay(true).unwrap();
        tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        tcp.set_write_timeout(Some(PATIENCE)).unwrap();
        let io = BufReader::with_capacity(1 << 16, secure(tcp.try_clone().unwrap())?);
        Ok(Connection {
            io,
            tcp,
            request: Request::default(),
            masks: Vec::new(),
            may_compress: false,
        })
    }

    /// Makes the kernel hold little of what is not read yet.
    pub(crate) fn shrink_buffer(&self) {
        SockRef::from(&self.tcp).set_recv_buffer_size(1 << 14).unwrap();
    }

    pub(crate) fn read_request(&mut self) -> &Request {
        self.try_read_request().unwrap_or_else(|e| panic!("waiting for the request: {e}"))
    }

    /// Reads the request of a client that may go before it is whole.
    pub(crate) fn try_read_request(&mut self) -> io::Result<&Request> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            assert!(head.len() < 1 << 16, "a request without end");
            head.extend(self.try_read_bytes(1)?);
        }
        let head = String::from_utf8(head).expect("a request is text");
        let mut lines = head.trim_end().split("\r\n").map(str::to_owned);
        let line = lines.next().expect("split gives one piece at least");
        let header = |line: String| {
            let (name, value) =
                line.split_once(':').unwrap_or_else(|| panic!("no header: {line:?}"));
            (name.to_owned(), value.trim().to_owned())
        };
        self.request = Request { line, headers: lines.map(header).collect() };
        Ok(&self.request)
    }

    /// The answer to the request that was read; `headers` are more lines, each with its line end.
    pub(crate) fn acceptance(&self, headers: &str) -> String {
        let key =
            self.request.header("Sec-WebSocket-Key").expect("a request for an upgrade has a key");
        let accept = derive_accept_key(key.as_bytes());
        let upgrade =
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
        format!("{upgrade}Sec-WebSocket-Accept: {accept}\r\n{headers}\r\n")
    }

    pub(crate) fn upgrade(&mut self) {
        self.try_upgrade().unwrap_or_else(|e| panic!("upgrading: {e}"));
    }

    /// Upgrades with this answer to what extensions the client offers.
    #[cfg(feature = "deflate")]
    pub(crate) fn upgrade_with_extensions(&mut self, extensions: &str) {
        self.read_request();
        let answer = self.acceptance(&format!("Sec-WebSocket-Extensions: {extensions}\r\n"));
        self.write(answer);
        self.may_compress = true;
    }

    /// Upgrades a client that may go before that is done.
    pub(crate) fn try_upgrade(&mut self) -> io::Result<()> {
        self.try_read_request()?;
        let answer = self.acceptance("");
        self.try_write(answer)
    }
}

/// Writing.
impl Connection {
    pub(crate) fn send(&mut self, frame: Frame) {
        self.write(frame.encode());
    }

    pub(crate) fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_write(bytes).expect("the client takes what is written");
    }

    /// Writes to a client that may have gone.
    pub(crate) fn try_write(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.io.get_mut().write_all(bytes.as_ref())?;
        self.io.get_mut().flush()
    }

    /// Writes each byte in a packet of its own.
    pub(crate) fn write_byte_by_byte(&mut self, bytes: impl AsRef<[u8]>) {
        bytes.as_ref().chunks(1).for_each(|byte| self.write(byte));
    }

    /// Writes past TLS, what the client then takes for records.
    #[cfg(feature = "__tls")]
    pub(crate) fn write_below_tls(&mut self, bytes: impl AsRef<[u8]>) {
        self.tcp.write_all(bytes.as_ref()).expect("the client takes what is written");
    }

    /// Sends a Close frame, sees it answered with its code (RFC 6455 §5.5.1), and hangs up.
    pub(crate) fn close(mut self, code: u16, reason: &str) {
        self.send(Frame::close(code, reason));
        assert_eq!(self.expect_close_code(), code);
    }

    /// Sees the Close frame that `close()` sends, answers it, and hangs up.
    pub(crate) fn answer_close(mut self) {
        self.expect(Frame::close(1000, ""));
        self.send(Frame::close(1000, ""));
    }

    /// Ends the connection with a TCP reset.
    pub(crate) fn reset(self) {
        SockRef::from(&self.tcp).set_linger(Some(Duration::ZERO)).unwrap();
    }

    /// Ends the sending half: the client sees the end of the stream, what it sends still arrives.
    pub(crate) fn end_stream(&self) {
        self.tcp.shutdown(Shutdown::Write).unwrap();
    }
}

/// Reading.
impl Connection {
    /// Reads the next frame and fails unless it is this one.
    pub(crate) fn expect(&mut self, expected: Frame) {
        let frame = self.read_frame();
        assert!(frame == expected, "expected {expected:?}, the client sent {frame:?}");
    }

    pub(crate) fn expect_text(&mut self, expected: &str) {
        self.expect(Frame::text(expected));
    }

    /// Reads a ping and gives its payload.
    pub(crate) fn expect_ping(&mut self) -> Vec<u8> {
        let frame = self.read_frame();
        assert!(frame.opcode == PING, "expected a ping, the client sent {frame:?}");
        frame.payload
    }

    /// Reads a Close frame and gives its code, which must be there.
    pub(crate) fn expect_close_code(&mut self) -> u16 {
        let frame = self.read_frame();
        assert!(
            frame.opcode == CLOSE && frame.payload.len() >= 2,
            "expected a Close, the client sent {frame:?}"
        );
        u16::from_be_bytes([frame.payload[0], frame.payload[1]])
    }

    /// Reads on to the client's Close frame, whatever comes before it.
    pub(crate) fn skip_to_close(&mut self) {
        while self.read_frame().opcode != CLOSE {}
    }

    /// Reads a pong with this payload, if that is what comes next.
    pub(crate) fn skip_pong(&mut self, payload: &str) {
        // FIN and the opcode.
        if self.io.fill_buf().is_ok_and(|bytes| bytes.first() == Some(&(0x80 | PONG))) {
            self.expect(Frame::pong(payload));
        }
    }

    /// Reads one frame, which must be masked, unextended, and its length as short as it can be (RFC
    /// 6455 §5).
    pub(crate) fn read_frame(&mut self) -> Frame {
        self.try_read_frame().unwrap_or_else(|e| panic!("waiting for a frame: {e}"))
    }

    /// Reads one frame from a client that may have gone.
    pub(crate) fn try_read_frame(&mut self) -> io::Result<Frame> {
        let first = self.try_read_bytes(2)?;
        let (fin, rsv, opcode) = (first[0] & 0x80 != 0, first[0] >> 4 & 7, first[0] & 15);
        assert!(
            matches!(opcode, CONTINUATION | TEXT | BINARY | CLOSE | PING | PONG),
            "opcode {opcode} is reserved"
        );
        let may_be_set =
            if self.may_compress && matches!(opcode, TEXT | BINARY) { 0b100 } else { 0 };
        assert_eq!(rsv & !may_be_set, 0, "a reserved bit is set");
        assert!(first[1] & 0x80 != 0, "a client must mask its frames");
        let (length, least) = match first[1] & 0x7f {
            126 => (self.try_read_bytes(2)?, 126),
            127 => (self.try_read_bytes(8)?, 0x1_0000),
            short => (vec![short], 0),
        };
        let length = length.into_iter().fold(0, |sum, byte| sum << 8 | u64::from(byte));
        assert!(length >= least, "a length of {length} takes fewer bytes");
        let mask: [u8; 4] = self.try_read_bytes(4)?.try_into().unwrap();
        self.masks.push(mask);
        let mut payload = self.try_read_bytes(length as usize)?;
        unmask(&mut payload, mask);
        let frame = Frame { fin, rsv, opcode, masked: false, payload };
        assert!(
            !frame.is_control() || fin && frame.payload.len() <= 125,
            "a wrong control frame: {frame:?}"
        );
        Ok(frame)
    }

    /// Reads so many bytes, of whatever comes before the upgrade.
    pub(crate) fn read_bytes(&mut self, count: usize) -> Vec<u8> {
        self.try_read_bytes(count).unwrap_or_else(|e| panic!("waiting for {count} bytes: {e}"))
    }

    /// Waits for some bytes, whatever they are: the client has begun to talk.
    #[cfg(feature = "__tls")]
    pub(crate) fn read_something(&mut self) {
        self.try_read_bytes(1).expect("the client begins to talk");
    }

    /// Fails if the client sends anything for this long.
    pub(crate) fn is_silent_for(&mut self, time: Duration) {
        self.tcp.set_read_timeout(Some(time)).unwrap();
        match self.io.fill_buf() {
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Ok([]) => panic!("the client hung up"),
            other => panic!("the client sent {other:?}"),
        }
        self.tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    }

    /// Waits for the client to hang up, which must send nothing more.
    pub(crate) fn expect_end(mut self) {
        let rest = self.read_to_end();
        assert!(rest.is_empty(), "the client sent {:?}", String::from_utf8_lossy(&rest));
    }

    /// Hangs up first, as a server does with a connection that is over (RFC 6455 §7.1.1), and waits
    /// for the client to do so, which must send nothing more.
    pub(crate) fn hang_up(self) {
        self.end_stream();
        self.expect_end();
    }

    /// Says nothing more, reads whatever comes, and waits for the client to hang up, in whatever
    /// way.
    pub(crate) fn stay_silent(mut self) {
        self.read_to_end();
    }

    /// Sees the Close frame and answers it, or sees the end.
    pub(crate) fn answer_close_or_end(mut self) {
        if self.io.fill_buf().is_ok_and(|bytes| !bytes.is_empty()) {
            self.answer_close();
        }
    }

    fn read_to_end(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        match self.io.read_to_end(&mut rest) {
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("the client has not hung up within {PATIENCE:?}")
            }
            // A reset is one way to hang up, and over TLS a missing farewell another.
            _ => rest,
        }
    }

    /// Reads from a client that may have gone, but must not be silent.
    fn try_read_bytes(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        match self.io.read_exact(&mut bytes) {
            Ok(()) => Ok(bytes),
            Err(e) if e.kind() == ErrorKind::UnexpectedEof => {
                Err(io::Error::new(e.kind(), "the client hung up"))
            }
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("the client has said nothing for {PATIENCE:?}")
            }
            Err(e) => Err(e),
        }
    }
}

/// Eight bytes at a time: tests are not optimised, and messages are long.
fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let key = u64::from_ne_bytes([mask, mask].concat().try_into().unwrap());
    let mut eights = payload.chunks_exact_mut(8);
    for eight in &mut eights {
        let masked = u64::from_ne_bytes((&*eight).try_into().unwrap());
        eight.copy_from_slice(&(masked ^ key).to_ne_bytes());
    }
    eights
        .into_remainder()
        .iter_mut()
        .zip(mask.iter().cycle())
        .for_each(|(byte, key)| *byte ^= key);
}
