//! What callbacks send while they are handed messages that came together.

use super::*;

/// Sends a message of 100 bytes, 106 on the wire. Returns how many bytes wait then.
fn send_one(connection: &Connection) -> usize {
    connection.shared.send(Outgoing::from(&[7; 100][..]), Wait::Never).unwrap();
    connection.shared.buffered()
}

/// Begins to hand out messages that came together, as others did just before.
fn gather(connection: &Connection) -> Gather {
    drop(Gather::begin(&connection.shared, 2));
    let gather = Gather::begin(&connection.shared, 2);
    gather.on_item(false);
    gather
}

#[test]
fn what_answers_messages_that_came_together_goes_out_together() {
    let mut connection = Connection::new(1 << 20);
    at_last(|_| {
        let gather = gather(&connection);
        let first = send_one(&connection);
        gather.on_item(false);
        let waited = (first, send_one(&connection));
        gather.on_item(true);
        let all_is_written = send_one(&connection) == 0;
        drop(gather);
        connection.is_read(3 * 106);
        waited == (106, 2 * 106) && all_is_written
    });
    // No longer than that.
    assert_eq!(send_one(&connection), 0);
}

#[test]
fn what_answers_messages_that_come_together_now_and_then_goes_out_at_once() {
    let connection = Connection::new(1 << 20);
    at_last(|_| {
        thread::sleep(Duration::from_millis(2));
        let gather = Gather::begin(&connection.shared, 2);
        gather.on_item(false);
        let waits = send_one(&connection);
        drop(gather);
        assert_eq!(waits, 0);
        true
    });
}

#[test]
fn what_was_gathered_goes_out_though_nothing_is_sent_for_the_last_message() {
    let mut connection = Connection::new(1 << 20);
    let gather = gather(&connection);
    send_one(&connection);
    drop(gather);
    assert_eq!(connection.shared.buffered(), 0);
    connection.is_read(106);
}

#[test]
fn what_was_gathered_goes_out_before_the_next_message_once_it_has_waited() {
    let connection = Connection::new(1 << 20);
    at_last(|_| {
        let gather = gather(&connection);
        let waited = send_one(&connection);
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_micros(60) {}
        (0..4).for_each(|_| gather.on_item(false));
        assert_eq!(connection.shared.buffered(), 0);
        waited == 106
    });
}

#[test]
fn what_was_gathered_goes_out_though_the_callback_does_not_return() {
    let mut connection = Connection::new(1 << 20);
    // The thread that looks may have gone to sleep meanwhile, and has to be woken again.
    for pause in [Duration::ZERO, Duration::ZERO, Duration::from_millis(50)] {
        thread::sleep(pause);
        let gather = gather(&connection);
        for _ in 0..3 {
            send_one(&connection);
            connection.is_read(106);
            thread::sleep(pause);
            gather.on_item(false);
        }
        // Also where the one before it did return.
        send_one(&connection);
        gather.on_item(false);
        connection.is_read(106);
        send_one(&connection);
        connection.is_read(106);
    }
}

/// A callback may run a loop, whose callbacks are handed what came together too, and send over
/// what called them.
#[test]
fn what_was_gathered_goes_out_whatever_runs_within_the_callback() {
    let (mut one, mut other) = (Connection::new(1 << 20), Connection::new(1 << 20));
    at_last(|round| {
        let outer = gather(&one);
        let waited = send_one(&one);
        {
            let inner = Gather::begin(&other.shared, 2);
            inner.on_item(false);
            send_one(&other);
            if round % 2 == 0 {
                send_one(&one);
            }
        }
        send_one(&one);
        one.is_read(if round % 2 == 0 { 318 } else { 212 });
        other.is_read(106);
        drop(outer);
        waited == 106
    });
}

#[test]
fn what_was_gathered_goes_out_before_the_connection_is_given_up_for_another() {
    let mut connection = Connection::new(1 << 20);
    let _gather = gather(&connection);
    send_one(&connection);
    connection.shared.reconnect();
    assert_eq!(connection.shared.buffered(), 0);
    connection.is_read(106);
}

#[test]
fn only_what_goes_over_the_same_connection_is_gathered() {
    let (one, mut other) = (Connection::new(1 << 20), Connection::new(1 << 20));
    let _gather = gather(&one);
    assert_eq!(send_one(&other), 0);
    other.is_read(106);
}

#[test]
fn what_was_gathered_makes_room() {
    let mut connection = Connection::new(250);
    let gather = gather(&connection);
    (0..10).for_each(|_| _ = send_one(&connection));
    drop(gather);
    connection.is_read(10 * 106);
}

#[test]
fn what_was_gathered_goes_out_before_the_close_frame_and_with_a_flush() {
    for closes in [false, true] {
        let mut connection = Connection::new(1 << 20);
        let _gather = gather(&connection);
        send_one(&connection);
        match closes {
            true => connection.shared.close(1000, "").unwrap(),
            false => connection.shared.flush(Duration::ZERO).unwrap(),
        }
        assert_eq!(connection.shared.buffered(), 0);
        connection.is_read(if closes { 106 + 8 } else { 106 });
    }
}
