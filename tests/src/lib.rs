//! End-to-end tests, conformance, benchmarks.
