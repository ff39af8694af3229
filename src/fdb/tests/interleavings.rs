//! Every order of events between two threads, tried by loom.
