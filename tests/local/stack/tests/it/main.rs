//! The local stack from outside: it starts, answers, disturbs on request, refuses what is not allowed, and leaves nothing.

mod auth;
mod faults;
mod lifecycle;
mod services;
mod support;
