//! Makes a table of the page's files out of `page/FILES`, for `src/files.rs` to include: path, content type, content.

use std::{env, error::Error, fmt::Write as _, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=page/FILES");
    let mut table = String::from("&[\n");
    for line in fs::read_to_string("page/FILES")?.lines().filter(|line| !line.trim().is_empty()) {
        let fields: Vec<&str> = line.splitn(3, ' ').collect();
        let [path, file, content_type] = fields[..] else {
            return Err(format!("page/FILES: not \"path file content-type\": {line}").into());
        };
        writeln!(
            table,
            "({path:?}, {content_type:?}, include_bytes!(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/page/\", {file:?}))),"
        )?;
    }
    table.push_str("]\n");
    fs::write(Path::new(&env::var("OUT_DIR")?).join("files.rs"), table)?;
    Ok(())
}
