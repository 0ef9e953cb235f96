//! Long-lived framed streams between two peers.
