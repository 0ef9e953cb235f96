//! More than one engine, less than a node: profiles, coupling and the composed behaviour.
