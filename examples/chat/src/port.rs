//! What the one port answers: a file, a refusal, or a WebSocket of one of three kinds.

use std::cell::{Cell, OnceCell, RefCell};

use wireroom::{
    ConnId, ConnMap,
    handshake::Verdict,
    http::{ClientAddr, ForwardedHeader, Network, Request, Response, TrustedProxies},
};

use crate::{
    files::{Files, not_allowed, not_found, secured},
    wire::Handshake,
};

/// When to come back to a server that is full, in seconds.
const RETRY_AFTER: &str = "5";

/// Which WebSocket it is.
#[derive(Debug)]
pub(crate) enum Door {
    /// `/ws`; as `/ws?wire` with its opening handshake.
    Chat(Option<Handshake>),
    /// `/wire`
    Wire,
    /// `/live/ws`
    Live,
}

/// Shared by the loop, which asks it about each request, and the chat, which learns from it who came through which door.
#[derive(Debug)]
pub(crate) struct Port {
    files: Files,
    /// Our own page's origins. They are not read off the request's Host: whoever points a name of theirs at this address
    /// chooses that (DNS rebinding). Known when the port is.
    own_origins: OnceCell<Vec<String>>,
    allowed_origins: Vec<String>,
    proxies: TrustedProxies,
    max_connections: usize,
    open: Cell<usize>,
    /// The log has it that nobody more is let in; it need not have it each time.
    told_full: Cell<bool>,
    draining: Cell<bool>,
    /// Accepted, and not open yet.
    arrivals: RefCell<ConnMap<Door>>,
}

impl Port {
    pub(crate) fn new(allowed_origins: Vec<String>, trusted: &[Network], max_connections: usize) -> Self {
        Self {
            files: Files::new(),
            own_origins: OnceCell::new(),
            allowed_origins,
            proxies: TrustedProxies::networks(ForwardedHeader::XForwardedFor, trusted.iter().copied()),
            max_connections,
            open: Cell::new(0),
            told_full: Cell::new(false),
            draining: Cell::new(false),
            arrivals: RefCell::default(),
        }
    }

    /// The origins under which the page itself is served. Only the first call counts.
    pub(crate) fn set_own_origins(&self, origins: Vec<String>) {
        self.own_origins.get_or_init(|| origins);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.get()
    }

    pub(crate) fn drain(&self) {
        self.draining.set(true);
    }

    /// A WebSocket has opened.
    pub(crate) fn opened(&self, id: ConnId) -> Option<Door> {
        self.open.set(self.open.get() + 1);
        self.arrivals.borrow_mut().remove(id)
    }

    /// A WebSocket has closed.
    pub(crate) fn closed(&self) {
        self.open.set(self.open.get().saturating_sub(1));
        self.told_full.set(false);
    }

    pub(crate) fn answer(&self, id: ConnId, request: &Request<'_>) -> Verdict {
        let kept = || request.query() == Some("wire");
        let door = match request.path() {
            "/ws" => Door::Chat(kept().then(|| Handshake::of(request))),
            "/wire" => Door::Wire,
            "/live/ws" => Door::Live,
            _ if request.is_upgrade() => return not_found().into(),
            _ => return self.files.answer(request, self.is_draining()).into(),
        };
        if !request.is_upgrade() {
            return match request.method() {
                "GET" | "HEAD" => secured(Response::text(426, "this is a WebSocket\n")).into(),
                _ => not_allowed("GET").into(),
            };
        }
        let own: &[String] = self.own_origins.get().map_or(&[], Vec::as_slice);
        let origins: Vec<&String> = own.iter().chain(&self.allowed_origins).collect();
        let verdict = match request.allow_origins(&origins) {
            Verdict::Respond(refusal) => return secured(refusal).into(),
            verdict => verdict,
        };
        if self.open.get() >= self.max_connections {
            if !self.told_full.replace(true) {
                log::warn!("{} connections: nobody more is let in (--max-connections)", self.open.get());
            }
            return secured(Response::text(503, "full\n")).header("Retry-After", RETRY_AFTER).into();
        }
        log::debug!("{id}: {} {}", request.path(), told(&request.client_addr(&self.proxies)));
        self.arrivals.borrow_mut().insert(id, door);
        verdict
    }
}

/// Who connects, as far as it is known.
fn told(client: &ClientAddr<'_>) -> String {
    match client.ip() {
        Some(ip) => format!("for {ip}, by way of {} proxies that say so", client.proxies()),
        None => format!("for somebody: {:?}", client.node()),
    }
}
