//! Tables of limits on pages, and what they have to say.

use std::collections::BTreeMap;

/// The rows of all tables whose first column is called `name`: first and second cell. Comment signs do not matter.
pub(crate) fn rows(page: &str, name: &str) -> BTreeMap<String, String> {
    let head = format!("| {name} |");
    let mut rows = BTreeMap::new();
    let mut lines = page.lines().map(|line| line.trim_start_matches("//! "));
    while lines.by_ref().any(|line| line.starts_with(&head)) {
        for row in lines.by_ref().skip(1).take_while(|line| line.starts_with('|')) {
            let cells: Vec<_> = row.split('|').map(str::trim).collect();
            let code = cells[1].strip_prefix('`').and_then(|name| name.strip_suffix('`'));
            let twice = rows.insert(code.unwrap_or(cells[1]).to_owned(), cells[2].to_owned());
            assert_eq!(twice, None, "{row} stands there twice");
        }
    }
    rows
}

/// Every field of `debug`, which is what `Debug` says of a `name`, is on the page with its value. Answers how many rows have
/// no field.
pub(crate) fn hold(page: &str, name: &str, debug: &str) -> usize {
    let fields = debug.strip_prefix(name).and_then(|debug| debug.strip_prefix(" { "));
    let fields = fields.and_then(|fields| fields.strip_suffix(" }")).unwrap();
    let rows = rows(page, &format!("`{name}`"));
    let mut known = 0;
    for field in fields.split(", ") {
        let (field, value) = field.split_once(": ").unwrap();
        let told = rows.get(field).unwrap_or_else(|| panic!("{name}::{field} is not on the page"));
        assert_eq!(*told, shown(field, value), "{name}::{field}");
        known += 1;
    }
    rows.len() - known
}

/// What a value looks like in a table, from what `Debug` says of it.
fn shown(name: &str, value: &str) -> String {
    let value = value.strip_prefix("Some(").and_then(|value| value.strip_suffix(')')).unwrap_or(value);
    match value.parse::<u128>() {
        Ok(n) if n == i64::MAX as u128 => "2^63 - 1".to_owned(),
        Ok(n) if ["size", "buffer", "mark", "body", "bytes"].iter().any(|bytes| name.contains(bytes)) && n > 0 => {
            if n % (1 << 20) == 0 { format!("{} MiB", n >> 20) } else { format!("{} KiB", n >> 10) }
        }
        Ok(n) => grouped(n),
        Err(_) => match value {
            "None" => "none".to_owned(),
            "false" => "off".to_owned(),
            "true" => "on".to_owned(),
            other => match other.strip_suffix('s') {
                Some(seconds) if seconds.parse::<u32>().is_ok() => format!("{seconds} s"),
                _ => other.to_owned(),
            },
        },
    }
}

fn grouped(n: u128) -> String {
    let digits = n.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(|group| str::from_utf8(group).unwrap()).collect();
    groups.join(",")
}
