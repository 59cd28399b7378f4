//! What can be wrong with certificates. No text here holds anything of a private key.

use std::path::PathBuf;

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// A file cannot be written.
    #[error("cannot write {}: {reason}; the sandbox needs a folder that it may write to", path.display())]
    Unwritable {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// A file does not hold what it should.
    #[error("{} holds no {wanted} in PEM form (a text with `-----BEGIN {label}-----`)", path.display())]
    NotPem {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        wanted: &'static str,
        /// The label of its first line.
        label: &'static str,
    },
    /// The private key is of a kind that is not supported, or broken.
    #[error("the private key in {} cannot be used: {reason}", path.display())]
    UnusableKey {
        /// The file.
        path: PathBuf,
        /// What the library said.
        reason: String,
    },
    /// The certificate is broken.
    #[error("the certificate in {} cannot be used: {reason}", path.display())]
    UnusableCertificate {
        /// The file.
        path: PathBuf,
        /// What the library said.
        reason: String,
    },
    /// The key belongs to another certificate.
    #[error(
        "the private key in {} does not belong to the first certificate in {}; the server's own certificate comes first",
        key.display(),
        certificate.display()
    )]
    Mismatch {
        /// The certificate chain.
        certificate: PathBuf,
        /// The private key.
        key: PathBuf,
    },
    /// The local certificate authority could not make a certificate.
    #[error("cannot make a certificate: {0}")]
    Make(#[from] rcgen::Error),
    /// The TLS library refused the set-up.
    #[error("cannot set up TLS: {0}")]
    Setup(#[source] rustls::Error),
    /// A background task broke off.
    #[error("the certificate files were not looked at: the task broke off")]
    Interrupted,
}
