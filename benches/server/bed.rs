//! A server and its clients, which stay from one measurement to the next: opening them does not
//! count.

use crate::child::Served;
use crate::compare::{Meter, Took};
use crate::load::{Clients, Exchange};
use crate::processors::Apart;

pub(crate) struct Bed {
    pub(crate) served: Served,
    pub(crate) clients: Clients,
}

impl Bed {
    pub(crate) fn new(options: &[&str], apart: Option<&Apart>, path: &str, count: usize) -> Self {
        let served = Served::start(options);
        if let Some(apart) = apart {
            apart.put(served.id());
        }
        let mut clients = Clients::new(served.address(), options);
        clients.open(path, count);
        Bed { served, clients }
    }

    /// Messages there and back, so many at least in all.
    pub(crate) fn echo(&mut self, exchange: &Exchange, count: usize) -> Took {
        let each = count.div_ceil(self.clients.len());
        let meter = Meter::of(self.served.id());
        self.clients.echo(exchange, each);
        meter.stop(each * self.clients.len())
    }
}
