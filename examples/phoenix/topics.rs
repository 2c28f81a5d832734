//! What is joined, and by which numbers.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use websocket_app::{SendError, Sender};

/// The topics, each with the number of its join, and of all numbers the last.
pub(crate) struct Topics {
    pub(crate) joins: BTreeMap<String, Option<String>>,
    last_number: u64,
}

impl Topics {
    pub(crate) fn new(topics: impl IntoIterator<Item = String>) -> Self {
        let joins = topics.into_iter().map(|topic| (topic, None)).collect();
        Topics { joins, last_number: 0 }
    }

    /// Pushes to a topic that was joined, and gives the number that the reply will have.
    pub(crate) fn push(
        &mut self,
        ws: &Sender,
        topic: &str,
        event: &str,
        payload: &Value,
    ) -> Result<String, SendError> {
        self.last_number += 1;
        let number = self.last_number.to_string();
        if event == "phx_join" {
            self.joins.insert(topic.to_owned(), Some(number.clone()));
        }
        let join = self.joins.get(topic).cloned().flatten();
        ws.send(json!([join, number, topic, event, payload]).to_string())?;
        Ok(number)
    }

    /// Asks to join those that are not.
    pub(crate) fn join_all(&mut self, ws: &Sender) -> Result<(), SendError> {
        let unjoined = self.joins.iter().filter(|(_, join)| join.is_none());
        for topic in unjoined.map(|(topic, _)| topic.clone()).collect::<Vec<_>>() {
            self.push(ws, &topic, "phx_join", &json!({}))?;
        }
        Ok(())
    }
}
