//! Compiles `server.cpp` with the sources of uWebSockets and uSockets that the crate libuwebsockets-sys carries. Needs a C++
//! compiler and zlib's headers. The flags are those of its own Makefile; `-march=native` where Rust has `target-cpu=native`.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

fn main() {
    println!("cargo::rerun-if-changed=server.cpp");
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let sources = sources();
    let (sockets, websockets) = (sources.join("uSockets/src"), sources.join("src"));
    let mut objects = Vec::new();
    for (i, file) in c_files(&sockets).into_iter().enumerate() {
        let object = out.join(format!("{i}.o"));
        run(compiler(false).arg("-I").arg(&sockets).arg("-c").arg(file).arg("-o").arg(&object));
        objects.push(object);
    }
    let server = out.join("uwebsockets-server");
    let mut link = compiler(true);
    link.arg("-I").arg(&sockets).arg("-I").arg(&websockets).arg("server.cpp").args(objects);
    run(link.arg("-lz").arg("-o").arg(&server));
    println!("cargo::rustc-env=UWEBSOCKETS_SERVER={}", server.display());
}

/// A compiler with the flags of all files.
fn compiler(cpp: bool) -> Command {
    let mut command = cc::Build::new().cpp(cpp).cargo_metadata(false).get_compiler().to_command();
    command.args(["-O3", "-flto", "-DNDEBUG", "-DLIBUS_NO_SSL", if cpp { "-std=c++20" } else { "-std=c11" }]);
    // Of GCC 12 about code that is none of ours.
    command.arg("-w");
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    if flags.contains("target-cpu=native") {
        command.arg("-march=native");
    }
    command
}

/// Where cargo has unpacked the crate.
fn sources() -> PathBuf {
    let cargo = env::var_os("CARGO").expect("cargo sets it");
    let output = Command::new(cargo).args(["metadata", "--format-version", "1", "--locked"]).output();
    let output = output.expect("cargo metadata");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    let end = "/uWebSockets/";
    // The one path in all of it: `"manifest_path":".../libuwebsockets-sys-0.0.10/Cargo.toml"`.
    let path = metadata.split('"').find(|word| word.contains("/libuwebsockets-sys-") && word.ends_with("/Cargo.toml"));
    Path::new(path.expect("the crate is in the lock file")).with_file_name(end.trim_matches('/'))
}

fn c_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for folder in [folder.to_path_buf(), folder.join("eventing"), folder.join("crypto")] {
        let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        files.extend(
            entries.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "c")),
        );
    }
    files.sort();
    files
}

fn run(command: &mut Command) {
    let status = command.status().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?}: {status}");
}
