//! Runs files through a target without a fuzzer: `cargo run --release --example replay -- recv_cuts corpus/recv_cuts ..`

use std::{env, fs, path::PathBuf, process::ExitCode};

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let name = arguments.next().unwrap_or_default();
    let Some((_, run)) = wireroom_fuzz::TARGETS.into_iter().find(|(target, _)| *target == name) else {
        eprintln!(
            "usage: replay TARGET (FILE | DIRECTORY)..; the targets are {:?}",
            wireroom_fuzz::TARGETS.map(|it| it.0)
        );
        return ExitCode::from(2);
    };
    let mut files = Vec::new();
    for path in arguments.map(PathBuf::from) {
        match fs::read_dir(&path) {
            Ok(entries) => files.extend(entries.map(|entry| entry.expect("an entry").path())),
            Err(_) => files.push(path),
        }
    }
    for file in &files {
        run(&fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display())));
    }
    println!("{name}: {} inputs", files.len());
    ExitCode::SUCCESS
}
