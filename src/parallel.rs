//! Map helpers.
