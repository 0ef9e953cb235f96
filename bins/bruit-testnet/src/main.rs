//! Local networks of real nodes: start them, hurt them, get a verdict.
#![allow(dead_code, unused_imports)]

mod overlay;
mod report;

fn main() {}
