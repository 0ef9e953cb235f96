//! Words all rooms share: time, chance, slots, endpoints, limits.
