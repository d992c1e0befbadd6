//! The opening handshakes in the loop: what a connection does with what is read before it is open.

use std::time::Instant;

use super::{
    ConnId,
    accept::Verify,
    dial,
    phase::{Phase, Slot},
    shutdown,
};
use crate::{
    Cause, Connection, RecvBuffer,
    handshake::{Outcome, Progress},
    http::Transport,
};

/// The server's side before the upgrade. Answers the cause when it has come to its end.
pub(super) fn serve(
    slot: &mut Slot,
    id: ConnId,
    rx: &mut RecvBuffer,
    now: Instant,
    verify: Option<&mut Verify>,
    draining: Option<u64>,
) -> Option<Cause> {
    let Phase::Serving { handshake, config } = &mut slot.phase else { return None };
    let progress = match verify {
        Some(verify) => handshake.poll(rx, now, &mut |request| match draining {
            Some(retry_after) if request.is_upgrade() => shutdown::refusal(retry_after),
            _ => verify(id, request),
        }),
        None => handshake.poll(rx, now, &mut |_| crate::http::Response::new(503).into()),
    };
    if let Progress::Upgraded(accepted) = progress {
        slot.phase = Phase::Open(Connection::server(*accepted, config.clone(), now));
        return None;
    }
    if handshake.transport() != Transport::Close {
        return None;
    }
    Some(match handshake.outcome() {
        Some(Outcome::Failed(error)) => Cause::Handshake(error),
        Some(Outcome::Served) | None => Cause::Served,
    })
}

/// The client's side before it is open.
pub(super) fn open(slot: &mut Slot, rx: &mut RecvBuffer, now: Instant) -> Option<Cause> {
    match dial::carry(slot, rx) {
        Ok(true) => {}
        Ok(false) => return None,
        Err(cause) => return Some(cause),
    }
    let Phase::Opening(opening) = &mut slot.phase else { return None };
    match opening.handshake.poll(rx) {
        Ok(None) => None,
        Ok(Some(established)) => {
            if let Some(keys) = opening.keys.take() {
                let config = opening.config.clone();
                slot.phase = Phase::Open(Connection::client(established, keys, config, now));
            }
            None
        }
        Err(error) => dial::redirect(slot, rx, error, now),
    }
}
