//! The console: one page, with its style and its program in it.
//!
//! What must hold: a browser that shows it loads nothing else and runs nothing else: both are allowed by their checksums
//! only, and the page may talk to this endpoint alone.

use std::sync::LazyLock;

use super::{AdminState, Request, Response};
use crate::base64;

const HTML: &str = include_str!("console/console.html");
const STYLE: &str = include_str!("console/console.css");
/// One program, in the order in which its parts need each other.
const PROGRAM: &str = concat!(
    include_str!("console/elements.js"),
    include_str!("console/format.js"),
    include_str!("console/server.js"),
    include_str!("console/plot.js"),
    include_str!("console/list.js"),
    include_str!("console/overview.js"),
    include_str!("console/topics.js"),
    include_str!("console/groups.js"),
    include_str!("console/records.js"),
    include_str!("console/main.js"),
);

/// The page, and what it may load.
struct Page {
    html: String,
    policy: String,
}

static PAGE: LazyLock<Page> = LazyLock::new(|| {
    let html = HTML.replacen("/*STYLE*/", STYLE, 1).replacen("/*PROGRAM*/", PROGRAM, 1);
    let policy = format!(
        "default-src 'none'; script-src '{}'; style-src '{}'; connect-src 'self'; img-src data:; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
        checksum(PROGRAM),
        checksum(STYLE)
    );
    Page { html, policy }
});

/// `GET /`
pub(super) fn console(_: &Request, _: &AdminState) -> Response {
    Response::page(PAGE.html.as_str(), PAGE.policy.clone())
}

/// As a policy names a text.
fn checksum(text: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    format!("sha256-{}", base64::encode(digest.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_whole_and_loads_nothing() {
        let Page { html, policy } = &*PAGE;
        assert!(html.contains(STYLE) && html.contains(PROGRAM));
        assert!(!STYLE.contains("</style") && !PROGRAM.contains("</script"), "a part would end early");
        for word in [
            "src=",
            "@import",
            "url(",
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
        ] {
            assert!(!html.contains(word), "the page has {word} in it");
        }
        let links = html.matches("href=\"").count();
        let inside = html.matches("href=\"#").count() + html.matches("href=\"data:").count();
        assert_eq!(links, inside, "a link leads out of the page");
        assert!(policy.is_ascii() && policy.matches("'sha256-").count() == 2);
    }
}
