//! How a message spreads: relay policies under one engine.
