//! The limit of open files: each request in flight takes one.

/// Raises the soft limit to the hard one. Where that is not allowed, a run has fewer requests in
/// flight at once, and says so.
#[cfg(unix)]
pub(crate) fn raise() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = Rlimit {
            current: limit.maximum,
            ..limit
        };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            log::info!(
                "the limit of open files stays at {:?}: {error}",
                limit.current
            );
        }
    }
}

#[cfg(not(unix))]
pub(crate) fn raise() {}
