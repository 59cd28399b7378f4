//! What holds for every answer of the admin listener.

use std::any::Any;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;

use super::problem::Problem;

/// From the head of a request to the head of its answer. An import of the largest file takes some seconds.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// All of the page comes from here, and nothing of it goes elsewhere.
const PAGE_POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                           frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// Puts the layers around all routes.
pub(super) fn around(router: Router) -> Router {
    router
        .fallback(|| async { Problem::no_route() })
        .method_not_allowed_fallback(|| async { Problem::no_method() })
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn(in_time))
        .layer(always(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(SetResponseHeaderLayer::if_not_present(
            header::CACHE_CONTROL,
            HeaderValue::from_static("no-store"),
        ))
}

/// What holds for the page that shows the document.
pub(super) fn page(pages: Router) -> Router {
    pages
        .layer(always(header::CONTENT_SECURITY_POLICY, PAGE_POLICY))
        .layer(always(header::CACHE_CONTROL, "no-cache"))
        .layer(axum::middleware::map_response(in_json))
}

/// The page's own answer to a file that it has not says nothing.
async fn in_json(response: Response) -> Response {
    match response.status() {
        http::StatusCode::NOT_FOUND => Problem::no_route().into_response(),
        _ => response,
    }
}

fn always(name: http::HeaderName, value: &'static str) -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::overriding(name, HeaderValue::from_static(value))
}

async fn in_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::timeout().into_response(),
    }
}

fn panicked(_: Box<dyn Any + Send>) -> Response {
    tracing::error!("a route of the admin listener panicked");
    Problem::internal().into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::routing::get;
    use tower::ServiceExt;

    use super::*;

    async fn ask(router: Router) -> (u16, String) {
        let answer = around(router).oneshot(Request::new(Body::empty())).await.unwrap();
        let status = answer.status().as_u16();
        let body = axum::body::to_bytes(answer.into_body(), 4096).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn invariant_7_a_question_of_an_operator_is_given_up_in_time() {
        let (status, body) = ask(Router::new().route("/", get(std::future::pending::<()>))).await;
        assert_eq!(status, 503);
        assert!(body.contains("\"error_type\":\"timeout\""), "{body}");
    }

    #[tokio::test]
    async fn a_route_that_panics_says_so_in_json() {
        async fn broken() {
            panic!("on purpose");
        }
        let (status, body) = ask(Router::new().route("/", get(broken))).await;
        assert_eq!(status, 500);
        assert!(body.contains("\"error_type\":\"internal_error\""), "{body}");
    }
}
