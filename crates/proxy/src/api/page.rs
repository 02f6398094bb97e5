//! The status page: one document with its style and its script in it, which asks this proxy and nobody else.

use http::header::{
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{Response, StatusCode};
use sealwire::crypto::Verification;
use sealwire_http::carriage::to_base64url;
use sealwire_http::net::{Body, text};

const HTML: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// The page as it is sent.
pub(super) struct Page {
    html: String,
    /// What a browser may do with it: run this script and no other, and ask this origin only.
    policy: String,
}

impl Page {
    pub(super) fn new(verification: Verification) -> Self {
        let hash = |text: &str| {
            let hash = verification.hash.sha256(&[text.as_bytes()]);
            // The policy's grammar takes both alphabets of base64 (CSP level 3, section 2.3.1), with or without padding.
            format!("'sha256-{}='", to_base64url(&hash))
        };
        Self {
            html: HTML
                .replace("PAGE_STYLE", STYLE)
                .replace("PAGE_SCRIPT", SCRIPT),
            policy: format!(
                "default-src 'none'; script-src {}; style-src {}; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
                hash(SCRIPT),
                hash(STYLE)
            ),
        }
    }

    pub(super) fn response(&self) -> Response<Body> {
        let mut response = text(StatusCode::OK, &self.html);
        let headers = response.headers_mut();
        let fixed = HeaderValue::from_static;
        headers.insert(CONTENT_TYPE, fixed("text/html; charset=utf-8"));
        if let Ok(policy) = HeaderValue::from_str(&self.policy) {
            headers.insert(CONTENT_SECURITY_POLICY, policy);
        }
        headers.insert(X_CONTENT_TYPE_OPTIONS, fixed("nosniff"));
        headers.insert(X_FRAME_OPTIONS, fixed("DENY"));
        headers.insert(REFERRER_POLICY, fixed("no-referrer"));
        headers.insert(RESOURCE_POLICY, fixed("same-origin"));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_whole_and_names_nobody_else() {
        let page = Page::new(sealwire::rustcrypto::verification());
        assert!(page.html.contains(SCRIPT) && page.html.contains(STYLE));
        assert!(!page.html.contains("PAGE_"));
        // The namespace of SVG is a name, not an address.
        let html = page.html.replace("http://www.w3.org/2000/svg", "");
        for outside in ["http:", "https:", "//cdn", " src=", "@import", "url("] {
            assert!(!html.contains(outside), "{outside}");
        }
        // Text goes in as text.
        for sink in [
            "innerHTML",
            "outerHTML",
            "insertAdjacent",
            "document.write",
            "eval(",
        ] {
            assert!(!SCRIPT.contains(sink), "{sink}");
        }
    }

    #[test]
    fn a_browser_runs_this_script_and_no_other() {
        let page = Page::new(sealwire::rustcrypto::verification());
        let response = page.response();
        let policy = &response.headers()[CONTENT_SECURITY_POLICY];
        let policy = policy.to_str().expect("text");
        assert!(policy.starts_with("default-src 'none'; script-src 'sha256-"));
        assert!(!policy.contains("unsafe"), "{policy}");
    }
}
