//! How knowledge of addresses travels: getaddr and addr.
