//! What goes out in streams, and large messages.

use super::*;

#[test]
fn a_stream_is_written_though_nobody_else_does_anything() {
    let mut connection = Connection::new(1 << 20);
    for burst in 0..20 {
        (0..=burst).for_each(|_| connection.send_in_a_stream().unwrap());
        connection.is_read((burst + 1) * 106);
    }
    connection.shared.flush(Duration::from_secs(20)).unwrap();
    assert_eq!(connection.who_rang(), []);
}

#[test]
fn what_a_callback_sends_in_a_stream_is_written_before_it_returns() {
    let mut connection = Connection::new(1 << 20);
    let _in_callback = CallbackScope::enter();
    (0..3).for_each(|_| connection.send_in_a_stream().unwrap());
    connection.is_read(3 * 106);
}

#[test]
fn a_stream_that_fills_the_queue_is_written_and_not_refused() {
    for in_callback in [false, true] {
        let mut connection = Connection::new(1 << 10);
        let scope = in_callback.then(CallbackScope::enter);
        for i in 0..100 {
            assert!(
                connection.send_in_a_stream().is_ok(),
                "message {i}, in a callback: {in_callback}"
            );
        }
        drop(scope);
        drop(connection.shared.write(connection.shared.lock(), Tail::NONE));
        connection.is_read(100 * 106);
    }
}

#[test]
fn a_thread_writes_a_mebibyte_and_somebody_else_the_rest() {
    const LARGE: usize = 4 << 20;
    let bytes: Vec<u8> = (0..LARGE as u32).map(|i| (i.wrapping_mul(i) >> 9) as u8).collect();
    // What is lent is copied only as far as somebody else writes it; a server's is not masked.
    for (role, is_lent) in
        [Role::Client, Role::Server].map(|role| [(role, false), (role, true)]).concat()
    {
        let connection = Connection::over(role, Socket::from, usize::MAX, None, false);
        let (shared, wire) = (Arc::clone(&connection.shared), Arc::clone(&connection.wire));
        let reader = std::thread::spawn(move || {
            let mut connection = connection;
            let message = connection.read_message(LARGE);
            (connection, message)
        });
        let message = match is_lent {
            false => Outgoing::from(bytes.clone()),
            true => Outgoing::from(&bytes[..]),
        };
        shared.send(message, Wait::Never).unwrap();
        // A full socket calls when there is room again, for which there is no loop here.
        while !reader.is_finished() {
            shared.on_writable(&wire);
            std::thread::yield_now();
        }
        let (connection, message) = reader.join().unwrap();
        assert!(message == bytes, "{role:?}, lent: {is_lent}");
        shared.flush(Duration::from_secs(20)).unwrap();
        assert_eq!(connection.who_rang(), []);
    }
}

/// Where no loop does, who sends writes on when there is room.
#[test]
fn what_is_lent_goes_out_whole_though_no_loop_writes_it() {
    const LARGE: usize = 4 << 20;
    let bytes: Vec<u8> = (0..LARGE as u32).map(|i| (i.wrapping_mul(i) >> 9) as u8).collect();
    for role in [Role::Client, Role::Server] {
        let mut connection = Connection::over(role, Socket::from, usize::MAX, None, true);
        let shared = Arc::clone(&connection.shared);
        let message = thread::scope(|scope| {
            let reading = scope.spawn(|| connection.read_message(LARGE));
            shared.send(Outgoing::from(&bytes[..]), Wait::Default).unwrap();
            reading.join().unwrap()
        });
        assert!(message == bytes, "{role:?}");
        assert_eq!(shared.buffered(), 0);
    }
}

/// A stream of the program's own, which asks its app for something as it is dropped.
struct Asks(TcpStream, Arc<OnceLock<Arc<Shared>>>);

impl Drop for Asks {
    fn drop(&mut self) {
        self.1.get().expect("the connection is open").state();
    }
}

impl Transport for Asks {
    fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        (&self.0).read(buf)
    }

    fn write(&self, buf: &[u8]) -> io::Result<usize> {
        (&self.0).write(buf)
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.1.get().expect("the connection is open").state();
        self.0.shutdown(how)
    }
}

#[cfg(unix)]
impl std::os::fd::AsFd for Asks {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(windows)]
impl std::os::windows::io::AsSocket for Asks {
    fn as_socket(&self) -> std::os::windows::io::BorrowedSocket<'_> {
        self.0.as_socket()
    }
}

/// Whoever is the last to have it: here a thread that waits for the socket as the connection ends.
#[test]
fn a_stream_of_the_programs_own_is_neither_shut_down_nor_dropped_under_the_lock() {
    for aborts in [false, true, false, false, false] {
        let to_ask = Arc::<OnceLock<Arc<Shared>>>::default();
        let asked = Arc::clone(&to_ask);
        let socket = |tcp| Socket::from(Asks(tcp, asked));
        let connection = Connection::over(Role::Client, socket, usize::MAX, None, true);
        let Connection { shared, wire, peer: _peer, .. } = connection;
        assert!(to_ask.set(Arc::clone(&shared)).is_ok());
        drop(wire);
        fill_the_socket(&shared);
        shared.limit(shared.buffered(), Duration::from_secs(3600));
        let waiting = wait_for_the_socket(&shared, vec![7; 1000]);
        let (theirs, (tell, told)) = (Arc::clone(&shared), mpsc::channel());
        std::thread::spawn(move || {
            if aborts {
                theirs.abort();
            }
            theirs.disconnected(State::Closed);
            tell.send(())
        });
        told.recv_timeout(Duration::from_secs(20)).expect("the connection ends");
        let sent = waiting.recv_timeout(Duration::from_secs(20)).expect("it waits no longer");
        assert_eq!(sent, Err(SendError::NotConnected { message: None }));
    }
}
