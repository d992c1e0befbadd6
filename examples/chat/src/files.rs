//! The page, embedded in the binary, and `/healthz`.

use wireroom::http::{Request, Response};

/// Answers a plain HTTP request.
pub(crate) fn answer(request: &Request<'_>) -> Response {
    if !matches!(request.method(), "GET" | "HEAD") {
        return Response::text(405, "only GET and HEAD here\n").header("Allow", "GET, HEAD");
    }
    let (content_type, body) = match request.path() {
        "/" => ("text/html; charset=utf-8", include_str!("../page/index.html")),
        "/style.css" => ("text/css; charset=utf-8", include_str!("../page/style.css")),
        "/chat.js" => ("text/javascript; charset=utf-8", include_str!("../page/chat.js")),
        "/healthz" => ("text/plain; charset=utf-8", "ok\n"),
        "/ws" => return Response::text(426, "this is a WebSocket\n"),
        _ => return not_found(),
    };
    Response::new(200)
        .header("Content-Type", content_type)
        .header("Cache-Control", "no-cache")
        .header("Content-Security-Policy", "default-src 'self'")
        .header("X-Content-Type-Options", "nosniff")
        .body(body)
}

pub(crate) fn not_found() -> Response {
    Response::text(404, "nothing here\n")
}
