//! What a client asks for while it has no transport, or has one that leads to a proxy.

use std::{io, time::Instant};

use super::Stage;
use crate::{
    Cause, ConnectError, SendQueue,
    net::phase::Opening,
    proxy::{ProxyError, Tunnel},
};

impl Opening {
    /// A socket has been asked to connect, or is about to be.
    pub(in crate::net) fn is_connecting(&self) -> bool {
        !self.connected && self.tunnel().is_none()
    }

    fn tunnel(&self) -> Option<&Tunnel> {
        match self.dial.as_ref().map(|dial| &dial.stage) {
            Some(Stage::Tunnel(tunnel)) => Some(tunnel),
            _ => None,
        }
    }

    pub(in crate::net) fn wants_read(&self) -> bool {
        match self.tunnel() {
            Some(tunnel) => tunnel.wants_read(),
            None => self.connected && self.handshake.wants_read(),
        }
    }

    pub(in crate::net) fn queue(&mut self) -> Option<&mut SendQueue> {
        match self.dial.as_mut().map(|dial| &mut dial.stage) {
            Some(Stage::Tunnel(tunnel)) => Some(tunnel.transmit()),
            _ if self.connected => Some(self.handshake.transmit()),
            _ => None,
        }
    }

    pub(in crate::net) fn poll_timeout(&self) -> Option<Instant> {
        let attempt = self.dial.as_ref().and_then(|dial| dial.attempt).map(|(_, until)| until);
        self.handshake.poll_timeout().into_iter().chain(attempt).min()
    }

    pub(in crate::net) fn handle_timeout(&mut self, now: Instant) {
        self.handshake.handle_timeout(now);
        if let Some(dial) = &mut self.dial
            && dial.attempt.is_some_and(|(_, until)| until <= now)
        {
            dial.fail(io::ErrorKind::TimedOut);
        }
    }

    /// Why it ends when its transport fails: what the server has said counts for more.
    pub(in crate::net) fn lost(&mut self, error: io::ErrorKind) -> Cause {
        match self.tunnel() {
            Some(_) => ConnectError::Proxy(ProxyError::Io(error)).into(),
            None => self.handshake.refused().map_or(Cause::Io(error), Cause::Handshake),
        }
    }

    pub(in crate::net) fn handle_eof(&mut self) {
        match self.dial.as_mut().map(|dial| &mut dial.stage) {
            Some(Stage::Tunnel(tunnel)) => tunnel.handle_eof(),
            _ => self.handshake.handle_eof(),
        }
    }
}
