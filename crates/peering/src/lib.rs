//! Whom to dial, keep and refuse: hello, goodbye and connection slots.
