//! Becomes the server that `build.rs` has compiled, which keeps the process id.

use std::{os::unix::process::CommandExt, process::Command};

fn main() {
    let error = Command::new(env!("UWEBSOCKETS_SERVER")).args(std::env::args_os().skip(1)).exec();
    eprintln!("{}: {error}", env!("UWEBSOCKETS_SERVER"));
    std::process::exit(1);
}
