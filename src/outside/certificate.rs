//! What is wrong with the TLS of a receiver, in words that its owner can act on.

use std::error::Error;
use std::io;

use rustls::CertificateError;

/// Why a connection was given up before anything was sent, if TLS is why: the rest of a sentence that begins with the receiver.
pub fn tls_fault(error: &reqwest::Error) -> Option<&'static str> {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(fault) = error.downcast_ref() {
            return Some(in_words(fault));
        }
        cause = below(error);
    }
    None
}

/// What an error was made of. An I/O error does not name that as its source.
fn below<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}

fn in_words(error: &rustls::Error) -> &'static str {
    let rustls::Error::InvalidCertificate(fault) = error else { return "does not speak TLS as it should" };
    match fault {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "has a certificate that has expired"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "has a certificate that is not valid yet"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "has a certificate for another name"
        }
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "has a certificate that no trusted authority has signed"
        }
        _ => "has a certificate that is not valid",
    }
}
