//! The scripted client's end of a connection: what it writes is not checked, what it reads is as RFC
//! 6455 asks of a client.

use std::io::{self, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

use crate::connection::Io;
use crate::frame::{BINARY, CLOSE, CONTINUATION, Frame, PING, PONG, TEXT};
#[cfg(feature = "__tls")]
use crate::tls::Certificate;
use crate::watchdog::PATIENCE;

/// The key of the RFC's example, and what answers it (RFC 6455 §1.3).
pub(super) const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// A request for a WebSocket at a path; `headers` are more lines, each with its line end.
pub(super) fn request(path: &str, headers: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n{headers}\r\n"
    )
}

pub(super) struct Visitor {
    io: BufReader<Box<dyn Io>>,
    /// Where it is TCP.
    tcp: Option<TcpStream>,
}

/// What a server answers to a request.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// What the status is called.
    pub(super) reason: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut its = self.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        let value = its.next().map(|(_, value)| value.as_str());
        assert!(its.next().is_none(), "{name} is there twice: {self:?}");
        value
    }

    /// Fails unless it opens a WebSocket.
    pub(super) fn expect_open(&self) {
        assert_eq!(self.status, 101, "{self:?}");
        assert_eq!(self.header("Upgrade"), Some("websocket"));
        assert_eq!(self.header("Connection"), Some("Upgrade"));
        assert_eq!(self.header("Sec-WebSocket-Accept"), Some(ACCEPT));
    }
}

/// Opening.
impl Visitor {
    pub(super) fn connect(addr: SocketAddr) -> Self {
        Visitor::over(TcpStream::connect_timeout(&addr, PATIENCE).unwrap())
    }

    /// Connects with a receive buffer that takes little, so that a server's queue fills up soon.
    pub(super) fn connect_with_small_buffer(addr: SocketAddr) -> Self {
        let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(1 << 14).unwrap();
        socket.connect(&addr.into()).unwrap();
        Visitor::over(socket.into())
    }

    pub(super) fn over(tcp: TcpStream) -> Self {
        tcp.set_nodelay(true).unwrap();
        tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        tcp.set_write_timeout(Some(PATIENCE)).unwrap();
        let io: Box<dyn Io> = Box::new(tcp.try_clone().unwrap());
        Visitor { io: BufReader::new(io), tcp: Some(tcp) }
    }

    #[cfg(unix)]
    pub(super) fn connect_unix(path: &std::path::Path) -> Self {
        let unix = std::os::unix::net::UnixStream::connect(path).unwrap();
        unix.set_read_timeout(Some(PATIENCE)).unwrap();
        unix.set_write_timeout(Some(PATIENCE)).unwrap();
        Visitor { io: BufReader::new(Box::new(unix)), tcp: None }
    }

    /// Connects with TLS, where no certificate but this one is trusted.
    #[cfg(feature = "__tls")]
    pub(super) fn connect_tls(addr: SocketAddr, certificate: &Certificate) -> Self {
        Visitor::try_connect_tls(addr, certificate).unwrap()
    }

    #[cfg(feature = "__tls")]
    pub(super) fn try_connect_tls(
        addr: SocketAddr,
        certificate: &Certificate,
    ) -> Result<Self, String> {
        let root = native_tls::Certificate::from_pem(certificate.pem().as_bytes()).unwrap();
        let mut connector = native_tls::TlsConnector::builder();
        Visitor::secure(addr, connector.disable_built_in_roots(true).add_root_certificate(root))
    }

    /// Connects with TLS as this makes it.
    #[cfg(feature = "__tls")]
    pub(super) fn secure(
        addr: SocketAddr,
        connector: &native_tls::TlsConnectorBuilder,
    ) -> Result<Self, String> {
        let Visitor { tcp, .. } = Visitor::connect(addr);
        let tcp = tcp.expect("it is TCP");
        let tls = connector.build().unwrap().connect("localhost", tcp.try_clone().unwrap());
        let io: Box<dyn Io> = Box::new(tls.map_err(|error| error.to_string())?);
        Ok(Visitor { io: BufReader::new(io), tcp: Some(tcp) })
    }

    /// Connects and upgrades.
    pub(super) fn open(addr: SocketAddr) -> Self {
        let mut visitor = Visitor::connect(addr);
        visitor.upgrade(&request("/", ""));
        visitor
    }

    /// Sends a request and sees the connection opened. Gives the answer.
    pub(super) fn upgrade(&mut self, request: &str) -> Answer {
        self.write(request);
        let answer = self.answer_head();
        answer.expect_open();
        answer
    }

    /// Sends a request, and gives the answer, which must be whole, with the end of the stream behind
    /// it and no reset.
    pub(super) fn ask(mut self, request: impl AsRef<[u8]>) -> Answer {
        // The server may have said enough before it has read all.
        let _said_enough = self.try_write(request);
        self.refusal()
    }

    /// Reads an answer that ends the connection, in order.
    pub(super) fn refusal(mut self) -> Answer {
        let mut answer = self.answer_head();
        let mut body = String::new();
        match self.io.read_to_string(&mut body) {
            Ok(_) => {}
            Err(error) => panic!("{error} behind {body:?} of {answer:?}"),
        }
        assert_eq!(answer.header("Connection"), Some("close"), "{answer:?}");
        assert_eq!(answer.header("Content-Length"), Some(&*body.len().to_string()), "{answer:?}");
        answer.body = body;
        answer
    }

    /// Reads an answer up to where its body begins.
    pub(super) fn answer_head(&mut self) -> Answer {
        self.try_answer_head().unwrap_or_else(|e| panic!("waiting for the answer: {e}"))
    }

    pub(super) fn try_answer_head(&mut self) -> io::Result<Answer> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            assert!(head.len() < 1 << 16, "an answer without end");
            head.extend(self.try_read_bytes(1)?);
        }
        let head = String::from_utf8(head).expect("an answer is text");
        let mut lines = head.trim_end().split("\r\n");
        let line = lines.next().expect("split gives one piece at least");
        let answer = line.strip_prefix("HTTP/1.1 ").unwrap_or_else(|| panic!("no answer: {line}"));
        let (status, reason) = answer.split_at(3);
        let (status, reason) = (status.parse().unwrap(), reason.trim().to_owned());
        let headers = lines
            .map(|line| line.split_once(": ").unwrap_or_else(|| panic!("no header: {line:?}")))
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        Ok(Answer { status, reason, headers: headers.collect(), body: String::new() })
    }
}

/// Writing.
impl Visitor {
    pub(super) fn addr(&self) -> SocketAddr {
        self.tcp().local_addr().unwrap()
    }

    fn tcp(&self) -> &TcpStream {
        self.tcp.as_ref().expect("it is TCP")
    }

    /// The same connection, for a thread that writes while another reads.
    pub(super) fn writer(&self) -> Self {
        Visitor::over(self.tcp().try_clone().unwrap())
    }

    /// Sends a frame, masked.
    pub(super) fn send(&mut self, frame: Frame) {
        self.write(masked(&frame));
    }

    pub(super) fn text(&mut self, text: &str) {
        self.send(Frame::text(text));
    }

    pub(super) fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_write(bytes).expect("the server takes what is written");
    }

    /// Writes to a server that may have hung up.
    pub(super) fn try_write(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.io.get_mut().write_all(bytes.as_ref())
    }

    /// Writes what is taken without waiting for longer than was set.
    #[cfg(target_os = "linux")]
    pub(super) fn write_some(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.io.get_mut().write(bytes)
    }

    #[cfg(target_os = "linux")]
    pub(super) fn set_write_timeout(&self, timeout: Duration) {
        self.tcp().set_write_timeout(Some(timeout)).unwrap();
    }

    /// Closes, sees that answered with the same code (RFC 6455 §5.5.1) and hangs up. The server has
    /// to end TCP first (§7.1.1).
    pub(super) fn close(mut self, code: u16, reason: &str) {
        self.send(Frame::close(code, reason));
        assert_eq!(self.expect_close(), code);
        self.expect_end();
    }

    /// Sees the Close frame of the server, answers it, and sees the server hang up.
    pub(super) fn answer_close(mut self, code: u16) {
        assert_eq!(self.expect_close(), code);
        self.send(Frame::close(code, ""));
        self.expect_end();
    }

    /// Sees the server fail the connection with this code and hang up.
    pub(super) fn expect_failed(mut self, code: u16) {
        assert_eq!(self.expect_close(), code);
        self.expect_end();
    }

    /// Ends the connection with a TCP reset.
    pub(super) fn reset(self) {
        SockRef::from(self.tcp()).set_linger(Some(Duration::ZERO)).unwrap();
    }

    /// Ends the sending half: the server sees the end of the stream.
    pub(super) fn end_stream(&self) {
        self.tcp().shutdown(Shutdown::Write).unwrap();
    }
}

/// Reading.
impl Visitor {
    /// Reads the next frame and fails unless it is this one.
    pub(super) fn expect(&mut self, expected: Frame) {
        let frame = self.read_frame();
        assert!(frame == expected, "expected {expected:?}, the server sent {frame:?}");
    }

    pub(super) fn expect_text(&mut self, expected: &str) {
        self.expect(Frame::text(expected));
    }

    /// Sends a ping and sees it answered next.
    pub(super) fn ping(&mut self, payload: &str) {
        self.send(Frame::ping(payload));
        self.expect(Frame::pong(payload));
    }

    /// Sends a text and sees it come back next.
    pub(super) fn echo(&mut self, text: &str) {
        self.text(text);
        self.expect_text(text);
    }

    /// Reads a Close frame and gives its code, which must be there.
    pub(super) fn expect_close(&mut self) -> u16 {
        let frame = self.read_frame();
        code_of(&frame).unwrap_or_else(|| panic!("expected a Close, the server sent {frame:?}"))
    }

    /// Reads on to the server's Close frame, and gives its code and what came before it.
    pub(super) fn read_to_close(&mut self) -> (Vec<Frame>, u16) {
        let mut before = Vec::new();
        loop {
            let frame = self.read_frame();
            match code_of(&frame) {
                Some(code) => return (before, code),
                None => before.push(frame),
            }
        }
    }

    pub(super) fn read_frame(&mut self) -> Frame {
        self.try_read_frame().unwrap_or_else(|e| panic!("waiting for a frame: {e}"))
    }

    /// Reads one frame, which must be unmasked, and its length as short as it can be (RFC 6455 §5),
    /// from a server that may have gone.
    pub(super) fn try_read_frame(&mut self) -> io::Result<Frame> {
        let first = self.try_read_bytes(2)?;
        let (fin, rsv, opcode) = (first[0] & 0x80 != 0, first[0] >> 4 & 7, first[0] & 15);
        assert!(
            matches!(opcode, CONTINUATION | TEXT | BINARY | CLOSE | PING | PONG),
            "opcode {opcode} is reserved"
        );
        assert!(first[1] & 0x80 == 0, "a server must not mask its frames");
        let (length, least) = match first[1] {
            126 => (self.try_read_bytes(2)?, 126),
            127 => (self.try_read_bytes(8)?, 0x1_0000),
            short => (vec![short], 0),
        };
        let length = length.into_iter().fold(0, |sum, byte| sum << 8 | u64::from(byte));
        assert!(length >= least, "a length of {length} takes fewer bytes");
        let payload = self.try_read_bytes(length as usize)?;
        let frame = Frame { fin, rsv, opcode, masked: false, payload };
        assert!(
            !frame.is_control() || fin && frame.payload.len() <= 125,
            "a wrong control frame: {frame:?}"
        );
        Ok(frame)
    }

    /// Waits for the server to hang up in order, which must send nothing more.
    pub(super) fn expect_end(mut self) {
        let mut rest = Vec::new();
        match self.io.read_to_end(&mut rest) {
            Ok(_) => {}
            Err(e) => panic!("the server has not hung up in order: {e}"),
        }
        assert!(rest.is_empty(), "the server sent {:?}", String::from_utf8_lossy(&rest));
    }

    /// Reads whatever comes and waits for the server to hang up, in whatever way.
    pub(super) fn stay_silent(mut self) {
        match self.io.read_to_end(&mut Vec::new()) {
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("the server has not hung up within {PATIENCE:?}")
            }
            _ => {}
        }
    }

    /// Reads one byte, and no more than that from the operating system.
    pub(super) fn read_a_byte(&mut self) {
        self.io.get_mut().read_exact(&mut [0]).expect("there is something to read");
    }

    /// Reads whatever comes until the server has hung up, in whatever way, and gives how much it was.
    #[cfg(target_os = "linux")]
    pub(super) fn rest(mut self) -> usize {
        let mut rest = Vec::new();
        let _in_whatever_way = self.io.read_to_end(&mut rest);
        rest.len()
    }

    /// Reads from a server that may have gone, but must not be silent.
    fn try_read_bytes(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        match self.io.read_exact(&mut bytes) {
            Ok(()) => Ok(bytes),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("the server has said nothing for {PATIENCE:?}")
            }
            Err(e) => Err(e),
        }
    }
}

fn code_of(frame: &Frame) -> Option<u16> {
    match &frame.payload[..] {
        [high, low, ..] if frame.opcode == CLOSE => Some(u16::from_be_bytes([*high, *low])),
        _ => None,
    }
}

/// A frame as a client sends it, with a key that changes every byte.
pub(super) fn masked(frame: &Frame) -> Vec<u8> {
    const MASK: [u8; 4] = [0x5a, 0xa5, 0x3c, 0xc3];
    let mut bytes = frame.clone().masked().head(frame.payload.len() as u64);
    bytes.extend(MASK);
    bytes.extend(frame.payload.iter().zip(MASK.iter().cycle()).map(|(byte, key)| byte ^ key));
    bytes
}
