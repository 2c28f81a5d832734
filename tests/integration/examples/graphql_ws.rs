//! `graphql_ws`, against npm's `graphql-ws`: `tests/javascript/graphql.js`.

use crossbeam_channel::{Receiver, unbounded};
use serde_json::{Value, json};
use websocket_app::{Close, Error};

use self::example::GraphQl;
use super::served::by_node;
use crate::program::Program;
use crate::watchdog::within;

#[allow(dead_code)]
#[path = "../../../examples/graphql_ws.rs"]
mod example;

/// How a run ended: its result, what was not complete, what it told.
type Outcome = (Result<Close, Error>, Vec<String>, Vec<(String, Value)>);

/// Asks for these, to the end.
fn ask(server: &Program, token: Option<&str>, queries: &[String]) -> Outcome {
    let url = format!("ws://{}/graphql", server.addr());
    let (token, queries) = (token.map(str::to_owned), queries.to_vec());
    within("the operations", move || {
        let (give, told): (_, Receiver<(String, Value)>) = unbounded();
        let graphql = GraphQl::new(token, queries, move |id: &str, result: &Value| {
            give.send((id.to_owned(), result.clone())).unwrap();
        });
        let (result, graphql) = graphql.app(&url).run_handler();
        (result, graphql.operations.into_keys().collect(), told.try_iter().collect())
    })
}

/// Asks for these, all of which must become complete. Gives what was told of each.
fn answers<const N: usize>(server: &Program, queries: [&str; N]) -> [Vec<Value>; N] {
    let (result, incomplete, told) = ask(server, Some("right"), &queries.map(str::to_owned));
    assert!(result.unwrap().clean);
    assert_eq!(incomplete, [""; 0]);
    let mut number = 0;
    queries.map(|_| {
        number += 1;
        let of_it = told.iter().filter(|(id, _)| *id == number.to_string());
        of_it.map(|(_, result)| result.clone()).collect()
    })
}

#[test]
fn operations_of_each_kind_share_a_connection() {
    let Some(server) = by_node("graphql.js") else { return };
    let [hello, countdown, sum, greetings] = answers(
        &server,
        [
            "{ hello }",
            "subscription { countdown(from: 3) }",
            "query { add(a: 20, b: 22) }",
            "subscription { greetings }",
        ],
    );
    assert_eq!(hello, [json!({ "data": { "hello": "world" } })]);
    let numbers: Vec<Value> =
        countdown.iter().map(|result| result["data"]["countdown"].clone()).collect();
    assert_eq!(numbers, [3, 2, 1, 0]);
    assert_eq!(sum, [json!({ "data": { "add": 42 } })]);
    assert_eq!(greetings[2]["data"]["greetings"], "Hola");
}

#[test]
fn errors_are_told_and_the_others_go_on() {
    let Some(server) = by_node("graphql.js") else { return };
    let [invalid, failed, hello] =
        answers(&server, ["{ no_such_field }", "{ fails }", "{ hello }"]);
    let message = invalid[0]["errors"][0]["message"].as_str().unwrap();
    assert!(message.contains("no_such_field"), "{invalid:?}");
    assert_eq!(failed[0]["errors"][0]["message"], "as it should");
    assert_eq!(hello, [json!({ "data": { "hello": "world" } })]);
}

/// Only what can be asked for twice.
#[test]
fn what_is_lost_is_asked_for_again_unless_it_is_a_mutation() {
    let Some(server) = by_node("graphql.js") else { return };
    let [flaky] = answers(&server, [r#"subscription { flaky(key: "a") }"#]);
    let words: Vec<&Value> = flaky.iter().map(|result| &result["data"]["flaky"]).collect();
    // The first may be lost with the connection.
    assert!(words == ["before", "after"] || words == ["after"], "{words:?}");
    let [count] = answers(&server, [r#"{ count(key: "a") }"#]);
    assert_eq!(count, [json!({ "data": { "count": 2 } })]);

    let [lost] = answers(&server, [r#"mutation { countAndDrop(key: "b") }"#]);
    assert!(lost[0]["lost"].is_string(), "{lost:?}");
    let [count] = answers(&server, [r#"{ count(key: "b") }"#]);
    assert_eq!(count, [json!({ "data": { "count": 1 } })]);
}

#[test]
fn pings_of_the_protocol_are_answered() {
    let Some(server) = by_node("graphql.js") else { return };
    let [pinged] = answers(&server, ["{ pinged }"]);
    assert_eq!(pinged, [json!({ "data": { "pinged": true } })]);
}

/// It does not get better by itself.
#[test]
fn a_token_that_is_refused_is_the_end() {
    let Some(server) = by_node("graphql.js") else { return };
    let (result, incomplete, told) = ask(&server, Some("wrong"), &["{ hello }".to_owned()]);
    let close = result.unwrap();
    assert_eq!((close.code, &*close.reason), (4403, "Forbidden"));
    assert_eq!((incomplete, told), (vec!["1".to_owned()], vec![]));
}
