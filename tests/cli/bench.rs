//! `wireroom bench`: what it says has to be so.

use std::{
    io::Write,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::support::{Echo, Program, accept, by_hand, fails, run, sending, succeeds};

fn measured(arguments: &[&str]) -> Value {
    let out = succeeds(&[&["bench"], arguments, &["--json"]].concat(), b"");
    serde_json::from_str(&out).unwrap()
}

#[test]
fn what_is_in_flight_is_counted_and_timed() {
    let echo = Echo::start();
    for kind in ["--text", "--binary"] {
        let report = measured(&[&echo.url, "-c", "3", "-i", "4", "--size", "100", "-d", "0.5", "-w", "0.1", kind]);
        let number = |name: &str| report[name].as_f64().unwrap();
        assert_eq!((number("opened"), number("unanswered")), (3.0, 0.0));
        assert!(number("answers") > 10.0, "{report}");
        assert_eq!(report["latency_ms"]["count"], report["sent"]);
        assert!((number("answers_per_second") - number("answers") / number("seconds")).abs() < 1.0);
        let latency = |name: &str| report["latency_ms"][name].as_f64().unwrap();
        assert!(0.0 < latency("p50") && latency("p50") <= latency("p99.9") && latency("p99.9") <= latency("max"));
        assert_eq!(report["kind"], kind[2..]);
    }
}

#[test]
fn a_rate_is_kept_and_a_stall_counts_from_when_messages_were_due() {
    let echo = Echo::start();
    let report = measured(&[&echo.url, "-c", "2", "-r", "200", "-d", "1", "-w", "0.2"]);
    assert_eq!((report["sent"].as_u64(), report["latency_ms"]["count"].as_u64()), (Some(200), Some(200)), "{report}");

    // It answers at once, but for one pause of half a second: at 100 a second about 50 messages fall due meanwhile, and
    // wait from 0 to 500 ms. A client that waited for each answer would have seen a single slow one.
    let address = by_hand(|mut stream| {
        accept(&mut stream, "");
        let (began, mut paused) = (Instant::now(), false);
        let mut frame = [0; 6 + 4];
        while std::io::Read::read_exact(&mut stream, &mut frame).is_ok() && frame[0] == 0x82 {
            if !paused && began.elapsed() > Duration::from_millis(300) {
                paused = true;
                thread::sleep(Duration::from_millis(500));
            }
            stream.write_all(b"\x82\x04abcd").unwrap();
        }
    });
    let report = measured(&[&format!("ws://{address}/"), "-r", "100", "-d", "1", "-w", "0", "--size", "4", "-b"]);
    let latency = |name: &str| report["latency_ms"][name].as_f64().unwrap();
    assert_eq!(report["sent"], 100, "{report}");
    assert!(latency("p90") > 200.0, "a tenth waits for more than 400 ms, a quarter for more than 250: {report}");
    assert!(latency("max") > 400.0 && latency("p50") < 200.0, "{report}");
}

/// Whole milliseconds are all that a poll waits for: that is no reason not to sleep.
#[cfg(target_os = "linux")]
#[test]
fn a_rate_does_not_take_a_processor_of_its_own() {
    let echo = Echo::start();
    let program = Program::start(&["bench", &echo.url, "-r", "1500", "-d", "60", "-w", "0"]);
    let ticks = || -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", program.id())).unwrap();
        let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        fields[11..13].iter().map(|ticks| ticks.parse::<u64>().unwrap()).sum()
    };
    thread::sleep(Duration::from_millis(500));
    let (before, began) = (ticks(), Instant::now());
    thread::sleep(Duration::from_secs(2));
    // A tick is 10 ms.
    let share = (ticks() - before) as f64 / 100.0 / began.elapsed().as_secs_f64();
    program.signal("INT");
    let ended = program.end();
    assert!(share < 0.7, "{share:.2} of a processor: {ended:?}");
    assert!(ended.out.contains("latency in ms"), "{ended:?}");
}

#[test]
fn rates_and_sizes_beyond_all_bounds() {
    let echo = Echo::start();
    for rate in ["1e-300", "1e-15"] {
        let report = measured(&[&echo.url, "-r", rate, "-d", "0.2", "-w", "0"]);
        assert_eq!((&report["sent"], &report["answers"]), (&1.into(), &1.into()), "{report}");
    }
    let most = usize::MAX.to_string();
    for size in [&*most, "1073741825"] {
        let ended = run(&["bench", &echo.url, "--size", size, "--max-size", &most], b"");
        assert_eq!(ended.status, 2, "{ended:?}");
        assert!(ended.err.contains("at most 1 GiB"), "{ended:?}");
    }
}

/// The others go on, and each message is answered or counted.
#[test]
fn connections_that_end_meanwhile() {
    for load in [&["-r", "400"][..], &["-i", "3"]] {
        let mut connections = 0;
        let address = by_hand(move |mut stream| {
            connections += 1;
            // The first, the third and the fifth.
            let mut left = if connections % 2 == 0 { usize::MAX } else { 10 };
            thread::spawn(move || {
                accept(&mut stream, "");
                let mut frame = [0; 6 + 4];
                while left > 0 && std::io::Read::read_exact(&mut stream, &mut frame).is_ok() && frame[0] == 0x82 {
                    stream.write_all(b"\x82\x04abcd").unwrap();
                    left -= 1;
                }
            });
        });
        let url = format!("ws://{address}/");
        let how = ["bench", &url, "-c", "6", "-d", "0.5", "-w", "0", "--size", "4", "-b", "--json"];
        let ended = run(&[&how[..], load].concat(), b"");
        assert_eq!(ended.status, 1, "{ended:?}");
        let report: Value = serde_json::from_str(&ended.out).unwrap();
        let number = |name: &str| report[name].as_u64().unwrap();
        assert_eq!(number("sent"), report["latency_ms"]["count"].as_u64().unwrap() + number("unanswered"), "{report}");
        assert!(number("unanswered") < 20 && number("answers") > 60, "{report}");
        let errors = report["errors"].as_object().unwrap();
        assert_eq!(errors.values().map(|count| count.as_u64().unwrap()).sum::<u64>(), 3, "{report}");
    }
}

#[test]
fn what_goes_wrong_is_counted_and_told() {
    // Its answers are of another length.
    let address = by_hand(|mut stream| {
        accept(&mut stream, "");
        let mut frame = [0; 6 + 4];
        while std::io::Read::read_exact(&mut stream, &mut frame).is_ok() && frame[0] == 0x81 {
            stream.write_all(b"\x81\x01x").unwrap();
        }
    });
    let ended = run(&["bench", &format!("ws://{address}/"), "-d", "0.2", "-w", "0", "--size", "4"], b"");
    assert_eq!(ended.status, 1, "{ended:?}");
    assert!(ended.out.contains("times: an answer of another kind or length"), "{ended:?}");
    // It closes, and nobody is left.
    let ended = run(&["bench", &sending(b"\x88\x02\x03\xf3"), "-d", "0.5", "-w", "0"], b"");
    assert_eq!(ended.status, 6, "{ended:?}");
    assert!(ended.err.contains("no connection is left") && ended.err.contains("1011"), "{ended:?}");
    // It does not answer.
    let address = by_hand(|mut stream| {
        accept(&mut stream, "");
        let _ = std::io::Read::read_to_end(&mut stream, &mut Vec::new());
    });
    let ended = run(&["bench", &format!("ws://{address}/"), "-r", "100", "-d", "0.2", "-w", "0"], b"");
    assert_eq!(ended.status, 1, "{ended:?}");
    assert!(ended.out.contains("without an answer, and not in the latency: 20\n"), "{ended:?}");
    // A latency of nothing is none, and not the best there is.
    assert!(ended.out.contains("answer: there was none\n"), "{ended:?}");
    let ended = run(&["bench", &format!("ws://{address}/"), "-r", "100", "-d", "0.2", "-w", "0", "--json"], b"");
    let report: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!((&report["latency_ms"]["p50"], &report["latency_ms"]["max"]), (&Value::Null, &Value::Null), "{report}");
}

#[test]
fn progress_and_an_early_end() {
    let echo = Echo::start();
    let program = Program::start(&["bench", &echo.url, "-d", "60", "-w", "0", "--progress"]);
    thread::sleep(Duration::from_millis(1_500));
    program.signal("INT");
    let ended = program.end();
    assert_eq!(ended.status, 0, "{ended:?}");
    assert!(ended.out.contains("latency in ms"), "{ended:?}");
    assert!(ended.err.lines().any(|line| line.contains("answers/s  p99")), "{ended:?}");
}

#[test]
fn with_compression() {
    let (_server, address) = Program::serving(&["serve", "0", "-z"]);
    let report = measured(&[&format!("ws://{address}/"), "-z", "--size", "1000", "-d", "0.3", "-w", "0"]);
    assert_eq!(report["compress"], true);
    assert_eq!(report["unanswered"], 0);
}

#[test]
fn answers_that_would_be_too_large() {
    let sentence = fails(2, &["bench", "ws://h/", "--size", "11", "--max-size", "10"]);
    assert!(sentence.contains("above --max-size"), "{sentence}");
}

#[test]
fn connections_that_are_refused_are_counted() {
    let (_server, address) = Program::serving(&["serve", "0", "--max-connections", "2"]);
    let ended = run(&["bench", &format!("ws://{address}/"), "-c", "5", "-d", "0.2", "-w", "0"], b"");
    assert_eq!(ended.status, 1, "{ended:?}");
    assert!(ended.out.contains("2 of 5 connections") && ended.out.contains("error, 3 times: the server answered 503"));
}

#[test]
fn a_rate_beyond_all_means_does_not_keep_it_from_reading() {
    let echo = Echo::start();
    let program = Program::start(&["bench", &echo.url, "-r", "10000000", "-d", "0.5", "-w", "0", "--json"]);
    let ended = program.end();
    let report: Value = serde_json::from_str(&ended.out).unwrap();
    assert!(report["answers"].as_u64().unwrap() > 1_000, "{ended:?}");
    assert!(report["latency_ms"]["max"].as_f64().unwrap() > 50.0, "they wait from when they were due: {ended:?}");
}
