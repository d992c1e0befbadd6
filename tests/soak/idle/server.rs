//! A hub whose connections say nothing.

use std::{
    net::SocketAddr,
    sync::mpsc,
    time::{Duration, SystemTime},
};

use wireroom::{Config, Event, EventLoop, Hub};

use crate::{Failure, process, report::Report};

pub(crate) fn run() -> Result<bool, Failure> {
    let mut event_loop = EventLoop::new()?;
    let mut addresses = Vec::new();
    // An address of the peer has 28,000 ports by default: several, that they do not run out.
    for last in 1..=4 {
        let address = SocketAddr::from(([127, 0, 0, last], 0));
        let verify = |_, request: &wireroom::http::Request<'_>| request.allow_any_origin();
        addresses.push(event_loop.listen(address, Config::default(), verify)?.to_string());
    }
    let mut hub = Hub::new(event_loop);
    let mut report = Report::new();
    report.line(format_args!("addresses {}", addresses.join(",")));
    report.flush();
    let (sender, commands) = mpsc::channel();
    process::commands_with(sender, {
        let handle = hub.event_loop().handle();
        move || handle.wake()
    });
    let mut ended = None;
    loop {
        // Nothing but its timers and its sockets wakes it.
        hub.turn(None, |socket, event| {
            if let Event::Closed(closed) = event {
                ended = Some(format!("{}: {closed}", socket.id()));
            }
        })?;
        if let Some(ended) = ended.take() {
            report.fault(ended);
        }
        while let Ok(command) = commands.try_recv() {
            match command.as_str() {
                "broadcast" => {
                    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_nanos();
                    let delivery = hub.emit(format!("{now:020}").as_str());
                    report.check(delivery.dropped == 0, || format!("{delivery:?}"));
                    hub.event_loop().flush();
                }
                "report" => tell(&mut hub, &mut report),
                _ => return Ok(true),
            }
        }
    }
}

fn tell(hub: &mut Hub, report: &mut Report) {
    let stats = hub.event_loop().connections().stats();
    let processor: Duration = process::processor_time();
    report.tell_counts(
        "report",
        &[
            ("open", stats.open as u64),
            ("resident", process::memory_and_threads().0 as u64),
            ("descriptors", process::descriptors() as u64),
            ("processor", processor.as_nanos() as u64),
            ("bytes_sent", stats.bytes_sent),
        ],
    );
}
