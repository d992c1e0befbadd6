//! Each line of the table of `wireroom::rooms`: the call, whom it reaches, and the bytes they get.

use wireroom::{PreparedMessage, SendStatus};

use crate::stage::{HI, NOTHING, Stage, queued};

#[test]
fn socket_join_and_leave_put_nothing_on_the_wire() {
    let mut stage = Stage::new(2);
    stage.says(0, |socket| {
        assert_eq!(socket.join("lobby"), Ok(true));
        assert_eq!(socket.join("lobby"), Ok(false));
        assert_eq!(socket.join("attic"), Ok(true));
        assert!(socket.in_room("lobby"));
        assert_eq!(socket.rooms().collect::<Vec<_>>(), ["lobby", "attic"]);
        assert!(socket.leave("lobby"));
        assert!(!socket.leave("lobby"));
        assert_eq!(socket.rooms().collect::<Vec<_>>(), ["attic"]);
    });
    assert_eq!(stage.received(), [NOTHING, NOTHING]);
}

#[test]
fn socket_emit_reaches_that_socket() {
    let mut stage = Stage::new(2);
    assert_eq!(stage.says(1, |socket| socket.emit("hi")), Ok(SendStatus::Queued));
    assert_eq!(stage.received(), [NOTHING, HI]);
}

#[test]
fn io_to_room_emit_reaches_everybody_in_the_room() {
    let mut stage = Stage::new(4);
    stage.join("lobby", &[0, 1, 2]);
    assert_eq!(stage.says(0, |socket| socket.io().to("lobby").emit("hi")), queued(3));
    assert_eq!(stage.received(), [HI, HI, HI, NOTHING]);
    // The same between turns.
    assert_eq!(stage.hub.to("lobby").emit("hi"), queued(3));
    assert_eq!(stage.received(), [HI, HI, HI, NOTHING]);
    assert_eq!(stage.hub.to("nobody is here").emit("hi"), queued(0));
    assert_eq!(stage.received(), [NOTHING; 4]);
}

#[test]
fn socket_broadcast_emit_reaches_everyone_but_the_sender() {
    let mut stage = Stage::new(3);
    assert_eq!(stage.says(1, |socket| socket.broadcast().emit("hi")), queued(2));
    assert_eq!(stage.received(), [HI, NOTHING, HI]);
}

#[test]
fn socket_to_room_emit_reaches_the_room_but_the_sender() {
    let mut stage = Stage::new(4);
    stage.join("lobby", &[0, 1, 2]);
    assert_eq!(stage.says(1, |socket| socket.to("lobby").emit("hi")), queued(2));
    assert_eq!(stage.received(), [HI, NOTHING, HI, NOTHING]);
    assert_eq!(stage.says(1, |socket| socket.broadcast().to("lobby").emit("hi")), queued(2));
    assert_eq!(stage.received(), [HI, NOTHING, HI, NOTHING]);
    assert_eq!(stage.says(1, |socket| socket.to("lobby").including_me().emit("hi")), queued(3));
    assert_eq!(stage.received(), [HI, HI, HI, NOTHING]);
    // Who is not in the room may speak to it.
    assert_eq!(stage.says(3, |socket| socket.to("lobby").including_me().emit("hi")), queued(3));
    assert_eq!(stage.received(), [HI, HI, HI, NOTHING]);
}

#[test]
fn several_rooms_are_a_union_and_except_takes_away() {
    let mut stage = Stage::new(4);
    stage.join("red", &[0, 1]);
    stage.join("blue", &[1, 2]);
    stage.join("muted", &[2]);
    assert_eq!(stage.says(3, |socket| socket.to("red").to("blue").emit("hi")), queued(3));
    assert_eq!(stage.received(), [HI, HI, HI, NOTHING]);
    assert_eq!(stage.says(0, |socket| socket.to("red").to("blue").except("muted").emit("hi")), queued(1));
    assert_eq!(stage.received(), [NOTHING, HI, NOTHING, NOTHING]);
    let first = stage.ids[0];
    assert_eq!(stage.hub.everyone().except("muted").except(first).emit("hi"), queued(2));
    assert_eq!(stage.received(), [NOTHING, HI, NOTHING, HI]);
    assert_eq!(stage.hub.to("red").to(stage.ids[3]).to(stage.ids[0]).emit("hi"), queued(3));
    assert_eq!(stage.received(), [HI, HI, NOTHING, HI]);
}

#[test]
fn io_emit_reaches_everyone() {
    let mut stage = Stage::new(3);
    assert_eq!(stage.says(2, |socket| socket.io().emit("hi")), queued(3));
    assert_eq!(stage.received(), [HI, HI, HI]);
}

#[test]
fn a_private_message_reaches_one_id_and_nobody_can_join_that_room() {
    let mut stage = Stage::new(3);
    let bob = stage.ids[1];
    stage.says(2, |socket| socket.join(&bob.to_string()).expect("a name like any other"));
    assert_eq!(stage.says(0, |socket| socket.to(bob).emit("hi")), queued(1));
    assert_eq!(stage.received(), [NOTHING, HI, NOTHING]);
    assert_eq!(stage.says(0, |socket| socket.io().to(bob).emit("hi")), queued(1));
    assert_eq!(stage.received(), [NOTHING, HI, NOTHING]);
    assert_eq!(stage.says(1, |socket| socket.to(bob).emit("hi")), queued(0), "all in my room but me");
    assert_eq!(stage.received(), [NOTHING; 3]);
}

#[test]
fn fetch_sockets_lists_the_members() {
    let mut stage = Stage::new(3);
    stage.join("lobby", &[0, 2]);
    let ids = stage.ids.clone();
    assert_eq!(stage.hub.rooms().members("lobby"), [ids[0], ids[2]]);
    assert_eq!(stage.hub.to("lobby").except(ids[0]).ids(), [ids[2]]);
    assert_eq!(stage.hub.everyone().ids(), ids);
    assert_eq!(stage.hub.rooms().rooms_of(ids[2]).collect::<Vec<_>>(), ["lobby"]);
    assert_eq!(stage.hub.rooms().names().collect::<Vec<_>>(), ["lobby"]);
}

#[test]
fn a_binary_message_keeps_its_kind() {
    let mut stage = Stage::new(1);
    assert_eq!(stage.hub.emit(&[1, 2, 3]), queued(1));
    assert_eq!(stage.received(), [[0x82, 0x03, 1, 2, 3]]);
}

#[test]
fn the_page_of_the_rooms_spells_the_frames_right() {
    let page = include_str!("../../src/rooms/mod.rs");
    let spelled = |whose: &str| -> Vec<u8> {
        let line = page.lines().find_map(|line| line.strip_prefix("//! ")?.strip_prefix(whose)).expect("the line");
        line.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).expect("two digits")).collect()
    };
    assert_eq!(spelled("ours  "), HI);
    assert_eq!(spelled("theirs  "), PreparedMessage::new(r#"42["chat","hi"]"#).as_frame());
    assert_eq!(page.matches(r#"| `81 02 hi` | `81 0f 42["chat","hi"]` |"#).count(), 9);
}
