//! `SECURITY.md` says what the code does: every limit of `Config` with its default.

mod pages;

use wireroom::Config;

#[test]
fn every_limit_is_on_the_page_with_its_default() {
    let left_over = pages::hold(include_str!("../SECURITY.md"), "Config", &format!("{:?}", Config::default()));
    // Without the feature `deflate` its one row is left over.
    assert!(left_over <= usize::from(cfg!(not(feature = "deflate"))), "{left_over} rows have no field");
}
