//! What the library prints of a peer's bytes ends up in logs: it is one line, without control characters, and not long.

use std::fmt::{Debug, Display};

/// Of what is bounded by a head, a target or a Close.
const LONGEST: usize = 400_000;

pub fn printed(what: &impl Debug) {
    line(&format!("{what:?}"));
}

pub fn told(what: &(impl Debug + Display)) {
    printed(what);
    let text = what.to_string();
    assert!(!text.is_empty(), "nothing is said of {what:?}");
    line(&text);
}

fn line(text: &str) {
    assert!(text.len() <= LONGEST, "{} bytes are printed", text.len());
    assert!(
        !text.contains(|printed: char| printed.is_control() && printed != '\t'),
        "a control character is printed: {text:?}"
    );
}
