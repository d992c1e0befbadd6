//! The loop's own counts, against those of the handler.

use wireroom::{CloseFrame, Hub};

use super::Server;

/// As `CloseCounts` has it: 1005 for a Close frame without a code, 1006 for none, 0 for those that it does not tell apart.
pub(super) fn code(frame: Option<&CloseFrame>) -> u16 {
    let code = frame.map_or(1006, |frame| frame.code.map_or(1005, |code| code.as_u16()));
    if code < 1016 { code } else { 0 }
}

impl Server {
    /// All connections have ended.
    pub(super) fn hold_against_stats(&mut self, hub: &mut Hub) {
        let stats = hub.event_loop().connections().stats();
        let report = &mut self.report;
        let ended = |label: &str| report.count(&format!("ended:{label}"));
        let mut pairs = vec![
            ("opened".to_owned(), stats.opened, report.count("opened")),
            ("unopened".into(), stats.unopened, report.count("unopened")),
            ("accepted".into(), stats.accepted, report.count("opened") + report.count("unopened")),
            ("closed".into(), report.count("closed"), report.count("opened")),
            ("messages_received".into(), stats.messages_received, report.count("heard")),
            ("messages_sent".into(), stats.messages_sent, report.count("accepted")),
            ("commands_refused".into(), stats.commands_refused, 0),
            ("accept_errors".into(), stats.accept_errors, 0),
            ("refused_by_total".into(), stats.refused_by_total, 0),
            ("refused_by_address".into(), stats.refused_by_address, 0),
            ("refused_unanswered".into(), stats.refused_unanswered, 0),
            ("dropped by policy".into(), stats.dropped_newest + stats.dropped_oldest + stats.replaced, 0),
            ("handshakes_timed_out".into(), stats.handshakes_timed_out, ended("handshake:timeout")),
            ("handshakes_cut_off".into(), stats.handshakes_cut_off, ended("handshake:eof")),
            ("handshakes_failed".into(), stats.handshakes_failed, 0),
            ("handshakes_refused".into(), stats.handshakes_refused.total(), report.sum("ended:http:")),
            ("causes.clean".into(), stats.causes.clean, ended("clean")),
            ("causes.failed".into(), stats.causes.failed, report.sum("ended:failed:")),
            ("causes.eof".into(), stats.causes.eof, ended("eof")),
            ("causes.io".into(), stats.causes.io, report.sum("ended:io:")),
            ("causes.keepalive".into(), stats.causes.keepalive, ended("timeout:keepalive")),
            ("causes.close_timeout".into(), stats.causes.close_timeout, ended("timeout:close")),
            ("causes.slow_consumer".into(), stats.causes.slow_consumer, 0),
            ("causes.aborted".into(), stats.causes.aborted, ended("aborted")),
            ("causes.served".into(), stats.causes.served, ended("served")),
        ];
        for (status, told) in stats.handshakes_refused.iter() {
            pairs.push((format!("handshakes_refused {status}"), told, ended(&format!("http:{status}"))));
        }
        for (side, counts) in [("sent", stats.closes_sent), ("received", stats.closes_received)] {
            for (code, told) in counts.iter().chain([(0, counts.others())]) {
                pairs.push((format!("closes_{side} {code}"), told, report.count(&format!("{side}:{code}"))));
            }
        }
        for (name, told, counted) in pairs {
            report.check(told == counted, || format!("Stats::{name} is {told}, counted were {counted}"));
        }
    }
}
