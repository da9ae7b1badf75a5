//! The HTTP client of callbacks and pushes.

use std::time::Duration;

/// Builds a client without proxy. The TLS library has no default provider in this build; one is installed unless the
/// process has chosen already.
pub(crate) fn build(timeout: Duration) -> Result<reqwest::Client, reqwest::Error> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Losing the race against another thread is fine: then there is one.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    reqwest::Client::builder().timeout(timeout).no_proxy().build()
}
