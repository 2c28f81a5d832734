//! A server for the examples that sends a tick every so often, that can be stopped and started again
//! on its port, and that can get stuck. Not part of the library.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use websocket_app::server::{Client, Server, ServerHandle};
use websocket_app::{CallbackError, Error};

pub(crate) const PERIOD: Duration = Duration::from_millis(400);
/// Who has subscribed.
const TICKS: &str = "ticks";

pub(crate) struct Ticker {
    address: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    server: Option<ServerHandle>,
    last: u64,
    /// To the clients up to this number it says nothing more.
    stuck: u64,
}

impl Ticker {
    pub(crate) fn start() -> Result<Self, Error> {
        let state = Arc::<Mutex<State>>::default();
        let mut ticker = Ticker { address: "127.0.0.1:0".to_owned(), state: Arc::clone(&state) };
        ticker.restart()?;
        // Whether anybody serves or not.
        thread::spawn(move || {
            loop {
                thread::sleep(PERIOD);
                tick(&mut lock(&state));
            }
        });
        Ok(ticker)
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}/", self.address)
    }

    /// Cuts all connections without a word, and takes no new ones.
    pub(crate) fn stop(&mut self) -> Result<(), Error> {
        let server = lock(&self.state).server.take();
        server.map_or(Ok(()), |server| {
            server.abort();
            server.join()
        })
    }

    /// Serves again, on the same port. The ticks have gone on meanwhile.
    pub(crate) fn restart(&mut self) -> Result<(), Error> {
        let state = Arc::clone(&self.state);
        let server = Server::new(&self.address)
            .on_message(move |client, message| {
                heard(client, message.as_text().unwrap_or_default(), &lock(&state))
            })
            .spawn()?;
        // At first the operating system has chosen the port.
        self.address = server.local_addr().expect("it is TCP").to_string();
        let mut state = lock(&self.state);
        (state.server, state.stuck) = (Some(server), 0);
        Ok(())
    }

    /// Says nothing more to the clients that are there, though their connections stay open and pings
    /// are answered.
    pub(crate) fn get_stuck(&self) {
        let mut state = lock(&self.state);
        let clients = state.server.as_ref().map_or_else(Vec::new, ServerHandle::clients);
        for client in clients {
            client.unsubscribe(TICKS);
            state.stuck = client.id();
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn tick(state: &mut State) {
    state.last += 1;
    if let Some(server) = &state.server {
        // Never waits: not for a client that does not read either.
        server.publish(TICKS, format!("tick {}", state.last));
    }
}

/// A subscription begins with the ticks after the one that it names. It is made under the lock that
/// each tick comes under, so that none is missing between the two.
fn heard(client: &Client, text: &str, state: &State) -> Result<(), CallbackError> {
    if client.id() <= state.stuck {
        return Ok(());
    }
    if let Some(rest) = text.strip_prefix("subscribe") {
        let after = rest.trim_start_matches(" after ").parse().unwrap_or(state.last);
        for tick in after + 1..=state.last {
            client.send(format!("tick {tick}"))?;
        }
        client.subscribe(TICKS);
    } else if text == "heartbeat" {
        client.send("heartbeat acknowledged")?;
    }
    Ok(())
}
