//! The page, embedded in the binary: `page/FILES` says which file is at which path.

use sha1::{Digest, Sha1};
use wireroom::http::{Request, Response};

use crate::hex;

const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Path, content type, content.
const FILES: &[(&str, &str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// The page's files, each with the tag of its content.
#[derive(Debug)]
pub(crate) struct Files {
    files: Vec<File>,
}

#[derive(Debug)]
struct File {
    path: &'static str,
    content_type: &'static str,
    content: &'static [u8],
    /// `"` and the SHA-1 of the content and `"`.
    etag: String,
}

impl Files {
    pub(crate) fn new() -> Self {
        let tagged = |&(path, content_type, content): &(&'static str, &'static str, &'static [u8])| {
            let etag = format!("\"{}\"", hex(&Sha1::digest(content)));
            File { path, content_type, content, etag }
        };
        Self { files: FILES.iter().map(tagged).collect() }
    }

    /// Answers a plain HTTP request.
    pub(crate) fn answer(&self, request: &Request<'_>, draining: bool) -> Response {
        let path = request.path();
        let file = self.files.iter().find(|file| file.path == path);
        if file.is_none() && path != "/healthz" {
            return not_found();
        }
        if !matches!(request.method(), "GET" | "HEAD") {
            return not_allowed("GET, HEAD");
        }
        match file {
            Some(file) => file.answer(request),
            None if draining => health(503, "draining\n"),
            None => health(200, "ok\n"),
        }
    }
}

impl File {
    fn answer(&self, request: &Request<'_>) -> Response {
        let known = request.header_all("if-none-match").any(|value| names(value, &self.etag));
        secured(Response::new(if known { 304 } else { 200 }))
            .header("Content-Type", self.content_type)
            .header("ETag", &self.etag)
            // It is asked for each time, and sent only when it has changed.
            .header("Cache-Control", "no-cache")
            // Left out of a 304, and of the answer to a HEAD.
            .body(self.content)
    }
}

/// Whether this `If-None-Match` holds for a file with this tag (RFC 9110, section 13.1.2: by weak comparison).
fn names(value: &[u8], etag: &str) -> bool {
    let tags = std::str::from_utf8(value).unwrap_or_default().split(',').map(str::trim);
    tags.map(|tag| tag.strip_prefix("W/").unwrap_or(tag)).any(|tag| tag == etag || tag == "*")
}

fn health(status: u16, body: &'static str) -> Response {
    secured(Response::text(status, body)).header("Cache-Control", "no-store")
}

pub(crate) fn not_found() -> Response {
    secured(Response::text(404, "nothing here\n"))
}

pub(crate) fn not_allowed(allow: &str) -> Response {
    secured(Response::text(405, "not by this method\n")).header("Allow", allow)
}

/// What every answer has.
pub(crate) fn secured(response: Response) -> Response {
    response
        .header("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        .header("X-Content-Type-Options", "nosniff")
        .header("Referrer-Policy", "no-referrer")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_found_in_a_list() {
        let etag = "\"abc\"";
        for (value, known) in [
            ("\"abc\"", true),
            ("\"x\", \"abc\"", true),
            ("W/\"abc\"", true),
            ("*", true),
            ("\"abcd\"", false),
            ("abc", false),
            ("", false),
        ] {
            assert_eq!(names(value.as_bytes(), etag), known, "{value}");
        }
    }
}
