//! A Bruit node: runtime, handle, configuration, storage and admin API.

mod config;
mod data_dir;
mod files;
mod key;
mod storage;

pub use config::{
    Carry, Config, ConfigError, Effective, FILES_TOPIC, FileSettings, Layers, PORT, PROFILES, SeedFileError, Setting,
    Source, TopicSettings, read_seed_file,
};
pub use data_dir::{DataDir, DataDirError};
pub use files::{FileTotals, FileView, Manifest, ManifestError, ManifestId};
pub use key::{KeyError, create_key, read_key};
pub use storage::{StorageError, StorageState, StorageStatus};
