//! The authorities whose certificates are trusted: those that the environment names, else those of
//! the system, else those that browsers trust.
//!
//! They are read once a process, before the first connection with TLS: it takes some milliseconds
//! that a command without one need not wait.

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls_native_certs::{CertificateResult, ErrorKind, load_certs_from_paths, load_native_certs};

const FILE: &str = "SSL_CERT_FILE";
const FOLDER: &str = "SSL_CERT_DIR";

/// What was read. It is locked while it is read, so that it is read once.
static READ: Mutex<Option<Arc<RootCertStore>>> = Mutex::new(None);

/// Why certificates cannot be read.
#[derive(Debug)]
pub(super) struct Unreadable {
    pub(super) message: String,
    /// What the system said.
    pub(super) source: Option<io::Error>,
}

/// Whether the environment names authorities.
pub(super) fn are_named() -> bool {
    named(FILE).or_else(|| named(FOLDER)).is_some()
}

/// The trusted authorities.
pub(super) fn trusted() -> Result<Arc<RootCertStore>, Unreadable> {
    let mut read = READ.lock();
    if let Some(roots) = &*read {
        return Ok(Arc::clone(roots));
    }
    let (file, folders) = (named(FILE), named(FOLDER));
    let roots = if file.is_none() && folders.is_none() {
        of_system()?
    } else {
        of_files(file.as_deref(), folders.as_deref())?
    };
    Ok(Arc::clone(read.insert(Arc::new(roots))))
}

/// A variable that is empty is as good as none.
fn named(variable: &str) -> Option<PathBuf> {
    let value = env::var_os(variable)?;
    (!value.is_empty()).then(|| PathBuf::from(value))
}

/// Those of a file and of a list of folders, of which each that is named has to have some.
fn of_files(file: Option<&Path>, folders: Option<&Path>) -> Result<RootCertStore, Unreadable> {
    let mut all = Vec::new();
    if let Some(file) = file {
        let found = load_certs_from_paths(Some(file), None);
        if found.certs.is_empty() {
            return Err(none_in(FILE, file, found));
        }
        all.extend(found.certs);
    }
    if let Some(folders) = folders {
        let mut found = CertificateResult::default();
        for folder in env::split_paths(folders).filter(|it| !it.as_os_str().is_empty()) {
            let more = load_certs_from_paths(None, Some(&folder));
            found.certs.extend(more.certs);
            found.errors.extend(more.errors);
        }
        if found.certs.is_empty() && file.is_none() {
            return Err(none_in(FOLDER, folders, found));
        }
        all.extend(found.certs);
    }
    Ok(store(all))
}

/// Those in a text in PEM.
pub(super) fn of_pem(pem: &[u8]) -> Result<RootCertStore, String> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let all = all.map_err(|error| format!("root certificates: no certificates in PEM: {error}"))?;
    let store = store(all);
    match store.is_empty() {
        true => Err("root certificates: no certificates in PEM".to_owned()),
        false => Ok(store),
    }
}

/// Those of the system, or of browsers where the system has none.
fn of_system() -> Result<RootCertStore, Unreadable> {
    let found = load_native_certs();
    if found.certs.is_empty() {
        let (reason, source) = first(found);
        if let Some(source) = source.filter(|error| error.kind() != io::ErrorKind::NotFound) {
            return Err(Unreadable {
                message: format!("the system's certificates: {reason}"),
                source: Some(source),
            });
        }
        log::info!("the system has no store of certificates; those of browsers are trusted");
        let roots = webpki_roots::TLS_SERVER_ROOTS.to_vec();
        return Ok(RootCertStore { roots });
    }
    Ok(store(found.certs))
}

/// Those of these that can be understood: a store often has one that cannot.
fn store(certificates: Vec<CertificateDer<'static>>) -> RootCertStore {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(certificates);
    store
}

fn none_in(variable: &str, path: &Path, found: CertificateResult) -> Unreadable {
    let (reason, source) = first(found);
    let message = format!("{variable}: {}: {reason}", path.display());
    Unreadable { message, source }
}

/// What was wrong at first.
fn first(found: CertificateResult) -> (String, Option<io::Error>) {
    match found.errors.into_iter().next().map(|error| error.kind) {
        Some(ErrorKind::Io { inner, .. }) => (inner.to_string(), Some(inner)),
        Some(ErrorKind::Pem(error)) => (format!("no certificates in PEM: {error}"), None),
        Some(ErrorKind::Os(error)) => (error.to_string(), None),
        _ => ("no certificates in PEM".to_owned(), None),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_is_named_has_to_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let (missing, empty) = (folder.path().join("missing"), folder.path().join("empty"));
        fs::write(&empty, "no certificate\n").unwrap();
        let table = [
            (Some(&missing), None, "SSL_CERT_FILE: "),
            (Some(&empty), None, "SSL_CERT_FILE: "),
            (None, Some(&missing), "SSL_CERT_DIR: "),
        ];
        for (file, folders, expected) in table {
            let file: Option<&PathBuf> = file;
            let folders: Option<&PathBuf> = folders;
            let found = of_files(file.map(PathBuf::as_path), folders.map(PathBuf::as_path));
            let message = found.unwrap_err().message;
            assert!(message.starts_with(expected), "{message}");
            assert!(
                message.contains("missing") || message.contains("no certificates"),
                "{message}"
            );
        }
    }
}
