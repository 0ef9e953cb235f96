use std::{fmt, io, process::ExitCode};

use bruit::{ConfigError, DataDirError, KeyError, StartError, admin::ClientError};

/// How a command ends. The numbers are part of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It did what was asked, or what was claimed held.
    Held,
    /// A claim failed, or no node answered.
    Failed,
    /// The settings, or the command itself, cannot be used.
    Configuration,
    /// A port cannot be had.
    Port,
    /// The data directory cannot be used.
    DataDirectory,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Held => 0,
            Exit::Failed => 1,
            Exit::Configuration => 2,
            Exit::Port => 3,
            Exit::DataDirectory => 4,
        })
    }
}

/// Why a command did not do what was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) code: &'static str,
    pub(crate) text: String,
}

impl Failure {
    pub(crate) fn configuration(text: impl fmt::Display) -> Self {
        Self { exit: Exit::Configuration, code: "configuration", text: text.to_string() }
    }

    pub(crate) fn port(text: impl fmt::Display) -> Self {
        Self { exit: Exit::Port, code: "port", text: text.to_string() }
    }

    pub(crate) fn data_directory(text: impl fmt::Display) -> Self {
        Self { exit: Exit::DataDirectory, code: "data_directory", text: text.to_string() }
    }

    pub(crate) fn failed(text: impl fmt::Display) -> Self {
        Self { exit: Exit::Failed, code: "failed", text: text.to_string() }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::configuration(error)
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Config(_)
            | StartError::SeedFile(_)
            | StartError::Addr(_)
            | StartError::Topic(_)
            | StartError::SharedKey(_)
            | StartError::Subscribe(_)
            | StartError::Serve(_)
            | StartError::Stack(_) => Self::configuration(error),
            StartError::Listen { .. } | StartError::Metrics { .. } => Self::port(error),
            StartError::DataDir(_) | StartError::Storage(_) | StartError::Api { .. } => Self::data_directory(error),
            StartError::Transport(_) | StartError::Randomness(_) => Self::failed(error),
        }
    }
}

impl From<DataDirError> for Failure {
    fn from(error: DataDirError) -> Self {
        Self::data_directory(error)
    }
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        Self::data_directory(error)
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let code = match &error {
            ClientError::Unreachable { .. } => "unreachable",
            ClientError::Broken(_) | ClientError::Refused(_) | ClientError::Answer(_) => "failed",
        };
        Self { exit: Exit::Failed, code, text: error.to_string() }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::failed(error)
    }
}
