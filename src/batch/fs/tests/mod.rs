//! A disk of tests, and what the writers of outputs do on it.

mod disk; //  a disk that fails, stops and forgets
mod whole; // files that are whole or not there

pub(in crate::batch) use disk::{CrashDisk, Fault, Loss, Mutation};
