//! A restart that refuses nobody, see `unix.rs`: `cargo run --example hot_restart -- 127.0.0.1:9007`

#[cfg(unix)]
mod unix;

#[cfg(unix)]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    unix::main()
}

#[cfg(not(unix))]
fn main() {
    eprintln!("listeners are handed over on Unix");
}
