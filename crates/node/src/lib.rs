//! A Bruit node: runtime, handle, configuration, storage and admin API.
