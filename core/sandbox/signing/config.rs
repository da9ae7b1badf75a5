//! Credentials and what the documents leave open.

/// e签宝.
#[derive(Clone)]
pub struct EsignConfig {
    /// Application id.
    pub app_id: String,
    /// Application secret, of requests and of callbacks.
    pub app_secret: String,
    /// Largest distance of a request's time from the machine's clock in seconds; `None` switches the check off.
    pub window_secs: Option<i64>,
    /// A flow that nobody began is there and signed.
    pub auto_create: bool,
}

impl std::fmt::Debug for EsignConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EsignConfig").field("app_id", &self.app_id).finish_non_exhaustive()
    }
}

impl Default for EsignConfig {
    fn default() -> Self {
        Self {
            app_id: "7438900001".to_owned(),
            app_secret: "esign-sandbox-secret".to_owned(),
            window_secs: Some(900),
            auto_create: false,
        }
    }
}

/// 法大大 FASC.
#[derive(Clone)]
pub struct FadadaConfig {
    /// Application id.
    pub app_id: String,
    /// Application secret, of requests and of callbacks.
    pub app_secret: String,
    /// Life of a token in seconds (virtual clock).
    pub token_secs: i64,
    /// Largest distance of a request's time from the machine's clock in seconds.
    pub window_secs: i64,
    /// A task that nobody began is there and signed.
    pub auto_create: bool,
}

impl std::fmt::Debug for FadadaConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FadadaConfig").field("app_id", &self.app_id).finish_non_exhaustive()
    }
}

impl Default for FadadaConfig {
    fn default() -> Self {
        Self {
            app_id: "80001234".to_owned(),
            app_secret: "fadada-sandbox-secret".to_owned(),
            token_secs: 7_200,
            window_secs: 300,
            auto_create: false,
        }
    }
}
