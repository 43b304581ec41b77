//! A file of requests.
