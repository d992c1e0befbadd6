//! The lines that state what was measured.

use std::time::Duration;

/// Prints a figure of a promise beside its bound, and holds it below.
pub(crate) fn below(promise: u8, what: &str, value: f64, bound: f64, unit: &str) {
    let digits = if bound < 1.0 { 3 } else { 2 };
    let unit = if unit.is_empty() { String::new() } else { format!(" {unit}") };
    println!("promise {promise}: {what}: {value:.digits$}{unit} (< {bound}{unit})");
    assert!(value < bound, "promise {promise}: {what}: {value}{unit}, and less than {bound}{unit} is promised");
}

/// Prints what was seen where there is nothing to measure.
pub(crate) fn states(promise: u8, what: impl std::fmt::Display) {
    println!("promise {promise}: {what}");
}

/// The shortest of a few waits: on a machine that has more to do, one may be long for no fault of the testee.
pub(crate) fn best_of(times: usize, mut wait: impl FnMut() -> Duration) -> Duration {
    (0..times).map(|_| wait()).min().unwrap_or_default()
}
