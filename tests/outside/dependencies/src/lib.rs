//! How much the project's crates bring with them: `tests/count.rs` counts and prints it.
