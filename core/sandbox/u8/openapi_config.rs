//! Settings of U8's OpenAPI.

/// Yonyou U8 OpenAPI: the second door to the account set of [`U8Config`](crate::U8Config).
#[derive(Clone)]
pub struct U8OpenApiConfig {
    /// Account that calls.
    pub from_account: String,
    /// Account whose U8 is called.
    pub to_account: String,
    /// Key of the application.
    pub app_key: String,
    /// Its secret.
    pub app_secret: String,
    /// Life of a token in seconds.
    pub token_life_s: i64,
    /// Code for wrong credentials; the real one is not known.
    pub login_code: String,
    /// Code for a token that is missing or over; the real one is not known.
    pub token_code: String,
    /// Code for a missing permission; the real one is not known.
    pub permission_code: String,
    /// Code for too many calls; the real one is not known.
    pub quota_code: String,
    /// Answer an `add` with its result even where `sync` does not ask for it.
    pub answers_at_once: bool,
    /// Seconds named in `ping_after`.
    pub ping_after_s: u64,
    /// How often a result's address answers "still at it" before the result.
    pub polls: u32,
    /// Milliseconds of the virtual clock until an accepted document is imported.
    pub run_ms: i64,
    /// A repeated `biz_id` is answered with the first result; otherwise it is refused. Which of the two is not known.
    pub repeats_first: bool,
    /// Base of results' addresses in place of the listener's own.
    pub result_base: Option<String>,
    /// Tax rate, in percent, of a line that states none.
    pub tax_rate: u32,
}

impl std::fmt::Debug for U8OpenApiConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("U8OpenApiConfig").field("to_account", &self.to_account).finish_non_exhaustive()
    }
}

impl Default for U8OpenApiConfig {
    fn default() -> Self {
        Self {
            from_account: "sandbox-caller".to_owned(),
            to_account: "test_sandbox".to_owned(),
            app_key: "opa0123456789abcdef".to_owned(),
            app_secret: "u8-openapi-sandbox-secret".to_owned(),
            token_life_s: 7_200,
            login_code: "90001".to_owned(),
            token_code: "90002".to_owned(),
            permission_code: "90003".to_owned(),
            quota_code: "90004".to_owned(),
            answers_at_once: false,
            ping_after_s: 0,
            polls: 0,
            run_ms: 0,
            repeats_first: false,
            result_base: None,
            // The vendor's page was written when this was the rate.
            tax_rate: 16,
        }
    }
}
