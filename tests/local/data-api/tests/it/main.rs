//! The stand-in from outside: a client's requests over HTTP, a real PostgreSQL, objects and events of a small fake AWS.

mod copy;
mod data_api;
mod support;
