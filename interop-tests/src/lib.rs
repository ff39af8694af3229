//! Real peers (kernels, switches) as test fixtures.
