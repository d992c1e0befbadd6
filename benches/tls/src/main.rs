//! What TLS costs: an echo of 16 KiB by wireroom over TLS, by a bare rustls echo on mio, and by wireroom without TLS, in
//! messages for each second of the server's processor; and the memory of connections at rest.
//!
//! `cargo run --release --manifest-path benches/tls/Cargo.toml`, with `-- --connections 2000 --rounds 5 --seconds 3`, say.
//! Each server is a process of its own, which this program starts, and its load is made here.

#![forbid(unsafe_code)]

mod bare;
mod load;
mod server;

use std::{
    error::Error,
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::Duration,
};

const KINDS: [&str; 3] = ["wireroom-tls", "bare-rustls", "wireroom-plain"];

/// A server, which does not outlive this program.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    fn start(kind: &str) -> Result<Self, Box<dyn Error>> {
        let mut child = Command::new(std::env::current_exe()?).args(["serve", kind]).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        let address = line.trim().parse();
        let server = Self { child, address: address.unwrap_or(([0, 0, 0, 0], 0).into()) };
        if server.address.port() == 0 { Err("the server did not start".into()) } else { Ok(server) }
    }

    /// Its processor time so far, in seconds.
    fn processor(&self) -> Result<f64, Box<dyn Error>> {
        // Ticks are hundredths on Linux.
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let fields: Vec<&str> = stat.rsplit(") ").next().ok_or("no fields")?.split(' ').collect();
        Ok((fields[11].parse::<f64>()? + fields[12].parse::<f64>()?) / 100.0)
    }

    /// Its resident memory, in bytes.
    fn resident(&self) -> Result<u64, Box<dyn Error>> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [serve, kind] = &arguments[..]
        && serve == "serve"
    {
        return match kind.as_str() {
            "bare-rustls" => bare::serve(),
            kind => server::serve(kind == "wireroom-tls"),
        };
    }
    let (mut connections, mut rounds, mut seconds, mut streams, mut size) = (2000, 5, 3, 32, 16 * 1024);
    for pair in arguments.chunks(2) {
        let value = pair.get(1).ok_or("a value is missing")?.parse::<usize>()?;
        match pair[0].as_str() {
            "--connections" => connections = value,
            "--rounds" => rounds = value,
            "--seconds" => seconds = value,
            "--streams" => streams = value,
            "--size" => size = value,
            other => return Err(format!("{other}?").into()),
        }
    }
    let mut rates = vec![Vec::new(); KINDS.len()];
    for round in 0..rounds {
        // In turns, so that a machine that changes its speed does so for all.
        for at in 0..KINDS.len() {
            let at = (at + round) % KINDS.len();
            let server = Server::start(KINDS[at])?;
            let mut load = load::Load::new(server.address, KINDS[at], streams, size)?;
            load.run(Duration::from_millis(300))?;
            let before = server.processor()?;
            let messages = load.run(Duration::from_secs(seconds as u64))?;
            let took = server.processor()? - before;
            rates[at].push(messages as f64 / took);
            println!("{:>15}: {messages} messages of {size}, {took:.2} s of the server's processor", KINDS[at]);
        }
    }
    println!("\nmessages of {size} bytes for each second of the server's processor, {streams} connections:");
    for (kind, rates) in KINDS.iter().zip(&mut rates) {
        rates.sort_by(f64::total_cmp);
        println!("{kind:>15}: median {:.0}, {:.0} to {:.0}", rates[rounds / 2], rates[0], rates[rounds - 1]);
    }
    println!("wireroom-tls / bare-rustls: {:.3}", rates[0][rounds / 2] / rates[1][rounds / 2]);
    println!("wireroom-tls / wireroom-plain: {:.3}", rates[0][rounds / 2] / rates[2][rounds / 2]);
    for kind in KINDS {
        if connections == 0 {
            break;
        }
        let server = Server::start(kind)?;
        // What the first connections make for all.
        let _first = load::Load::new(server.address, kind, 8, 64)?;
        std::thread::sleep(Duration::from_millis(300));
        let before = server.resident()?;
        let mut load = load::Load::new(server.address, kind, connections, size)?;
        std::thread::sleep(Duration::from_millis(500));
        let fresh = (server.resident()? - before) / connections as u64;
        load.round()?;
        std::thread::sleep(Duration::from_millis(500));
        let used = (server.resident()? - before) / connections as u64;
        println!(
            "{kind:>15}: {fresh} bytes for each of {connections} at rest; {used} behind an echo of {size} on each"
        );
    }
    Ok(())
}
