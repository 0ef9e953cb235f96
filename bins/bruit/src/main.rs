//! bruit

fn main() {}
