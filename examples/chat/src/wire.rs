//! The wire made visible: the opening handshake and the frames of somebody's own connection, told on another one.
//!
//! The library keeps a ring of frames for each `/ws?wire` connection. They are taken out of it in steps, which gives each
//! frame a time, and told to the viewer, or kept for one to come.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use serde::Serialize;
use sha1::{Digest, Sha1};
use wireroom::{
    CloseCode, ConnId, ConnMap, Connections, Direction, WatchedFrame, frame::Opcode, handshake::accept_key,
    http::Request,
};

use crate::{hex, messages::json, store::now};

/// Frames that are kept of each connection until somebody looks.
const KEPT: usize = 256;
/// From one step to the next, while something happens.
const STEP: Duration = Duration::from_millis(20);
/// RFC 6455, section 1.3.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const HIDDEN: [&str; 3] = ["cookie", "authorization", "proxy-authorization"];

/// An opening handshake, as it is told.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "handshake")]
pub(crate) struct Handshake {
    request: String,
    response: String,
    key: String,
    guid: &'static str,
    sha1: String,
    accept: String,
}

impl Handshake {
    pub(crate) fn of(request: &Request<'_>) -> Self {
        let key = request.header("sec-websocket-key").unwrap_or_default().to_owned();
        let accept = accept_key(&key);
        let mut head = format!("{} {} HTTP/1.1\r\n", request.method(), request.target());
        for (name, value) in request.headers() {
            let hidden = HIDDEN.iter().any(|hidden| hidden.eq_ignore_ascii_case(name));
            let value = if hidden { "(hidden)".into() } else { String::from_utf8_lossy(value) };
            head.extend([name, ": ", &value, "\r\n"]);
        }
        head.push_str("\r\n");
        let response = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        let sha1 = hex(&Sha1::digest(format!("{key}{GUID}")));
        Self { request: head, response, key, guid: GUID, sha1, accept }
    }
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "frames")]
struct Frames {
    frames: Vec<Frame>,
    missed: u64,
}

#[derive(Debug, Serialize)]
struct Frame {
    n: u64,
    direction: &'static str,
    time: u64,
    fin: bool,
    rsv: u8,
    opcode: u8,
    masked: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    length: u64,
    start: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// What is known of one connection whose frames are kept.
#[derive(Debug)]
struct Watched {
    handshake: Handshake,
    viewer: Option<ConnId>,
    /// Frames without a viewer, each with its number and time.
    kept: VecDeque<(u64, u64, WatchedFrame)>,
    seen: u64,
    missed: u64,
}

/// All connections whose frames are kept.
#[derive(Debug, Default)]
pub(crate) struct Wire {
    watched: ConnMap<Watched>,
    /// The same, in a list to go through.
    ids: Vec<ConnId>,
    step_at: Option<Instant>,
}

impl Wire {
    /// Frames are kept from here on: to be called when the connection opens.
    pub(crate) fn keep(&mut self, id: ConnId, handshake: Handshake, connections: &mut Connections) {
        connections.watch_frames(id, KEPT);
        let watched = Watched { handshake, viewer: None, kept: VecDeque::new(), seen: 0, missed: 0 };
        self.watched.insert(id, watched);
        self.ids.push(id);
    }

    /// Somebody who may, wants to see the frames of `id`. False if they are not kept.
    pub(crate) fn watch(&mut self, id: ConnId, viewer: ConnId, connections: &mut Connections) -> bool {
        let Some(watched) = self.watched.get_mut(id) else { return false };
        if let Some(before) = watched.viewer.replace(viewer) {
            connections.close(before, crate::REPLACED, "replaced");
        }
        tell(connections, viewer, &json(&watched.handshake));
        watched.step(id, connections);
        true
    }

    /// A viewer has gone.
    pub(crate) fn leave(&mut self, id: ConnId, viewer: ConnId) {
        if let Some(watched) = self.watched.get_mut(id).filter(|watched| watched.viewer == Some(viewer)) {
            watched.viewer = None;
        }
    }

    /// The connection itself has closed: its last frames are told, and its viewer is let go.
    pub(crate) fn end(&mut self, id: ConnId, connections: &mut Connections) {
        let Some(mut watched) = self.watched.remove(id) else { return };
        self.ids.retain(|other| *other != id);
        watched.step(id, connections);
        if let Some(viewer) = watched.viewer {
            connections.close(viewer, CloseCode::NORMAL, "closed");
        }
    }

    /// Something happened: frames may have passed.
    pub(crate) fn stir(&mut self, now: Instant) {
        if !self.ids.is_empty() {
            self.step_at.get_or_insert(now + STEP);
        }
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.step_at
    }

    /// Takes the frames that have passed.
    pub(crate) fn step(&mut self, now: Instant, connections: &mut Connections) {
        if self.step_at.is_none_or(|at| at > now) {
            return;
        }
        self.step_at = None;
        for &id in &self.ids {
            if let Some(watched) = self.watched.get_mut(id) {
                watched.step(id, connections);
            }
        }
    }
}

impl Watched {
    fn step(&mut self, id: ConnId, connections: &mut Connections) {
        let missed = connections.frames_missed(id);
        self.seen += missed;
        self.missed += missed;
        let mut time = None;
        while let Some(frame) = connections.poll_frame(id) {
            self.seen += 1;
            if self.kept.len() == KEPT {
                self.kept.pop_front();
                self.missed += 1;
            }
            self.kept.push_back((self.seen, *time.get_or_insert_with(now), frame));
        }
        if let Some(viewer) = self.viewer
            && (!self.kept.is_empty() || self.missed > 0)
        {
            let frames = self.kept.drain(..).map(Frame::from).collect();
            tell(connections, viewer, &json(&Frames { frames, missed: std::mem::take(&mut self.missed) }));
        }
    }
}

impl From<(u64, u64, WatchedFrame)> for Frame {
    fn from((n, time, frame): (u64, u64, WatchedFrame)) -> Self {
        let (header, start) = (frame.header, frame.start());
        let (code, reason) = match start {
            [high, low, reason @ ..] if header.opcode == Opcode::Close => {
                // The start may end within a character.
                let whole = reason.utf8_chunks().next().map_or("", |chunk| chunk.valid());
                (Some(u16::from_be_bytes([*high, *low])), (!whole.is_empty()).then(|| whole.to_owned()))
            }
            _ => (None, None),
        };
        Self {
            n,
            // As the page sees it.
            direction: match frame.direction {
                Direction::Received => "out",
                Direction::Sent => "in",
            },
            time,
            fin: header.fin,
            rsv: header.rsv,
            opcode: header.opcode as u8,
            masked: header.mask.is_some(),
            key: header.mask.map(|key| hex(&key)),
            length: header.payload_length,
            start: hex(start),
            code,
            reason,
        }
    }
}

fn tell(connections: &mut Connections, viewer: ConnId, message: &str) {
    if let Err(wireroom::SendError::BufferFull { .. }) = connections.send(viewer, message) {
        connections.close(viewer, CloseCode::TRY_AGAIN_LATER, "too slow");
    }
}
