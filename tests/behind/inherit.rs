//! Listening sockets that a process was started with. Each case is a process of its own: the environment and the numbers of
//! descriptors are all of a process's.

use std::{
    env,
    net::{TcpListener, UdpSocket},
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::net::UnixListener,
    },
    process::{Command, Stdio},
};

use wireroom::{Config, Inherited, ListenOptions};

use crate::support::{PATIENCE, Peer, UPGRADE, World, any, loopback};

/// Runs this test in a process that has these descriptors as 3 and 4, after these shell commands; answers what it printed.
fn started(case: &str, environment: &str, descriptors: [OwnedFd; 2]) -> String {
    let [first, second] = descriptors;
    let script = format!(
        "exec 3<&0 4<&2 2>&1 </dev/null; {environment} exec \"$0\" --exact inherit::case --ignored --nocapture"
    );
    let output = Command::new("sh")
        .args(["-c", &script])
        .arg(env::current_exe().unwrap())
        .env("WIREROOM_CASE", case)
        .env("RUST_BACKTRACE", "0")
        .stdin(first)
        .stderr(second)
        .stdout(Stdio::piped())
        .output()
        .unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{case}: {told}");
    told
}

fn tcp() -> TcpListener {
    TcpListener::bind(loopback()).unwrap()
}

const BOTH: &str = "export LISTEN_FDS=2 LISTEN_PID=$$ LISTEN_FDNAMES=web:admin;";

/// What the started process does.
#[test]
#[ignore = "a process for the other tests"]
fn case() {
    let Some(case) = env::var_os("WIREROOM_CASE") else { return };
    let inherited = Inherited::from_env();
    match case.to_str().unwrap() {
        "none" => assert!(inherited.unwrap().is_empty()),
        "error" => println!("error: {}", inherited.unwrap_err()),
        "names" => {
            let inherited = inherited.unwrap();
            println!("names: {:?}", inherited.names().collect::<Vec<_>>());
            assert_eq!(inherited.len(), 2);
            assert!(env::var_os("LISTEN_FDS").is_none() && env::var_os("LISTEN_PID").is_none());
            assert!(Inherited::from_env().unwrap().is_empty(), "they are given once");
        }
        "serve" => {
            let mut inherited = inherited.unwrap();
            assert!(inherited.take_named("nobody").unwrap().is_none());
            let admin = inherited.take_named("admin").unwrap().expect("a socket");
            assert!(inherited.take_named("admin").unwrap().is_none(), "it was taken");
            let web = inherited.take(0).unwrap().expect("a socket");
            assert!(inherited.take(0).unwrap().is_none() && inherited.take(2).unwrap().is_none());
            let mut world = World::new();
            let web = world.event_loop.listen_on(web, ListenOptions::new(), Config::default(), any).unwrap();
            let admin = world.event_loop.listen_on(admin, ListenOptions::new(), Config::default(), any).unwrap();
            println!("web: {web:?} admin: {admin:?}");
            // One client is there already, on either.
            world.until("two clients", |world| world.event_loop.connections().stats().opened == 2);
            // No child of ours has them.
            for number in [3, 4] {
                let links = format!("readlink /proc/self/fd/{number} || true");
                let child = Command::new("sh").args(["-c", &links]).output().unwrap();
                assert!(!String::from_utf8_lossy(&child.stdout).starts_with("socket:"), "{number}: {child:?}");
            }
        }
        "wrong" => {
            let mut inherited = inherited.unwrap();
            for number in 0..2 {
                println!("error: {}", inherited.take(number).unwrap_err());
            }
        }
        other => panic!("{other}"),
    }
}

#[test]
fn nothing_is_inherited_without_a_word_or_by_another_process() {
    for environment in [
        "",
        "export LISTEN_FDS=;",
        "export LISTEN_FDS=0 LISTEN_PID=$$;",
        "export LISTEN_FDS=2 LISTEN_PID=1;",
        "export LISTEN_PID=$$ LISTEN_FDNAMES=a:b;",
    ] {
        started("none", environment, [tcp().into(), tcp().into()]);
    }
}

#[test]
fn the_variables_are_consumed_and_names_kept() {
    let names = |environment| started("names", environment, [tcp().into(), tcp().into()]);
    assert!(names(BOTH).contains(r#"names: ["web", "admin"]"#));
    assert!(names("export LISTEN_FDS=2 LISTEN_PID=$$;").contains(r#"names: ["unknown", "unknown"]"#));
    // From a parent that is no service manager.
    assert!(names("export LISTEN_FDS=2 LISTEN_FDNAMES=a:;").contains(r#"names: ["a", ""]"#));
}

#[test]
fn what_makes_no_sense_is_an_error() {
    for (environment, told) in [
        ("export LISTEN_FDS=two LISTEN_PID=$$;", "LISTEN_FDS=\"two\": not a number"),
        ("export LISTEN_FDS=-1 LISTEN_PID=$$;", "LISTEN_FDS=\"-1\": not a number"),
        ("export LISTEN_FDS=1025 LISTEN_PID=$$;", "LISTEN_FDS=1025: at most 1024 descriptors"),
        ("export LISTEN_FDS=2 LISTEN_PID=me;", "LISTEN_PID=\"me\": not a number"),
        ("export LISTEN_FDS=2 LISTEN_PID=$$ LISTEN_FDNAMES=web;", "names 1 descriptors, LISTEN_FDS=2"),
        ("export LISTEN_FDS=2 LISTEN_PID=$$ LISTEN_FDNAMES=a:b:c;", "names 3 descriptors, LISTEN_FDS=2"),
    ] {
        let error = started("error", environment, [tcp().into(), tcp().into()]);
        assert!(error.contains(told), "{environment}: {error}");
    }
}

#[test]
fn inherited_sockets_serve_over_tcp_and_unix_domain() {
    let path = env::temp_dir().join(format!("wireroom-inherit-{}.sock", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let (web, admin) = (tcp(), UnixListener::bind(&path).unwrap());
    let address = web.local_addr().unwrap();
    // They come before the server is started, and wait.
    let mut clients = (Peer::connect(address), Peer::new(std::os::unix::net::UnixStream::connect(&path).unwrap()));
    clients.0.send(UPGRADE);
    clients.1.send(UPGRADE);
    let told = started("serve", BOTH, [web.into(), admin.into()]);
    assert!(told.contains(&format!("web: Some({address}) admin: None")), "{told}");
    let start = std::time::Instant::now();
    while !(clients.0.receive().starts_with(b"HTTP/1.1 101 ") && clients.1.receive().starts_with(b"HTTP/1.1 101 ")) {
        assert!(start.elapsed() < PATIENCE);
    }
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn what_is_no_listener_is_refused_with_a_clear_word() {
    let file = std::fs::File::open("/dev/null").unwrap();
    let datagrams = UdpSocket::bind(loopback()).unwrap();
    let told = started("wrong", BOTH, [file.into(), datagrams.into()]);
    assert!(told.contains("descriptor 3 (\"web\"): not a stream socket over TCP or Unix-domain"), "{told}");
    assert!(told.contains("descriptor 4 (\"admin\"): not a stream socket over TCP or Unix-domain"), "{told}");

    let listener = tcp();
    let connection = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (one, _other) = std::os::unix::net::UnixStream::pair().unwrap();
    let descriptors = [connection.as_fd().try_clone_to_owned().unwrap(), one.into()];
    let told = started("wrong", BOTH, descriptors);
    assert!(told.contains("descriptor 3 (\"web\"): a connection"), "{told}");
    assert!(told.contains("descriptor 4 (\"admin\"): a connection"), "{told}");
}
