//! One port for a page, a health check, Server-Sent Events, an answer that comes later, and a WebSocket.
//!
//! `cargo run --example http_and_ws`, then open the address it prints.

use std::{error::Error, time::Duration};

use wireroom::{
    Config, Event, EventLoop,
    handshake::Verdict,
    http::{Request, Response},
};

const PAGE: &str = r#"<!doctype html><title>wireroom</title><h1>wireroom</h1><pre id="log"></pre><script>
const log = text => document.getElementById("log").append(text, "\n");
new EventSource("/events").onmessage = event => log("event: " + event.data);
fetch("/later").then(answer => answer.text()).then(log);
const socket = new WebSocket("ws://" + location.host + "/ws");
socket.onopen = () => socket.send("hello");
socket.onmessage = event => log("echo: " + event.data);
</script>"#;

fn main() -> Result<(), Box<dyn Error>> {
    let mut event_loop = EventLoop::new()?;
    let handle = event_loop.handle();
    let (later, stream) = (handle.clone(), std::sync::mpsc::channel());
    let (streams, subscribers) = stream;

    // Every request ends up here, whether it asks to upgrade or not.
    let verify = move |id, request: &Request<'_>| -> Verdict {
        match request.path() {
            "/" => Response::html(PAGE).into(),
            "/healthz" => Response::text(200, "ok\n").into(),
            "/events" => {
                let _ = streams.send(id);
                Verdict::Stream(Response::new(200).header("Content-Type", "text/event-stream"))
            }
            "/later" => {
                let later = later.clone();
                std::thread::spawn(move || {
                    std::thread::sleep(Duration::from_millis(500));
                    later.answer(id, Response::text(200, "this took half a second\n"))
                });
                Verdict::Defer
            }
            "/ws" => match request.host() {
                Some(host) => request.allow_origins(&[format!("http://{host}")]),
                None => request.reject(400, "no Host\n"),
            },
            _ => Response::text(404, "nothing here\n").into(),
        }
    };
    let address = event_loop.listen(([127, 0, 0, 1], 9004).into(), Config::default(), verify)?;
    println!("open http://{address}/");

    let (mut listening, mut count) = (Vec::new(), 0);
    loop {
        event_loop.turn(Some(Duration::from_secs(1)), |connections, id, event| {
            if let Event::Message(message) = event {
                let _ = connections.send(id, message);
            }
        })?;
        listening.extend(subscribers.try_iter());
        count += 1;
        let event = format!("data: turn {count}\n\n");
        // A subscriber that has gone, or does not keep up, is forgotten.
        listening.retain(|id| event_loop.connections().stream(*id, event.as_bytes()).is_ok());
    }
}
