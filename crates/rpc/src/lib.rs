//! One request, the right peer, the next peer: direct, global and one-way calls.
