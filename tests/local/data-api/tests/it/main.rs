//! Tests of the stand-in from outside: requests over HTTP, a real PostgreSQL, and objects and events of a small fake AWS.

mod copy;
mod data_api;
mod support;
