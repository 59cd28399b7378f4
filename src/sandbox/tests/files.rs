//! Files: what models made, and what callers upload.

use std::collections::HashSet;

use serde_json::json;

use super::*;

fn path_of(url: &Value) -> String {
    url.as_str().unwrap().strip_prefix("http://sandbox.test").unwrap().to_owned()
}

async fn picture(sandbox: &Sandbox, input: &Value) -> Value {
    sandbox.call("POST", "/run/fal-ai/flux-1/dev", input).await.json()["images"][0].clone()
}

fn dimensions(png: &[u8]) -> (u32, u32) {
    let reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
    (reader.info().width, reader.info().height)
}

fn at_once() -> Sandbox {
    Sandbox::with(|settings| settings.step_ms = 0)
}

#[tokio::test]
async fn pictures_have_their_size_and_differ_by_prompt_and_seed() {
    let sandbox = at_once();
    let mut seen = HashSet::new();
    for (prompt, seed) in [("a fox", 1), ("a fox", 2), ("a hare", 1)] {
        let image =
            picture(&sandbox, &json!({ "prompt": prompt, "seed": seed, "image_size": "portrait_4_3" })).await;
        let file = sandbox.get(&path_of(&image["url"])).await;
        assert_eq!((file.status.as_u16(), file.header("content-type")), (200, Some("image/png")));
        assert_eq!(dimensions(&file.body), (768, 1024));
        assert_eq!(image["content_type"], "image/png");
        seen.insert(file.body);
    }
    assert_eq!(seen.len(), 3);
    let again =
        picture(&sandbox, &json!({ "prompt": "a fox", "seed": 1, "image_size": "portrait_4_3" })).await;
    assert!(seen.contains(&sandbox.get(&path_of(&again["url"])).await.body));
}

#[tokio::test]
async fn pictures_of_one_answer_differ() {
    let sandbox = at_once();
    let body = sandbox
        .call("POST", "/run/fal-ai/flux-1/dev", &json!({ "prompt": "a fox", "num_images": 4 }))
        .await
        .json();
    let urls: HashSet<_> =
        body["images"].as_array().unwrap().iter().map(|image| image["url"].to_string()).collect();
    assert_eq!(urls.len(), 4);
}

#[tokio::test]
async fn in_sync_mode_the_picture_is_in_the_answer() {
    use base64::Engine;
    let sandbox = at_once();
    let image = picture(&sandbox, &json!({ "prompt": "a fox", "sync_mode": true })).await;
    let data = image["url"].as_str().unwrap().strip_prefix("data:image/png;base64,").unwrap();
    let png = base64::engine::general_purpose::STANDARD.decode(data).unwrap();
    assert_eq!(dimensions(&png), (1024, 768));
}

#[tokio::test]
async fn films_are_served_whole_and_with_their_size() {
    let sandbox = at_once();
    let body = sandbox.call("POST", "/run/fal-ai/veo3", &json!({ "prompt": "a fox" })).await.json();
    let file = sandbox.get(&path_of(&body["video"]["url"])).await;
    assert_eq!(file.header("content-type"), Some("video/mp4"));
    assert_eq!(body["video"]["file_size"], file.body.len());
    assert_eq!(&file.body[4..8], b"ftyp");
}

#[tokio::test]
async fn only_addresses_that_were_given_out_are_files() {
    let sandbox = at_once();
    for path in [
        "/cdn/files/b/00000000/0123456789abcdef_64x64.png",
        "/cdn/files/b/01234567/0123456789abcdef_64x64.jpg",
        "/cdn/files/b/../../etc/passwd",
        "/cdn/",
    ] {
        assert_eq!(sandbox.get(path).await.status, 404, "{path}");
    }
}

async fn initiate(sandbox: &Sandbox, how: &str) -> (String, String) {
    let body = json!({ "content_type": "image/png", "file_name": "a b.png" });
    let path = format!("/rest/storage/upload/{how}?storage_type=fal-cdn-v3");
    let answer = sandbox.call("POST", &path, &body).await;
    assert_eq!(answer.status, 200);
    let body = answer.json();
    (path_of(&body["file_url"]), path_of(&body["upload_url"]))
}

async fn put(sandbox: &Sandbox, path: &str, bytes: &'static [u8]) -> Answer {
    let request = http::Request::builder().method("PUT").uri(path).body(Body::from(bytes)).unwrap();
    sandbox.send(request).await
}

#[tokio::test]
async fn an_upload_is_read_back_without_a_key() {
    let sandbox = at_once();
    let (file, upload) = initiate(&sandbox, "initiate").await;
    assert!(file.ends_with("_a_b.png"), "{file}");
    assert_eq!(sandbox.get(&file).await.status, 404);
    assert_eq!(put(&sandbox, &upload, b"bytes").await.status, 200);
    let read = sandbox.get(&file).await;
    assert_eq!((&read.body[..], read.header("content-type")), (&b"bytes"[..], Some("image/png")));
}

#[tokio::test]
async fn an_upload_needs_its_signature() {
    let sandbox = at_once();
    let (file, _) = initiate(&sandbox, "initiate").await;
    assert_eq!(put(&sandbox, &file, b"x").await.status, 403);
    assert_eq!(put(&sandbox, &format!("{file}?signature=other"), b"x").await.status, 403);
}

#[tokio::test]
async fn an_upload_in_parts_is_joined() {
    let sandbox = at_once();
    let (file, upload) = initiate(&sandbox, "initiate-multipart").await;
    let (path, query) = upload.split_once('?').unwrap();
    let mut parts = Vec::new();
    for (number, bytes) in [(1, &b"one "[..]), (2, b"two")] {
        let part = put(&sandbox, &format!("{path}/{number}?{query}"), bytes).await.json();
        assert_eq!(part["partNumber"], number);
        assert!(part["etag"].is_string());
        parts.push(part);
    }
    let complete = format!("{path}/complete?{query}");
    let twice = json!([parts[0], { "partNumber": 2, "etag": parts[0]["etag"] }]);
    for wrong in [json!([]), json!([parts[0]]), json!([parts[0], parts[0]]), twice] {
        let answer = sandbox.call("POST", &complete, &json!({ "parts": wrong })).await;
        assert_eq!(answer.status, 400, "{wrong}");
    }
    assert_eq!(put(&sandbox, &upload, b"whole").await.status, 403);
    assert_eq!(sandbox.call("POST", &complete, &json!({ "parts": parts })).await.status, 200);
    assert_eq!(sandbox.get(&file).await.body, "one two");
}

#[tokio::test]
async fn initiate_needs_a_key_and_a_description() {
    let sandbox = at_once();
    let path = "/rest/storage/upload/initiate?storage_type=gcs";
    let mut bare = request("POST", path, &json!({}));
    bare.headers_mut().remove("authorization");
    assert_eq!(sandbox.send(bare).await.status, 401);
    assert_eq!(sandbox.call("POST", path, &json!("x")).await.status, 422);
    assert_eq!(sandbox.call("POST", "/rest/storage/upload/initiate", &json!({})).await.status, 400);
}

#[tokio::test]
async fn a_page_of_any_origin_may_read_and_write_files() {
    let sandbox = at_once();
    let preflight = sandbox.send(empty("OPTIONS", "/cdn/files/b/12345678/x?signature=y")).await;
    assert_eq!(preflight.status, 200);
    assert_eq!(preflight.header("access-control-allow-methods"), Some("GET, HEAD, PUT, POST"));
    let missing = sandbox.get("/cdn/files/b/12345678/x").await;
    for answer in [preflight, missing] {
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    }
}
async fn token(sandbox: &Sandbox) -> String {
    let path = "/rest/storage/auth/token?storage_type=fal-cdn-v3";
    let given = sandbox.call("POST", path, &json!({})).await.json();
    assert_eq!(given["base_url"], "http://sandbox.test/cdn");
    assert!(given["expires_at"].as_str().unwrap().ends_with("+00:00"));
    format!("{} {}", given["token_type"].as_str().unwrap(), given["token"].as_str().unwrap())
}

async fn with_token(
    sandbox: &Sandbox,
    (method, path): (&str, &str),
    token: &str,
    body: impl Into<Body>,
) -> Answer {
    let request = http::Request::builder().method(method).uri(path).header("authorization", token);
    let request = request.header("content-type", "text/plain").header("x-fal-file-name", "a.txt");
    sandbox.send(request.body(body.into()).unwrap()).await
}

#[tokio::test]
async fn the_media_host_takes_files_with_a_token_and_with_nothing_else() {
    let sandbox = at_once();
    let token = token(&sandbox).await;
    let whole = ("POST", "/cdn/files/upload");
    let answer = with_token(&sandbox, whole, &token, "bytes").await;
    let file = path_of(&answer.json()["access_url"]);
    assert!(file.ends_with("_a.txt"), "{file}");
    let read = sandbox.get(&file).await;
    assert_eq!((&read.body[..], read.header("content-type")), (&b"bytes"[..], Some("text/plain")));
    for other in ["", "Bearer other", "Key a:b"] {
        assert_eq!(with_token(&sandbox, whole, other, "bytes").await.status, 401, "{other}");
    }
}

#[tokio::test]
async fn the_media_host_joins_parts() {
    let sandbox = at_once();
    let token = token(&sandbox).await;
    let begun = with_token(&sandbox, ("POST", "/cdn/files/upload/multipart"), &token, "").await.json();
    let file = path_of(&begun["access_url"]);
    let upload = format!("{file}/multipart/{}", begun["uploadId"].as_str().unwrap());
    let mut parts = Vec::new();
    for (number, bytes) in [(2, "two"), (1, "one ")] {
        let path = format!("{upload}/{number}");
        assert_eq!(with_token(&sandbox, ("PUT", &path), "Bearer other", bytes).await.status, 401);
        let part = with_token(&sandbox, ("PUT", &path), &token, bytes).await;
        parts.push(json!({ "partNumber": number, "etag": part.header("etag").unwrap() }));
    }
    let list = json!({ "parts": parts }).to_string();
    let complete = format!("{upload}/complete");
    assert_eq!(with_token(&sandbox, ("POST", &complete), &token, list).await.status, 200);
    assert_eq!(sandbox.get(&file).await.body, "one two");
}
