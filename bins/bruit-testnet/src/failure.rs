//! Why something ended early, and the exit code that says so to a script.

use std::{fmt, process::ExitCode};

/// A claim did not hold, or the network could not do what it was asked.
const CLAIM: u8 = 1;
/// What the user asked for cannot be.
const CONFIGURATION: u8 = 2;
/// A folder or a file cannot be used.
const DATA_DIRECTORY: u8 = 4;

/// Why something ended early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The exit code, as `bruit` itself has them.
    pub(crate) code: u8,
    pub(crate) text: String,
}

impl Failure {
    pub(crate) fn claim(text: impl Into<String>) -> Self {
        Self { code: CLAIM, text: text.into() }
    }

    pub(crate) fn configuration(text: impl Into<String>) -> Self {
        Self { code: CONFIGURATION, text: text.into() }
    }

    pub(crate) fn data_directory(text: impl Into<String>) -> Self {
        Self { code: DATA_DIRECTORY, text: text.into() }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}
