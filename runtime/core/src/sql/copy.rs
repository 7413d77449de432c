//! The COPY command of a load.
