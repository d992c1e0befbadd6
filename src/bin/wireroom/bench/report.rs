//! The figures, for people and for programs.

use std::fmt::Write as _;

use serde_json::json;

use super::{Options, load::Measured};
use crate::{
    failure::{Failure, of_stdout},
    show::{escape_line, json_line, print as to_stdout},
};

const QUANTILES: [(&str, f64); 4] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)];

pub(super) fn print(options: &Options, measured: &Measured) -> Result<(), Failure> {
    let report = if options.json { as_json(options, measured) } else { as_text(options, measured) };
    // Nobody may read it; the exit status tells all the same.
    let written = to_stdout(&report).or_else(|error| of_stdout(&error));
    let errors: u64 = measured.errors.values().sum();
    match errors + measured.unanswered {
        0 => written,
        _ => Err(Failure::here(format_args!("{errors} errors, {} messages without an answer", measured.unanswered))),
    }
}

fn a_second(measured: &Measured) -> f64 {
    measured.answers as f64 / measured.time.as_secs_f64().max(f64::EPSILON)
}

fn as_text(options: &Options, measured: &Measured) -> String {
    let kind = if options.binary { "binary messages" } else { "texts" };
    let how = match options.rate {
        Some(rate) => format!("{rate} a second in all"),
        None => format!("{} in flight on each", options.in_flight),
    };
    let compressed = if options.dial.compress { ", compression offered" } else { "" };
    let seconds = measured.time.as_secs_f64();
    let mut text = format!(
        "{}: {} of {} connections, {kind} of {} bytes, {how}{compressed}\n\
         measured {seconds:.3} s after {:.3} s of warm-up: {} sent, {} answers, {:.1} a second, {:.3} MB/s each way\n",
        escape_line(&options.dial.shown()),
        measured.opened,
        options.connections,
        options.size,
        options.warm_up.as_secs_f64(),
        measured.sent,
        measured.answers,
        a_second(measured),
        a_second(measured) * options.size as f64 / 1e6,
    );
    let from = if options.rate.is_some() { "when it was due" } else { "its sending" };
    _ = write!(text, "latency in ms, from {from} to its answer:");
    if measured.latency.is_empty() {
        text.push_str(" there was none\n");
    } else {
        for (name, quantile) in QUANTILES {
            _ = write!(text, " {name} {:.3}", milliseconds(measured.latency.value_at_quantile(quantile)));
        }
        _ = writeln!(text, " max {:.3}", milliseconds(measured.latency.max()));
    }
    if measured.unanswered > 0 {
        _ = writeln!(text, "without an answer, and not in the latency: {}", measured.unanswered);
    }
    for (what, count) in &measured.errors {
        _ = writeln!(text, "error, {count} times: {}", escape_line(what));
    }
    text
}

fn as_json(options: &Options, measured: &Measured) -> String {
    // `null` where nothing was measured: zero would be the best there is.
    let known = |nanoseconds: f64| (!measured.latency.is_empty()).then_some(nanoseconds / 1e6);
    let mut latency: serde_json::Map<_, _> = QUANTILES
        .iter()
        .map(|(name, quantile)| {
            ((*name).to_owned(), json!(known(measured.latency.value_at_quantile(*quantile) as f64)))
        })
        .collect();
    latency.insert("max".to_owned(), json!(known(measured.latency.max() as f64)));
    latency.insert("mean".to_owned(), json!(known(measured.latency.mean())));
    latency.insert("count".to_owned(), json!(measured.latency.len()));
    let report = json!({
        "url": options.dial.shown(), "connections": options.connections, "opened": measured.opened,
        "kind": if options.binary { "binary" } else { "text" }, "size": options.size, "compress": options.dial.compress,
        "rate": options.rate, "in_flight": if options.rate.is_some() { None } else { Some(options.in_flight) },
        "seconds": measured.time.as_secs_f64(), "warm_up": options.warm_up.as_secs_f64(),
        "sent": measured.sent, "answers": measured.answers, "answers_per_second": a_second(measured),
        "unanswered": measured.unanswered, "errors": measured.errors, "latency_ms": latency,
    });
    json_line(&report)
}

fn milliseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e6
}
