//! Every committed seed through its target, without a fuzzer: quick, and on any toolchain.

use std::{fs, path::Path};

#[test]
fn every_seed_keeps_the_promises() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
    for (target, run) in wireroom_fuzz::TARGETS {
        let mut count = 0;
        for entry in fs::read_dir(seeds.join(target)).unwrap_or_else(|error| panic!("{target} has no seeds: {error}")) {
            let path = entry.expect("an entry").path();
            println!("{}", path.display()); // named when it fails
            run(&fs::read(&path).expect("a seed"));
            count += 1;
        }
        assert!(count > 0, "{target} has no seeds");
        run(&[]);
    }
}
