//! The work on bytes, without sockets, beside that of other libraries: parsing and checking masked texts, encoding, and
//! the upgrade. Prints Markdown tables; words on the command line choose among `parse`, `encode` and `upgrade`.
//!
//! The libraries take turns, so that a slow spell of the machine hits all of them; a figure is the median of its turns.

mod encode;
mod parse;
mod rounds;
mod upgrade;
mod wire;
#[path = "../../../workload/mod.rs"]
mod workload;

fn main() {
    // Some libraries look for a runtime, though none of this waits.
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let _entered = runtime.enter();
    let words: Vec<String> = std::env::args().skip(1).collect();
    for (name, run) in [("parse", parse::run as fn()), ("encode", encode::run), ("upgrade", upgrade::run)] {
        if words.is_empty() || words.iter().any(|word| word == name) {
            run();
        }
    }
}

/// What our rows are called: the features matter.
const WIREROOM: &str = if cfg!(feature = "simdutf8") { "wireroom+simdutf8" } else { "wireroom" };
