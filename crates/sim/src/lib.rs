//! A deterministic network for the engines: links, faults and measures.
