//! Tests of the local stack from outside: start and stop, calls, toxics, signatures and permissions.

mod auth;
mod faults;
mod lifecycle;
mod services;
mod support;
