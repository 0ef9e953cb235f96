//! bruit-testnet

fn main() {}
