//! A browser's request to upgrade is parsed, and the answer built.

use std::hint::black_box;

use crate::{
    WIREROOM,
    rounds::{Row, table},
    wire::{Wire, now},
    workload::opening::{Opening, REQUEST},
};

pub fn run() {
    let mut opening = Opening::new();
    let rows = vec![
        Row::new(WIREROOM).cell(1, move || assert!(opening.run() > 100)),
        Row::new("sockudo-ws").cell(1, || {
            let parsed = sockudo_ws::handshake::parse_request(black_box(REQUEST));
            let (request, _) = parsed.expect("in order").expect("complete");
            let key = sockudo_ws::handshake::generate_accept_key(request.key);
            black_box(sockudo_ws::handshake::build_response(&key, None, None));
        }),
        Row::new("tungstenite (with its buffer of 128 KiB)").cell(1, || {
            black_box(tungstenite::accept(Wire::once(black_box(REQUEST))).map_err(|_| ()).expect("in order"));
        }),
        Row::new("tokio-websockets").cell(1, || {
            let builder = tokio_websockets::ServerBuilder::new();
            black_box(now(builder.accept(Wire::once(black_box(REQUEST)))).map_err(|_| ()).expect("in order"));
        }),
    ];
    table("Parse a request to upgrade, build the answer", &["one"], rows);
}
