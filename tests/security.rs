//! `SECURITY.md` says what the code does: every limit of `Config` with its default.

use std::collections::BTreeMap;

use wireroom::Config;

/// The rows of the table under "Limits": name and default.
fn table() -> BTreeMap<String, String> {
    let page = include_str!("../SECURITY.md");
    let rows = page.lines().skip_while(|line| !line.starts_with("| `Config` |")).skip(2);
    rows.take_while(|line| line.starts_with('|'))
        .map(|row| {
            let cells: Vec<_> = row.split('|').map(str::trim).collect();
            (cells[1].trim_matches('`').to_owned(), cells[2].to_owned())
        })
        .collect()
}

fn grouped(n: u128) -> String {
    let digits = n.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(|group| str::from_utf8(group).unwrap()).collect();
    groups.join(",")
}

/// What a value looks like in the table, from what `Debug` says of it.
fn shown(name: &str, value: &str) -> String {
    let value = value.strip_prefix("Some(").and_then(|value| value.strip_suffix(')')).unwrap_or(value);
    match value.parse::<u128>() {
        Ok(n) if n == i64::MAX as u128 => "2^63 - 1".to_owned(),
        Ok(n)
            if (name.contains("size") || name.contains("buffer") || name.contains("mark") || name.contains("body"))
                && n > 0 =>
        {
            if n % (1 << 20) == 0 {
                format!("{} MiB", n >> 20)
            } else {
                format!("{} KiB", n >> 10)
            }
        }
        Ok(n) => grouped(n),
        Err(_) => match value {
            "None" => "none".to_owned(),
            "false" => "off".to_owned(),
            other => match other.strip_suffix('s') {
                Some(seconds) if seconds.parse::<u32>().is_ok() => format!("{seconds} s"),
                _ => other.to_owned(),
            },
        },
    }
}

#[test]
fn every_limit_is_on_the_page_with_its_default() {
    let config = format!("{:?}", Config::default());
    let fields = config.strip_prefix("Config { ").and_then(|config| config.strip_suffix(" }")).unwrap();
    let table = table();
    let mut known = 0;
    for field in fields.split(", ") {
        let (name, value) = field.split_once(": ").unwrap();
        let told = table.get(name).unwrap_or_else(|| panic!("Config::{name} is not on the page"));
        assert_eq!(*told, shown(name, value), "Config::{name}");
        known += 1;
    }
    // Without the feature `deflate` its one row is left over.
    let left_over = table.len() - known;
    assert!(left_over <= usize::from(cfg!(not(feature = "deflate"))), "{left_over} rows have no field");
}
