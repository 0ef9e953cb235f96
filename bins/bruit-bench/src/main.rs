//! bruit-bench

fn main() {}
