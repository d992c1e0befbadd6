//! wireroom's echo.

use std::error::Error;

use wireroom::{Config, Event, EventLoop, ListenOptions, ServerTls};

pub(crate) const CHAIN: &[u8] = include_bytes!("../../../tests/tls/certs/server.pem");
pub(crate) const KEY: &[u8] = include_bytes!("../../../tests/tls/certs/server.key");

pub(crate) fn serve(tls: bool) -> Result<(), Box<dyn Error>> {
    let mut event_loop = EventLoop::new()?;
    let mut options = ListenOptions::new();
    if tls {
        options = options.tls(ServerTls::from_pem(CHAIN, KEY)?);
    }
    let verify = |_, request: &wireroom::http::Request<'_>| request.allow_any_origin();
    let address = event_loop.listen_with(([127, 0, 0, 1], 0).into(), options, Config::default(), verify)?;
    println!("{address}");
    loop {
        event_loop.turn(None, |connections, id, event| {
            if let Event::Message(message) = event {
                let _ = connections.send(id, message);
            }
        })?;
    }
}
